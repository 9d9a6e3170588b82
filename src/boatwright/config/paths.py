"""Where this host keeps its state. One directory; everything below it is named here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "BOATWRIGHT_STATE"
ROOT_DEFAULT = Path("/var/lib/boatwright")


@dataclass(frozen=True, slots=True)
class StateDir:
    """The state directory and the names inside it.

    As root the default lies outside root's home, because a bottle's dropped uid cannot traverse that.
    """

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> StateDir:
        environment = os.environ if environment is None else environment
        named = environment.get(VARIABLE)
        if named:
            return cls(Path(named).expanduser().absolute())
        if os.geteuid() == 0:
            return cls(ROOT_DEFAULT)
        return cls(Path.home() / ".boatwright")

    def create(self) -> StateDir:
        """Make the directory tree. 0711 so that a bottle's uid may pass through to its own directories only."""
        for directory, mode in (
            (self.root, 0o711),
            (self.bottles, 0o711),
            (self.environments, 0o711),
            (self.packages, 0o711),
            (self.artifacts, 0o700),
            (self.mirrors, 0o711),
            (self.forge, 0o700),
            (self.run, 0o711),
            (self.logs, 0o700),
            (self.tapes, 0o700),
        ):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(mode)
        return self

    @property
    def settings(self) -> Path:
        return self.root / "settings.yml"

    @property
    def agents(self) -> Path:
        """The operator's agent manifests (``NAME.md``); bottle manifests lie in ``bottles`` as ``NAME.md``."""
        return self.root / "agents"

    @property
    def skills(self) -> Path:
        """The operator's skills, a directory each."""
        return self.root / "skills"

    @property
    def ledger_url(self) -> str:
        return os.environ.get("BOATWRIGHT_DATABASE_URL") or f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def budgets_url(self) -> str:
        return os.environ.get("BOATWRIGHT_DATABASE_URL") or f"sqlite:///{self.root / 'budgets.db'}"

    @property
    def bottles(self) -> Path:
        return self.root / "bottles"

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def packages(self) -> Path:
        """Trees of system packages, by what is in them, and what each wish for some meant."""
        return self.root / "packages"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def mirrors(self) -> Path:
        return self.root / "mirrors"

    @property
    def forge(self) -> Path:
        """Bare repositories of the local forge."""
        return self.root / "forge"

    @property
    def run(self) -> Path:
        """Sockets and lock files of live processes. Reach long paths through a directory fd (108-byte limit)."""
        return self.root / "run"

    @property
    def tapes(self) -> Path:
        """What models were asked and answered, a folder for each execution that is recorded."""
        return self.root / "tapes"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

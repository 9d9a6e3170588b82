"""``settings.yml`` of this host, read; and what holds once flags, environment, policy and settings are put
together.
"""

from __future__ import annotations

from pathlib import Path

from boatwright import errors
from boatwright.config import strict_yaml
from boatwright.config.ceiling import DEFAULT, Settings
from boatwright.config.effective import Effective, Flags, effective

__all__ = ["DEFAULT", "Effective", "Flags", "Settings", "effective", "load", "parse"]


def parse(text: str, *, file: str = "settings.yml") -> Settings:
    """Raises ``errors.BadPolicy`` with file, line, key, and what to write instead."""
    return strict_yaml.validate(Settings, strict_yaml.parse(text, file))


def load(path: Path) -> Settings:
    """The settings of this host; defaults when there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return DEFAULT
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise errors.BadInput(
            f"{path} cannot be read: {why}",
            subject=str(path),
            next_moves=(
                "make it readable for the user that runs boatwright"
                if isinstance(error, OSError)
                else "save it as UTF-8 text",
            ),
        ) from error
    return parse(text, file=str(path))

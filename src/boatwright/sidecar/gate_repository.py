"""The repository behind one bottle's gate: what it may see, and how what it pushes is judged before anything is kept.

A scratch repository of ours beside the sockets: the history of the base and the bottle's own branches, no object more
(who may fetch from a repository may fetch every object in it). A push is unpacked apart, checked there, taken into the
mirror under refs of the bottle, and only then known here. Killed anywhere, the next worker makes it anew from the mirror.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from boatwright.bottle import snapshot
from boatwright.git import mirror as mirror_module
from boatwright.git import names
from boatwright.git.mirror import Mirror
from boatwright.git.packs import BadPack, PackCaps
from boatwright.git.run import Call, GitFailed, Ran
from boatwright.rules import pushing
from boatwright.rules.pushing import Update
from boatwright.scan.protocol import Blob, CouldNotCheck, Scanner

BASE = "refs/heads/base"
GIT_SECONDS = 60.0
MOST_SCANNED = 200 << 20
_SHOWN = 5


class NotTaken(Exception):
    """A push is refused as a whole; each line says why."""

    def __init__(self, *lines: str) -> None:
        super().__init__(lines[0])
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Source:
    """Whose gate it is: the host's mirror, the commit whose history may be seen, the bottle's slug."""

    mirror: Mirror
    base: str
    bottle: str


class _Apart(Mirror):
    """A repository together with objects that are not in it yet."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        super().__init__(path)
        self._environment = environment

    def run(self, *arguments: str, call: Call | None = None) -> Ran:
        call = call or Call(timeout=GIT_SECONDS)
        return super().run(
            *arguments, call=replace(call, environment={**call.environment, **self._environment})
        )


class GateRepository:
    """Made when it is first asked for. Blocks; one push at a time."""

    def __init__(self, path: Path, source: Source, scanner: Scanner, *, most_bytes: int) -> None:
        self.path, self._source, self._scanner = path, source, scanner
        self._caps = PackCaps(size=most_bytes, objects=pushing.MOST_OBJECTS)
        self._repository = Mirror(path)
        self._turn = threading.Lock()
        self._made = False

    def ready(self) -> Mirror:
        """The repository, with the base's history and what the bottle pushed before."""
        with self._turn:
            if not self._made:
                self._make()
                self._made = True
        return self._repository

    def _make(self) -> None:
        mirror, base = self._source.mirror, self._source.base
        mirror_module.make(self.path)
        grafts = mirror.shallow()
        if grafts:
            (self.path / "shallow").write_text("".join(f"{oid}\n" for oid in grafts))
        pushed = self._pushed()
        with mirror.history([base, *pushed.values()], grafts=grafts) as pack:
            self._repository.run(
                "index-pack", "--stdin", call=Call(stdin=pack)
            )  # checked when it came to the mirror
        self._repository.run("symbolic-ref", "HEAD", BASE)
        for ref, oid in {BASE: base, **pushed}.items():
            self._repository.run("update-ref", ref, oid)

    def _pushed(self) -> dict[str, str]:
        """The bottle's own branches, as it calls them."""
        space = names.pushed(self._source.bottle)
        found = self._source.mirror.refs(space)
        return {pushing.SPACE + ref.removeprefix(space): oid for ref, oid in found.items()}

    def refs(self) -> dict[str, str]:
        """What a client that pushes is shown."""
        self.ready()
        return {BASE: self._source.base, **self._pushed()}

    # --- a push ---

    def take(self, updates: Sequence[Update], pack: Path | None) -> dict[str, str]:
        """Judge and take a push: the refs refused, each with why. Raises :class:`NotTaken` for a push that is none."""
        self.ready()
        with self._turn:
            refused = pushing.refusals(updates, self._pushed())
            if refused:  # all of it or nothing: half a push is a surprise
                return {each.ref: refused.get(each.ref, "another ref was refused") for each in updates}
            wanted = [each for each in updates if not each.removes]
            if wanted:
                self._bring(wanted, pack)
            for each in updates:
                self._move(each)
            return {}

    def _bring(self, wanted: Sequence[Update], pack: Path | None) -> None:
        tips = [each.new for each in wanted]
        try:
            if pack is None:  # nothing new: only what is here already may be named
                self._judge(tips, {})
                return
            self._repository.unpack(
                pack, caps=self._caps, want=tips[0], check=lambda apart: self._keep(tips, pack, apart)
            )
        except BadPack as error:
            raise NotTaken(str(error)) from error
        except GitFailed as error:
            raise NotTaken(f"the push could not be checked: {error}") from error
        except CouldNotCheck as error:
            raise NotTaken(f"the push could not be checked for secrets: {error}") from error

    def _keep(self, tips: Sequence[str], pack: Path, apart: Mapping[str, str]) -> None:
        """Judge what lies apart; then the mirror takes it, under checks of its own."""
        self._judge(tips, apart)
        self._source.mirror.unpack(pack, caps=self._caps, want=tips[0])

    def _judge(self, tips: Sequence[str], apart: Mapping[str, str]) -> None:
        view, base = _Apart(self.path, apart), self._source.base
        for tip in tips:
            if view.kind(tip) != "commit":
                raise NotTaken("only commits are pushed, no tags and no trees")
            if not view.is_ancestor(base, tip):
                raise NotTaken(f"{tip[:12]} does not build on the base, {base[:12]}")
            found = snapshot.tree_findings(view, base, tip)
            if found:
                raise NotTaken(*(f"{each.observed}: {each.fix}" for each in found[:_SHOWN]))
        new = self._new(view, tips)
        leaks = self._scanner.scan(self._blobs(view, new))
        if leaks:
            raise NotTaken(
                *(f"{each.name}:{each.line}: {each.rule} {each.excerpt}" for each in leaks[:_SHOWN])
            )

    def _new(self, view: Mirror, tips: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The new objects: kind and path by id. Every commit counts, not only the last."""
        known = [self._source.base, *self._pushed().values()]
        order = "".join([*(f"{tip}\n" for tip in tips), *(f"^{oid}\n" for oid in known)]).encode()
        listed = view.run("rev-list", "--objects", "--stdin", call=Call(stdin=order, timeout=GIT_SECONDS)).out
        rows = [line.partition(" ") for line in names.text(listed).splitlines()]
        asked = "".join(f"{oid}\n" for oid, _, _ in rows).encode()
        told = view.run(
            "cat-file", "--batch-check=%(objecttype)", call=Call(stdin=asked, timeout=GIT_SECONDS)
        )
        kinds = told.out.decode().split()
        why = pushing.too_much(kinds.count("commit"), len(rows))
        if why:
            raise NotTaken(why)
        return {oid: (kind, path) for (oid, _, path), kind in zip(rows, kinds, strict=True)}

    def _blobs(self, view: Mirror, new: Mapping[str, tuple[str, str]]) -> list[Blob]:
        """What is to be scanned: every new file of every new commit, and what the commits say."""
        wanted = [oid for oid, (kind, _) in new.items() if kind in {"blob", "commit"}]
        try:
            read = view.read_many(wanted, cap=MOST_SCANNED, kinds=("blob", "commit"))
        except GitFailed as error:
            raise CouldNotCheck(str(error)) from error
        if len(read) < len(set(wanted)):
            raise CouldNotCheck("an object of the push is not to be read")
        return [Blob(_shown(oid, *new[oid]), read[oid]) for oid in wanted]

    def _move(self, update: Update) -> None:
        """The mirror's ref first: it is what lasts."""
        name = names.pushed(self._source.bottle, update.ref.removeprefix(pushing.SPACE))
        old = None if update.old == pushing.NOTHING else update.old
        self._source.mirror.update_ref(name, None if update.removes else update.new, old)
        if update.removes:
            self._repository.run("update-ref", "-d", update.ref)
        else:
            self._repository.run("update-ref", update.ref, update.new)


def _shown(oid: str, kind: str, path: str) -> str:
    return names.shown(path) if kind == "blob" else f"message of commit {oid[:12]}"

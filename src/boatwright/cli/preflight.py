"""What would be begun, before it is: who works, on what, with how much, reaching what, and who said so."""

from __future__ import annotations

from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.git import remote
from boatwright.intake.solo import Wanted
from boatwright.rules.composed import Leaf
from boatwright.stages import solo
from boatwright.stages.house import House
from boatwright.values.calls import ForgeCalls
from boatwright.values.solo import Solo, SoloState, SoloTopic

_SHOWN = (
    "agent", "provider", "model", "budget", "network", "routes", "limits.wall", "setup_command", "bottles", "skills",
    "environment", "system_packages",
)  # fmt: skip
"""Of all values the ones somebody should see before they say yes; ``bottle explain`` has the rest."""
_WIDEST = 48
_NOTHING = "—"


def show(house: House, wanted: Wanted) -> None:
    """Everything, a line each. Values of strangers are shown as text."""
    for notice in wanted.notices:
        common.say(f"note: {notice}")
    for name, value, origin in lines(house, wanted):
        common.say(f"  {one_line(name):<16} {_cut(one_line(value)):<{_WIDEST}} {one_line(origin)}".rstrip())


def lines(house: House, wanted: Wanted) -> list[tuple[str, str, str]]:
    """Name, value, and where the value came from."""
    leaves = [
        (leaf.name, _value(wanted, leaf), f"{leaf.origin}")
        for leaf in wanted.here.composed.leaves()
        if leaf.value != _NOTHING and leaf.name.startswith(_SHOWN)
    ]
    draft = wanted.draft
    return [
        ("bottle", _named(wanted), ""),
        *leaves,
        ("asked for", f"{draft.model}, {draft.budget}", ""),
        ("workspace", workspace(draft), ""),
        *([("issue", topic(draft.topic), _calls(wanted, draft.topic))] if draft.topic else []),
        *([("tape", "what models are asked and answer is kept", "--record")] if draft.recorded else []),
        ("backend", draft.backend or house.backend.name, ""),
    ]


def _value(wanted: Wanted, leaf: Leaf) -> str:
    if leaf.name == "limits.wall" and wanted.draft.terminal:
        return f"{solo.wall_seconds(wanted.here, terminal=True):g} seconds"
    return leaf.value


def workspace(record: Solo) -> str:
    return f"{remote.shown(record.source)} at {record.commit[:12]}" if record.copied else "empty"


def _calls(wanted: Wanted, about: SoloTopic) -> str:
    calls = wanted.here.effective.forge_calls.narrower(about.calls)
    return f"its agent may {calls}" if calls is not ForgeCalls.NONE else "its agent may not call the forge"


def topic(about: SoloTopic) -> str:
    return f"{about.issue}: {about.title} ({about.repository})"


def _named(wanted: Wanted) -> str:
    """A new one by its label, which may be in use; one that is there by its name and how it was left."""
    record = wanted.draft
    if not record.slug:
        return f"{wanted.label} (in use: {wanted.label}-2 …)"
    return f"{record.slug}, {'frozen' if record.state is SoloState.FROZEN else 'as it was left'}"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"

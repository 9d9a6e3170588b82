"""What is kept beside a bottle's record goes with it, and is never another bottle's."""

from __future__ import annotations

from pathlib import Path

import pytest

from boatwright.config.paths import StateDir
from boatwright.stages.solo_records import Records
from boatwright.values.clock import SystemClock
from boatwright.values.solo import Solo
from boatwright.values.usage import Cap


def solo(slug: str, token: str) -> Solo:
    return Solo(
        slug=slug, account=f"{slug}.{token}", agent="claude", provider="claude", bottles=None, model="anthropic:x",
        budget=Cap.parse("1usd"), created=SystemClock().now(),
    )  # fmt: skip


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(StateDir(tmp_path / "s").create(), SystemClock())


def test_a_bottle_of_the_same_name_does_not_read_what_the_one_before_called(records: Records) -> None:
    assert records.calls(solo("one", "aa")) != records.calls(solo("one", "bb"))


def test_killed_while_it_is_forgotten_it_can_be_forgotten_again(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process is gone."""

    real, budget = Path.unlink, [0]

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if budget[0] == 0:
            raise Killed
        budget[0] -= 1
        real(path, missing_ok)

    for steps in range(8):
        monkeypatch.undo()
        record, hold = records.claim("one", lambda slug: solo(slug, "aa"))
        with hold:
            for path in (records.calls(record), records.calls(solo("one", "old")), records.log("one")):
                path.write_text("{}\n")
            kept = records.calls(solo("one-2", "aa"))
            kept.write_text("another's\n")
            budget[0] = steps
            monkeypatch.setattr(Path, "unlink", unlink)
            with pytest.raises(Killed):
                records.remove("one")
                raise Killed  # it came to its end
            monkeypatch.undo()
            beside = [path.name for path in kept.parent.iterdir() if path.name.startswith("one.")]
            if any(name.endswith((".calls", ".log")) for name in beside):
                assert records.find("one") is not None, steps
            records.remove("one")
        assert [path.name for path in kept.parent.iterdir()] == [kept.name]

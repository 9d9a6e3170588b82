from __future__ import annotations

from pathlib import Path

import pytest

from boatwright import errors
from boatwright.agents.answers import Opinion
from boatwright.testing import scripted

WHOLE = """\
plan: {goal: "mend it", steps: [{id: P1, action: edit, path: src/x.py, acceptance: "passes"}]}
replies:
  - say: "I will reproduce it first."
    tools: [{bash: "python -m pytest -x -q"}]
  - tools: [{bash: {command: "make", timeout: 300}}, {write_file: {path: a.txt, content: "x"}}]
  - tools: [{call: {name: search, arguments: {pattern: x}}}, {read_file: {path: a.txt}}]
  - say: "Done."
    usage: {input: 10, output: 2, cache_read: 5}
later:
  - - say: "Second round."
review: {verdict: approve}
faults: [{reply: 2, kind: cut_stream}, {reply: plan, kind: garbage, times: always}]
"""


def test_the_whole_format_is_read() -> None:
    script = scripted.parse(WHOLE)
    assert script.plan is not None and script.plan.goal == "mend it"
    assert [len(script.round(number)) for number in (0, 1, 2, 3)] == [0, 4, 1, 0]
    assert script.review_of(1) is not None and script.review_of(7) == script.review_of(1)
    assert script.faults[0].times == 1 and script.faults[1].reply == "plan"


def test_reviews_may_differ_by_round_and_the_last_one_stays() -> None:
    script = scripted.parse(
        "review: [{verdict: request_changes, findings: [{observed: untidy}]}, {verdict: approve}]"
    )
    opinions = [review.verdict for n in (1, 2, 9) if (review := script.review_of(n))]
    assert opinions == [Opinion.REQUEST_CHANGES, Opinion.APPROVE, Opinion.APPROVE]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("replies:\n  - say: x\n  - tolls: []\n", 3, "tolls"),
        ("replies: [", 1, "not YAML"),
        ("- a\n", 1, "mapping"),
        ("", 1, "mapping"),
        ("later: 3\n", 1, "later"),
        ("replies:\n  - say: x\n\n\nfaults:\n  - {reply: 0, kind: slow}\n", 6, "faults"),
        ("faults:\n  - {reply: 1, kind: explode}\n", 2, "kind"),
        ("faults:\n  - {reply: 1, kind: slow, times: 0}\n", 2, "times"),
        ("replies:\n  - tools:\n    - {bash: a, call: {name: b}}\n", 3, "exactly one"),
        ("replies:\n  - {}\n", 2, "say, tools, or both"),
        ("plan:\n  goal: x\n  steps:\n    - {id: P1, action: edit, acceptance: y}\n", 4, "must name a path"),
        ("plan:\n  goal: x\n  steps:\n    - {id: X1, action: run, acceptance: y}\n", 4, "id"),
        ("review: {verdict: request_changes}\n", 1, "at least one finding"),
        ("unknown: 1\n", 1, "unknown"),
        ("replies: []\nlater: []\nreplies: []\n", 3, "'replies' is there twice"),
        ("replies:\n  - say: a\n    say: b\n", 3, "'say' is there twice"),
        ("replies:\n  - say: !!python/object/apply:os.system ['id']\n", 2, "not YAML"),
    ],
)
def test_an_error_names_file_line_and_key(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(text)
    with pytest.raises(errors.BadInput) as caught:
        scripted.load(file)
    assert f"{file}, line {line}:" in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.next_moves


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.BadInput, match="cannot be read"):
        scripted.load(tmp_path / "absent.yml")


def test_loading_gives_the_digest_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("replies: [{say: x}]")
    assert scripted.load(file).digest == scripted.load(file).digest
    assert len(scripted.load(file).digest) == 64

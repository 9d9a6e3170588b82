"""What is written wrong: settings.yml of the host, .boatwright.yml of the repository, and a policy above the host's ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.config import settings
from boatwright.config.paths import StateDir

Desk = Any  # tests/bad_input/conftest.py
RUN = ("run", "--dry-run", "--text", "Count", "--model", "anthropic:claude-sonnet-4-5", "--repo")
CEILING = """\
limits: {wall: 60s, memory: 512MiB}
budget: {execution: 1usd}
network: {ceiling: deny_all}
gate_rounds: 2
"""

SETTINGS = [
    ("budget: {executon: 5usd}\n", "line 1: unknown key 'executon' in 'budget'", "execution"),
    ("\nbugdet: {execution: 5usd}\n", "line 2: unknown key 'bugdet'", "budget"),
    ("limits: {wall: soon}\n", "line 1: 'limits.wall' should be written like 90s", "mend 'limits.wall'"),
    ("budget: {execution: 5}\n", "needs its unit", "mend"),
    ("budget: {\n", "line 2", "mend the YAML"),
    ("- a\n", "must be a mapping", "key: value"),
    (b"\xff\xfe", "it is not UTF-8", "UTF-8"),
    (
        "budget: 5\n",
        "'budget' should be keys with values (key: value), not 5",
        "the keys of 'budget' below it",
    ),
    ("\nforges: [github]\n", "line 2: 'forges' should be keys with values", "the keys of 'forges' below it"),
    (
        "budget:\n\texecution: 5usd\n",
        "line 2: a tab stands where YAML wants blanks",
        "in the place of the tab",
    ),
]

KINDS = [
    ("routes: {x: y}\n", "line 1: 'routes.x' should be keys with values (key: value), not 'y'"),
    ("retention: {deliveries: soon}\n", "'retention.deliveries' should be a whole number, not 'soon'"),
    ("budget: {execution: -5usd}\n", "'budget.execution': '-5usd' is not a budget: write dollars as 5usd or tokens as 2Mtok"),
    ("models: {default: gpt}\n", "'models.default': 'gpt' is not a model: write anthropic:NAME, openai:NAME, gemini:NAME or scripted:FILE"),
    ("forges: {github: {token: 'aws:X'}}\n", "'forges.github.token': a secret reference is written env:NAME, file:PATH, file:PATH#FIELD, keyring:SERVICE/NAME or vault:PATH#FIELD"),
    ("forges: {github: {app_id: 3}}\n", "'forges.github': an App has both: 'app_id' and 'app_key'"),
    ("forges: {github: {bots: renovate}}\n", "'forges.github.bots' should be a list: [one, another], not 'renovate'"),
    ("a: 1\n---\nb: 2\n", "line 2: a second document begins here"),
    ("budget: !!python/object:os.system x\n", "line 1: a tag (!!…) is not allowed"),
    ("\nbudget: \x00\n", "line 2: a character (U+0000) that YAML does not take"),
    ("budget: {execution: 5usd}\nbudget: {execution: 6usd}\n", "line 2: the key 'budget' is there twice"),
]  # fmt: skip
"""One sentence each, to its last word: what stands there, where, and what should."""

POLICY = [
    ("test_comand: x\n", "line 1: unknown key 'test_comand'", "test_command"),
    ("proof: {max_minuts: 3}\n", "line 1: unknown key 'max_minuts' in 'proof'", "max_minutes"),
    ("schema_version: 2\n", "'schema_version' must be 1", "mend"),
    ("model: scripted:x\n", "'model' should be anthropic:NAME, openai:NAME or gemini:NAME", "mend"),
    ("agent: nobody\n", "there is no agent 'nobody'", "boatwright agent list"),
    ("a: &x 1\nb: *x\n", "line 1: anchors and aliases", "write the value out"),
    ("test_command: [1]\n", "'test_command' should be a valid string", "mend"),
    ("x" * 70_000, "larger than 64 KiB", "smaller"),
    (b"test_command: caf\xe9\n", ".boatwright.yml is not UTF-8", "UTF-8"),
    ("budget: 0usd\n", "a budget of 0 USD admits no call", "--budget 5usd"),
]

ABOVE = [
    (
        "limits: {memory: 1GiB}\n",
        "'limits.memory' asks for 1024 MiB; this host allows 512 MiB",
        "limits.memory",
    ),
    (
        "limits: {wall: 2m}\n",
        "'limits.wall' asks for 120 seconds; this host allows 60 seconds",
        "limits.wall",
    ),
    ("timeout_seconds: 900\n", "'timeout_seconds' asks for 900 seconds", "limits.wall"),
    ("budget: 2usd\n", "'budget' asks for 2 USD; this host allows 1 USD", "budget.execution"),
    (
        "network_policy: registry_only\n",
        "asks for registry_only; this host allows deny_all",
        "network.ceiling",
    ),
    ("max_retries: 3\n", "'max_retries' asks for 3; this host allows 2", "gate_rounds"),
]


@pytest.fixture(scope="module")
def repository(desk: Desk) -> Path:
    made: Path = desk.repository()
    return made


@pytest.mark.parametrize(("text", "words", "move"), SETTINGS)
def test_settings(desk: Desk, text: str | bytes, words: str, move: str) -> None:
    desk.settings(text)
    try:
        desk.do("status").refuses(2, "settings.yml", words, move=move)
    finally:
        desk.settings("")


@pytest.mark.parametrize(("text", "sentence"), KINDS)
def test_one_sentence_in_the_words_of_who_wrote_it(tmp_path: Path, text: str, sentence: str) -> None:
    state = StateDir(tmp_path / "state").create()
    state.settings.write_text(text)
    with pytest.raises(errors.BadInput) as refused:
        settings.load(state.settings)
    assert str(refused.value).endswith(sentence) and refused.value.exit_code == 2
    assert str(state.settings) in str(refused.value) and refused.value.next_moves


@pytest.mark.parametrize(("text", "words", "move"), POLICY, ids=lambda value: str(value)[:30])
def test_policy(desk: Desk, repository: Path, text: str | bytes, words: str, move: str) -> None:
    desk.commit(repository, {".boatwright.yml": text})
    desk.do(*RUN, str(repository)).refuses(2, words, move=move)


@pytest.mark.parametrize(("text", "words", "setting"), ABOVE)
def test_a_policy_that_asks_for_more(
    desk: Desk, repository: Path, text: str, words: str, setting: str
) -> None:
    desk.settings(CEILING)
    try:
        desk.commit(repository, {".boatwright.yml": text})
        desk.do(*RUN, str(repository)).refuses(2, words, move=f"raise '{setting}' in settings.yml")
    finally:
        desk.settings("")


def test_a_policy_that_demands_a_hard_limit_this_host_only_samples(desk: Desk, repository: Path) -> None:
    desk.commit(repository, {".boatwright.yml": "limits: {disk: 1GiB, hard: true}\n"})
    desk.do(*RUN, str(repository)).refuses(
        3, "demands hard limits", "only samples the one on disk", move="doctor"
    )
    desk.commit(repository, {".boatwright.yml": "limits: {wall: 20s, hard: true}\n"})
    assert desk.do(*RUN, str(repository)).code == 0


def test_nothing_was_begun(desk: Desk) -> None:
    assert "0 executions" in desk.do("status").out
    desk.lost_nothing()

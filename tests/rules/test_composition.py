"""Putting an agent and its bottles together: order, what wins, the ceiling, and that every value says whence."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright import errors
from boatwright.config import policy as policies
from boatwright.config import reading
from boatwright.config import settings as settings_module
from boatwright.config.effective import Flags
from boatwright.config.manifest import Agent, Bottle, Origin, Where
from boatwright.config.policy import NetworkPolicy
from boatwright.config.settings import Settings
from boatwright.config.skill import Skill
from boatwright.rules import composition
from boatwright.rules.composed import Choice, Composed
from boatwright.values.usage import Cap

HOST = settings_module.parse(
    "budget: {execution: 5usd}\nlimits: {memory: 2GiB, pids: 100}\n"
    "network: {ceiling: allow_list, allow: [a.org, b.org, '*.c.org']}\ngit: {name: Host}\nmodels: {default: 'anthropic:host'}"
)


def agent(text: str = "", body: str = "", *, name: str = "imp") -> Agent:
    data = f"---\n{text}\n---\n{body}".encode()
    return reading.agent(data, name=name, where=Where.REPOSITORY, file=f"agents/{name}.md")


def bottle(name: str, text: str = "", body: str = "") -> Bottle:
    data = f"---\n{text}\n---\n{body}".encode()
    return reading.bottle(data, name=name, where=Where.REPOSITORY, file=f"bottles/{name}.md")


def shelf(*bottles: Bottle) -> dict[str, Bottle]:
    return {each.name: each for each in bottles}


def compose(
    written: Agent | None,
    *bottles: Bottle,
    wanted: tuple[str, ...] | None = None,
    settings: Settings = HOST,
    policy: str = "",
    flags: Flags | None = None,
    environment: dict[str, str] | None = None,
    skills: tuple[Skill, ...] = (),
) -> Composed:
    names = wanted if wanted is not None else tuple(each.name for each in bottles)
    origins = {"agent": Origin("flag --agent")} | {
        f"bottles.{name}": Origin("flag --bottle") for name in names
    }
    return composition.compose(
        Choice("imp", names, origins),
        written,
        composition.order(names, shelf(*bottles)),
        settings=settings,
        policy=policies.parse(policy),
        flags=flags or Flags(),
        environment=environment,
        found=skills,
    )


def places(run: Composed) -> dict[str, str]:
    return {leaf.name: str(leaf.origin) for leaf in run.leaves()}


@pytest.mark.parametrize(
    ("wanted", "extends", "merged"),
    [
        (["a", "b"], {}, ["a", "b"]),
        (["b", "a"], {}, ["b", "a"]),
        (["a"], {"a": ["b"], "b": ["c"]}, ["c", "b", "a"]),
        (["a", "b"], {"a": ["c"], "b": ["c"]}, ["c", "a", "b"]),
        (["a"], {"a": ["b", "c"], "b": ["d"], "c": ["d"]}, ["d", "b", "c", "a"]),
        (["a", "a"], {}, ["a"]),
        (["a", "b"], {"a": ["b"]}, ["b", "a"]),
        ([], {}, []),
    ],
)
def test_parents_come_first_then_the_order_of_the_flags(
    wanted: list[str], extends: dict[str, list[str]], merged: list[str]
) -> None:
    there = shelf(*(bottle(name, f"extends: {extends.get(name, [])}") for name in "abcd"))
    assert [each.name for each in composition.order(wanted, there)] == merged


@pytest.mark.parametrize(
    ("extends", "circle", "file"),
    [
        ({"a": ["a"]}, "a → a", "a"),
        ({"a": ["b"], "b": ["a"]}, "a → b → a", "b"),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "b → c → b", "c"),
        ({"a": ["d", "b"], "b": ["c"], "c": ["a"]}, "a → b → c → a", "c"),
    ],
)
def test_a_circle_is_refused_with_the_chain(extends: dict[str, list[str]], circle: str, file: str) -> None:
    there = shelf(*(bottle(name, f"extends: {extends.get(name, [])}") for name in "abcd"))
    with pytest.raises(errors.BadPolicy) as caught:
        composition.order(["a"], there)
    assert str(caught.value) == f"bottles/{file}.md line 2: bottles extend each other in a circle: {circle}"
    assert caught.value.next_moves == (f"remove '{circle[0]}' from 'extends'",)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3)),
    st.lists(st.sampled_from("abcdef"), max_size=4),
)
def test_each_once_and_after_its_parents_or_refused(extends: dict[str, list[str]], wanted: list[str]) -> None:
    there = shelf(*(bottle(name, f"extends: {extends.get(name, [])}") for name in "abcdef"))
    try:
        merged = [each.name for each in composition.order(wanted, there)]
    except errors.BadPolicy as refused:
        assert "in a circle" in str(refused)
        return
    assert len(merged) == len(set(merged))
    assert set(wanted) <= set(merged)
    for at, name in enumerate(merged):
        assert set(there[name].head.extends) <= set(merged[:at])


def test_a_provider_by_itself_needs_no_manifest() -> None:
    run = compose(None, settings=settings_module.DEFAULT)
    assert (run.agent, run.provider, run.prompt, run.skills) == ("imp", "imp", "", ())
    assert places(run)["provider"] == "flag --agent"
    assert run.effective.budget == Cap(usd=Decimal(5))
    assert set(places(run).values()) == {"flag --agent", "default"}


def test_later_wins_for_plain_values_and_lists_append() -> None:
    base = bottle(
        "base",
        "environment: {A: base, B: base}\nsetup: one\nskills: [x, y]\nlimits: {pids: 50, memory: 1GiB}",
        "Note.",
    )
    child = bottle("child", "extends: base\nenvironment: {B: child}\nlimits: {pids: 60}", "More.")
    last = bottle("last", "setup: three\nskills: [y, z]")
    run = compose(agent("skills: [z, w]"), child, last, base, wanted=("child", "last"))
    assert run.lineage == ("base", "child", "last")
    assert run.environment == {"A": "base", "B": "child"}
    assert run.effective.setup_command == "three"
    assert run.effective.limits.pids == 60
    assert run.effective.limits.memory_bytes == 1 << 30
    assert run.notes == ("Note.", "More.")
    assert list(composition.skills(run.manifest, (base, child, last))) == ["x", "y", "z", "w"]
    said = places(run)
    assert said["environment.A"] == "bottles/base.md line 2"
    assert said["environment.B"] == "bottles/child.md line 3"
    assert said["setup_command"] == "bottles/last.md line 2"
    assert said["limits.pids"] == "bottles/child.md line 4"
    assert said["limits.memory"] == "bottles/base.md line 5"
    assert said["limits.wall"] == "settings.yml"
    assert said["notes.1"] == "bottles/child.md line 6"
    assert said["bottles.child"] == "flag --bottle"


def test_every_leaf_says_where_it_came_from() -> None:
    written = agent(
        "provider: pi\nmodel: anthropic:mine\ndescription: d\ncolor: red\nbudget: 1usd\nskills: [s]\ngit: {user: {email: i@x.org}}",
        "Prompt.",
    )
    place = bottle(
        "b",
        "network: {policy: allow_list, allow: [a.org]}\nlimits: {wall: 60, hard: true}\nenvironment: {A: x}\nsetup: s\nbudget: 1Mtok",
        "Note.",
    )
    skill = Skill("s", Where.HOST, "/s", (("SKILL.md", b""),))
    run = compose(written, place, skills=(skill,))
    said = places(run)
    for name, origin in {
        "agent": "flag --agent",
        "provider": "agents/imp.md line 2",
        "model": "agents/imp.md line 3",
        "description": "agents/imp.md line 4",
        "color": "agents/imp.md line 5",
        "prompt": "agents/imp.md line 10",
        "git.name": "settings.yml",
        "git.email": "agents/imp.md line 8",
        "skills.s": "agents/imp.md line 7",
        "budget.usd": "agents/imp.md line 6",
        "budget.tokens": "bottles/b.md line 6",
        "budgets.agent.imp": "agents/imp.md line 6",
        "budgets.bottle.b": "bottles/b.md line 6",
        "network": "bottles/b.md line 2",
        "network.allow.a.org": "bottles/b.md line 2",
        "limits.wall": "bottles/b.md line 3",
        "limits.hard": "bottles/b.md line 3",
        "limits.cpu": "settings.yml",
        "environment.A": "bottles/b.md line 4",
        "setup_command": "bottles/b.md line 5",
        "notes.0": "bottles/b.md line 8",
        "test_command": "default",
        "gate_rounds": "default",
    }.items():
        assert said[name] == origin, name
    assert all(leaf.name in run.origins for leaf in run.leaves())


def test_flag_then_variable_then_manifest_then_policy_then_settings_then_default() -> None:
    written, place = agent("model: anthropic:manifest"), bottle("b", "setup: manifest")
    policy = "model: anthropic:policy\nsetup_command: policy\ntest_command: policy"
    environment = {"BOATWRIGHT_MODEL": "anthropic:variable", "BOATWRIGHT_SETUP": "variable"}
    flags = Flags(model="anthropic:flag", setup_command="flag")

    def model(run: Composed) -> tuple[str | None, str, str | None, str]:
        held, said = run.effective, places(run)
        return held.model, said["model"], held.setup_command, said["setup_command"]

    full = compose(written, place, policy=policy, flags=flags, environment=environment)
    assert model(full) == ("anthropic:flag", "flag --model", "flag", "flag --setup")
    full = compose(written, place, policy=policy, environment=environment)
    said = ("environment variable BOATWRIGHT_MODEL", "environment variable BOATWRIGHT_SETUP")
    assert model(full) == ("anthropic:variable", said[0], "variable", said[1])
    full = compose(written, place, policy=policy)
    assert model(full) == ("anthropic:manifest", "agents/imp.md line 2", "manifest", "bottles/b.md line 2")
    assert places(full)["test_command"] == ".boatwright.yml"
    assert model(compose(agent(), policy=policy))[1::2] == (".boatwright.yml", ".boatwright.yml")
    assert model(compose(agent())) == ("anthropic:host", "settings.yml", None, "default")
    assert compose(agent()).provider == "builtin"


@pytest.mark.parametrize(
    ("written", "place", "sentence"),
    [
        ("budget: 6usd", "", "'budget' of agents/imp.md line 2 asks for 6 USD; this host allows 5 USD"),
        ("", "budget: 6usd", "'budget' of bottles/b.md line 2 asks for 6 USD; this host allows 5 USD"),
        (
            "budget: 1usd",
            "budget: 6usd",
            "'budget' of bottles/b.md line 2 asks for 6 USD; this host allows 5 USD",
        ),
        (
            "",
            "limits:\n  memory: 3GiB",
            "'limits.memory' of bottles/b.md line 3 asks for 3072 MiB; this host allows 2048 MiB",
        ),
        (
            "",
            "limits: {pids: 101}",
            "'limits.pids' of bottles/b.md line 2 asks for 101; this host allows 100",
        ),
        (
            "",
            "limits: {wall: 2h}",
            "'limits.wall' of bottles/b.md line 2 asks for 7200 seconds; this host allows 3600 seconds",
        ),
        (
            "",
            "network:\n  policy: allow_list\n  allow:\n    - a.org\n    - evil.org",
            "'network.allow' of bottles/b.md line 6 asks for evil.org; this host allows a.org, b.org, *.c.org",
        ),
    ],
)
def test_more_than_the_host_allows_is_refused_by_name_and_place(
    written: str, place: str, sentence: str
) -> None:
    with pytest.raises(errors.AboveCeiling) as caught:
        compose(agent(written), bottle("b", place))
    assert str(caught.value) == sentence
    assert any("settings.yml" in move for move in caught.value.next_moves)


def test_a_wider_network_is_refused() -> None:
    host = settings_module.parse("network: {ceiling: registry_only}")
    with pytest.raises(errors.AboveCeiling) as caught:
        compose(agent(), bottle("b", "network:\n  policy: allow_list"), settings=host)
    assert str(caught.value) == (
        "'network.policy' of bottles/b.md line 3 asks for allow_list; this host allows registry_only"
    )


def test_a_child_may_narrow_what_its_parent_asks_for() -> None:
    parent, child = bottle("p", "limits: {memory: 9GiB}"), bottle("c", "extends: p\nlimits: {memory: 1GiB}")
    assert compose(agent(), child, parent, wanted=("c",)).effective.limits.memory_bytes == 1 << 30


@pytest.mark.parametrize(
    ("written", "place", "policy", "holds", "where"),
    [
        ("budget: 2usd", "budget: 1usd", "", "2 USD", "agents/imp.md line 2"),
        ("", "budget: 1usd", "", "1 USD", "bottles/b.md line 2"),
        ("budget: 2usd", "", "budget: 1usd", "1 USD", ".boatwright.yml"),
        ("budget: 1usd", "", "budget: 2usd", "1 USD", "agents/imp.md line 2"),
        ("budget: 1Mtok", "", "", "5 USD and 1,000,000 tokens", "settings.yml"),
        ("budget: 1Mtok", "budget: 2usd", "budget: 1ktok", "2 USD and 1,000 tokens", "bottles/b.md line 2"),
    ],
)
def test_the_nearest_budget_governs_and_the_policy_narrows(
    written: str, place: str, policy: str, holds: str, where: str
) -> None:
    run = compose(agent(written), bottle("b", place), policy=policy)
    assert str(run.effective.budget) == holds
    assert places(run)["budget.usd"] == where


def test_a_person_may_go_past_the_manifests_but_not_past_the_host() -> None:
    run = compose(agent("budget: 1usd"), flags=Flags(budget="3usd"))
    assert (str(run.effective.budget), places(run)["budget.usd"]) == ("3 USD", "flag --budget")
    assert places(compose(agent(), flags=Flags(budget="1Mtok")))["budget.usd"] == "settings.yml"
    with pytest.raises(errors.AboveCeiling, match="'--budget' asks for 6 USD"):
        compose(agent("budget: 1usd"), flags=Flags(budget="6usd"))


def test_budgets_of_every_scope_the_nearest_first() -> None:
    parent, child = bottle("p", "budget: 3usd"), bottle("c", "extends: p\nbudget: 2usd")
    run = compose(agent("budget: 1usd"), child, parent, wanted=("c",))
    assert [(each.scope, each.name, str(each.cap)) for each in run.budgets] == [
        ("agent", "imp", "1 USD"),
        ("bottle", "c", "2 USD"),
        ("parent", "p", "3 USD"),
    ]


@pytest.mark.parametrize(
    ("place", "policy", "network", "allow", "where"),
    [
        ("", "", "registry_only", (), "settings.yml"),
        ("network: {policy: deny_all}", "", "deny_all", (), "bottles/b.md line 2"),
        ("network: {policy: registry_only}", "network_policy: deny_all", "deny_all", (), ".boatwright.yml"),
        (
            "network: {policy: deny_all}",
            "network_policy: registry_only",
            "deny_all",
            (),
            "bottles/b.md line 2",
        ),
        (
            "network: {policy: allow_list, allow: [a.org]}",
            "",
            "allow_list",
            ("a.org",),
            "bottles/b.md line 2",
        ),
        (
            "network: {policy: allow_list, allow: [a.org, x.c.org]}",
            "network_policy: allow_list\nnetwork: {allow: [b.org, '*.c.org']}",
            "allow_list",
            ("x.c.org",),
            ".boatwright.yml",
        ),
    ],
)
def test_the_narrowest_network_holds(
    place: str, policy: str, network: str, allow: tuple[str, ...], where: str
) -> None:
    run = compose(agent(), bottle("b", place), policy=policy)
    assert (run.effective.network, run.effective.allow) == (NetworkPolicy(network), allow)
    assert places(run)["network"] == where


def test_what_the_policy_takes_away_is_said() -> None:
    wide = bottle("b", "network: {policy: allow_list, allow: [a.org, b.org]}")
    assert compose(agent(), wide, policy="network_policy: allow_list\nnetwork: {allow: [b.org]}").notices == (
        "a.org cannot be reached: the list of .boatwright.yml is narrower",
    )
    assert compose(agent(), wide, policy="network_policy: deny_all").notices == (
        "the network is deny_all (.boatwright.yml), narrower than allow_list (bottles/b.md line 2)",
    )
    assert compose(agent(), wide).notices == ()


def test_a_parent_sets_the_policy_a_child_adds_hosts() -> None:
    parent, child = (
        bottle("p", "network: {policy: allow_list, allow: [a.org]}"),
        bottle("c", "extends: p\nnetwork: {allow: [b.org, a.org]}"),
    )
    assert compose(agent(), child, parent, wanted=("c",)).effective.allow == ("a.org", "b.org")


def test_hosts_without_a_policy_are_an_oversight() -> None:
    with pytest.raises(errors.BadPolicy, match=r"bottles/b.md line 3: 'network.allow' names hosts") as caught:
        compose(agent(), bottle("b", "network:\n  allow: [a.org]"))
    assert caught.value.next_moves == ("write 'policy: allow_list' beside it",)


@pytest.mark.parametrize(
    ("place", "policy", "pids", "where"),
    [
        ("limits: {pids: 50}", "limits: {pids: 60}", 50, "bottles/b.md line 2"),
        ("limits: {pids: 70}", "limits: {pids: 60}", 60, ".boatwright.yml"),
        ("limits: {pids: 100}", "", 100, "bottles/b.md line 2"),
        ("", "", 100, "settings.yml"),
    ],
)
def test_the_narrower_limit_holds(place: str, policy: str, pids: int, where: str) -> None:
    run = compose(agent(), bottle("b", place), policy=policy)
    assert (run.effective.limits.pids, places(run)["limits.pids"]) == (pids, where)


def test_hard_stays_hard() -> None:
    first, second = bottle("a", "limits: {hard: true}"), bottle("b", "limits: {hard: false}")
    assert compose(agent(), first, second).effective.hard_limits
    assert not compose(agent(), second).effective.hard_limits
    assert places(compose(agent(), second))["limits.hard"] == "default"


def test_the_tests_clock_keeps_below_a_bottles_wall() -> None:
    run = compose(agent(), bottle("b", "limits: {wall: 60}"), policy="timeout_seconds: 300")
    assert run.effective.test_limits.wall_seconds == 60


def test_very_large_numbers_are_refused_like_others() -> None:
    with pytest.raises(errors.AboveCeiling, match="limits.cpu"):
        compose(agent(), bottle("b", "limits: {cpu: 999999999999999h}"))


def test_too_many_skills() -> None:
    base = bottle("b", f"skills: [{', '.join(f's{number}' for number in range(composition.MAX_SKILLS))}]")
    assert len(composition.skills(None, (base,))) == composition.MAX_SKILLS
    with pytest.raises(errors.BadPolicy, match="agents/imp.md line 2: more than 32 skills"):
        composition.skills(agent("skills: one-more"), (base,))

"""Who may ask for what."""

from __future__ import annotations

import pytest

from boatwright.rules import authorisation
from boatwright.rules.authorisation import Standing, Wanted
from boatwright.values.order import Command, Decide, Misspoken, Note, Order, Say, Start, Verb
from boatwright.values.people import Permission
from boatwright.values.skipping import Skip, SkipReason

LABELLED = Start(7, "t", "b", "ada")
ASSIGNED = Start(7, "t", "b", "ada", "pi", None, ("bob", "cy"))
SAID = Say(8, "ada", "why?", "1")
MISSPOKEN = Misspoken("sail", None, 7, False, "1", "ada", Skip(SkipReason.UNKNOWN_COMMAND))
MEMBER = frozenset({"cy"})


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize(
    "order", [LABELLED, SAID, MISSPOKEN, *(Command(verb, "", 7, False, "1", "ada") for verb in Verb)]
)
def test_only_who_may_write_may_ask(order: Order, permission: Permission) -> None:
    refused = authorisation.refusal(order, Standing(permission, MEMBER))
    may = permission in {Permission.WRITE, Permission.MAINTAIN, Permission.ADMIN}
    assert (refused is None) is may
    assert refused is None or (refused.reason is SkipReason.NOT_ALLOWED and "ada" in refused.detail)


@pytest.mark.parametrize(
    ("permission", "members", "may"),
    [
        (Permission.NONE, MEMBER, False),
        (Permission.READ, MEMBER, False),
        (Permission.TRIAGE, MEMBER, True),
        (Permission.WRITE, MEMBER, True),
        (Permission.ADMIN, frozenset(), False),
        (Permission.TRIAGE, frozenset({"eve"}), False),
    ],
)
def test_an_assignee_has_to_be_a_member_and_to_have_been_assigned_by_somebody(
    permission: Permission, members: frozenset[str], may: bool
) -> None:
    assert (authorisation.refusal(ASSIGNED, Standing(permission, members)) is None) is may


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (LABELLED, Wanted("ada")),
        (ASSIGNED, Wanted("ada", ("bob", "cy"))),
        (SAID, Wanted("ada")),
        (MISSPOKEN, Wanted("ada")),
        (Decide(8, True, "c", "ada"), None),
        (Note("ping"), None),
    ],
)
def test_what_has_to_be_known(order: Order, wanted: Wanted | None) -> None:
    assert authorisation.wanted(order) == wanted


def test_a_crowd_of_assignees_is_not_looked_up_whole() -> None:
    crowd = Start(7, "t", "b", "ada", "pi", None, tuple(f"p{number}" for number in range(50)))
    found = authorisation.wanted(crowd)
    assert found is not None and len(found.members) == authorisation.MOST_ASSIGNEES


@pytest.mark.parametrize("me", ["ada", "Ada"])
@pytest.mark.parametrize("order", [LABELLED, ASSIGNED, SAID, MISSPOKEN])
def test_our_own_account_asks_for_nothing_whatever_it_may(order: Order, me: str) -> None:
    refused = authorisation.refusal(order, Standing(Permission.ADMIN, MEMBER, me))
    assert refused is not None and refused.reason is SkipReason.FROM_OURSELVES
    assert authorisation.refusal(order, Standing(Permission.ADMIN, MEMBER, "adam")) is None


@pytest.mark.parametrize("me", ["", "boatwright-bot"])
def test_who_has_no_name_is_refused_for_want_of_rights(me: str) -> None:
    refused = authorisation.refusal(Say(8, "", "why?", "1"), Standing(Permission.NONE, MEMBER, me))
    assert refused is not None and refused.reason is SkipReason.NOT_ALLOWED


def test_a_merge_by_our_own_account_is_a_merge() -> None:
    assert authorisation.refusal(Decide(8, True, "c", "ada"), Standing(Permission.NONE, me="ada")) is None


def test_what_the_forge_has_let_happen_needs_no_leave() -> None:
    assert authorisation.refusal(Decide(8, False, "c", "eve"), Standing(Permission.NONE)) is None

"""What a forge's no means, in one sentence."""

from __future__ import annotations

import json

import pytest

from boatwright import errors
from boatwright.forge import refusals

WHAT = "issue 7 of ann/sample"


@pytest.mark.parametrize(
    ("status", "headers", "message", "kind", "words"),
    [
        (301, {}, "", errors.NotFound, "has moved"),
        (400, {}, "Problems parsing JSON", errors.BadInput, "Problems parsing JSON"),
        (401, {}, "Bad credentials", errors.Parked, "does not take our token"),
        (403, {}, "Resource not accessible", errors.Parked, "our token lacks the right"),
        (403, {"x-accepted-github-permissions": "issues=write"}, "", errors.Parked, "the right issues=write"),
        (403, {}, "Repository was archived so is read-only.", errors.Refused, "is archived"),
        (404, {}, "Not Found", errors.NotFound, "may not see it"),
        (405, {}, "Not mergeable", errors.Conflict, "Not mergeable"),
        (409, {}, "", errors.Conflict, "as it stands now"),
        (410, {}, "Issues are disabled", errors.NotFound, "is gone"),
        (422, {}, "Validation Failed", errors.BadInput, "Validation Failed"),
        (423, {}, "", errors.Refused, "is archived"),
        (500, {}, "", errors.ForgeUnavailable, "failed"),
        (599, {}, "", errors.ForgeUnavailable, "failed"),
    ],
)
def test_each_status_has_its_error(
    status: int, headers: dict[str, str], message: str, kind: type[errors.BoatwrightError], words: str
) -> None:
    found = refusals.read("GitHub", status, headers, json.dumps({"message": message}).encode(), about=WHAT)
    assert type(found) is kind
    assert words in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("body", [
    {"message": "no \x1b[31m ghp_abcdefghijklmnop1234 \n\x00 there"},
    {"message": "x", "errors": [{"message": "Bearer ghs_abcdefghijklmnop"}, {"code": "custom", "field": "head"}]},
    {"error": {"head": ["token glpat-abcdefghijklmnop is bad"]}},
    ["a", "list"],
])  # fmt: skip
def test_what_it_said_is_plain_and_names_no_token(body: object) -> None:
    said = str(refusals.read("GitHub", 422, {}, json.dumps(body).encode(), about=WHAT))
    assert "abcdefghijklmnop" not in said
    assert said.isprintable()


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"<html>", b"[" * 5_000, b'{"message": 7, "errors": 3}'])
def test_any_body_gives_an_error(body: bytes) -> None:
    assert isinstance(refusals.read("GitHub", 422, {}, body), errors.BadInput)

"""Git's own words where a server does not let us are told from all else it says, and said in ours."""

from __future__ import annotations

import pytest

from boatwright.rules import git_refusals, parking
from boatwright.rules.git_refusals import Asked, Kind

URL = "https://git.example.org:8443/ann/sample.git"
ABLE = f"fatal: unable to access '{URL}/': "


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        (f"fatal: Authentication failed for '{URL}/'", Kind.LOGIN),
        (f"remote: Bad credentials\nfatal: Authentication failed for '{URL}/'", Kind.LOGIN),
        ("error: RPC failed; HTTP 401 curl 22 The requested URL returned error: 401", Kind.LOGIN),
        (f"fatal: could not read Username for '{URL}': terminal prompts disabled", Kind.NONE),
        (f"error: unable to read askpass response from '/bin/false'\nfatal: could not read Password for '{URL}': x", Kind.NONE),
        (f"{ABLE}The requested URL returned error: 403", Kind.RIGHT),
        ("error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403", Kind.RIGHT),
        (f"remote: You have exceeded a secondary rate limit.\n{ABLE}The requested URL returned error: 403", None),
        (f"remote: This repository was archived so it is read-only.\n{ABLE}The requested URL returned error: 403", None),
        (f"remote: Write access not granted.\n{ABLE}The requested URL returned error: 403", Kind.RIGHT),
        (f"{ABLE}The requested URL returned error: 500", None),
        (f"{ABLE}Received HTTP code 403 from proxy after CONNECT", None),
        (f"{ABLE}CONNECT tunnel failed, response 403", None),
        (f"{ABLE}Could not resolve host: git.example.org", None),
        (f"fatal: repository '{URL}/' not found", None),
        (f"remote: fatal: Authentication failed for '{URL}'\nfatal: early EOF", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_git_complains_of(complaint: str, kind: Kind | None) -> None:
    assert git_refusals.kind(complaint) is kind
    refused = git_refusals.refusal(complaint, Asked("read", URL, login=True))
    assert (refused is None) == (kind is None)


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize("kind", list(Kind))
def test_every_refusal_names_what_was_refused_by_whom_and_what_to_do(kind: Kind, login: bool) -> None:
    complaint = {
        Kind.LOGIN: f"fatal: Authentication failed for '{URL}/'",
        Kind.NONE: f"fatal: could not read Username for '{URL}': terminal prompts disabled",
        Kind.RIGHT: f"{ABLE}The requested URL returned error: 403",
    }[kind]
    refused = git_refusals.refusal(complaint, Asked("fetch", URL, login=login, setting="forges.gitea"))
    assert refused is not None and refused.exit_code == 4
    assert refused.code == "credential" and refused.code not in parking.PUBLIC
    said = str(refused)
    assert said.startswith(f"Could not fetch {URL}: git.example.org:8443 ") and "fatal" not in said
    assert git_refusals.DOCTOR in refused.next_moves
    whole = " ".join((said, *refused.next_moves))
    if login and kind is not Kind.NONE:
        assert "'forges.gitea' of settings.yml" in said
    if not login:
        assert f"boatwright repo add {URL}" in whole and "token" in whole

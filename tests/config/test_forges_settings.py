"""``forges:`` of settings.yml: references only, known forges only, names that can be."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import settings


def test_what_is_said_of_a_forge_is_read() -> None:
    text = """
forges:
  github:
    webhook_secret: env:HOOK
    webhook_secrets: {acme/boat: "file:/keys/boat"}
    organisation: acme
    label: boat
    bots: [renovate]
  gitlab: {}
"""
    found = settings.parse(text).forges
    hub = found["github"]
    assert (hub.webhook_secret, hub.webhook_secrets) == ("env:HOOK", {"acme/boat": "file:/keys/boat"})
    assert (hub.organisation, hub.label, hub.bots, hub.listens) == ("acme", "boat", ("renovate",), True)
    assert (found["gitlab"].label, found["gitlab"].listens) == ("agent", False)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("bitbucket: {}", "no forge of this release"),
        ("github: {webhook_secret: hunter2-hunter2}", "secret reference"),
        ("github: {webhook_secrets: {boat: 'env:A'}}", "webhook_secrets"),
        ("github: {webhook_secrets: {a/x: 'env:A', a/y: 'env:A'}}", "of one repository"),
        ("github: {organisation: a/b}", "organisation"),
        ("github: {label: ''}", "label"),
        ("github: {bots: ['a b']}", "bots"),
        ("github: {lable: x}", "label"),
    ],
)
def test_what_cannot_hold_is_refused_by_name(block: str, said: str) -> None:
    with pytest.raises(errors.BadPolicy, match=said) as refused:
        settings.parse(f"forges:\n  {block}\n")
    assert "hunter2" not in str(refused.value)

"""``notify:`` of settings.yml: what it may say, and that what may be a secret is never repeated."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import settings
from boatwright.config.notify import Notify
from boatwright.values.notice import Channel, Topic

HOOK = "webhook: {url: https://hooks.example.org/boats, secret: env:HOOK}"
MAIL = "mail: {host: mail.example.org, from: boats@example.org, to: [ann@example.org]"


def parse(text: str) -> Notify:
    found = settings.parse(f"notify: {{{text}}}").notify
    assert found is not None
    return found


def test_without_it_nobody_is_told() -> None:
    assert settings.parse("").notify is None


def test_a_webhook_hears_of_everything_unless_told_otherwise() -> None:
    found = parse(HOOK)
    assert (found.about, found.channels) == (tuple(Topic), (Channel.WEBHOOK,))
    assert parse(f"about: [parked, failed], {HOOK}").about == (Topic.PARKED, Topic.FAILED)


@pytest.mark.parametrize(
    ("more", "port", "tls"),
    [
        ("", 587, "starttls"),
        (", tls: implicit", 465, "implicit"),
        (", tls: implicit, port: 2465", 2465, "implicit"),
    ],
)
def test_a_mail_server_and_its_usual_port(more: str, port: int, tls: str) -> None:
    mail = parse(f"{MAIL}{more}}}").mail
    assert mail is not None and (mail.at, mail.tls, mail.from_) == (port, tls, "boats@example.org")


def test_both_may_stand_there() -> None:
    assert parse(f"{HOOK}, {MAIL}}}").channels == (Channel.WEBHOOK, Channel.MAIL)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("about: [parked]", "says nobody"),
        ("", "says nobody"),
        (f"about: [sleepy], {HOOK}", "about"),
        (f"about: [], {HOOK}", "about"),
        (f"on: [parked], {HOOK}", "notify"),
        ("webhook: {url: https://h.example.org/x}", "secret"),
        ("webhook: {url: http://h.example.org/x, secret: env:H}", "https"),
        ("webhook: {url: https://ann:hunter2@h.example.org/x, secret: env:H}", "https"),
        ("webhook: {url: 'https://h.example.org/x?token=hunter2', secret: env:H}", "https"),
        ("webhook: {url: https://h.example.org/x, secret: hunter2}", "reference"),
        (f"{MAIL}, password: hunter2, user: ann}}", "reference"),
        (f"{MAIL}, password: env:P}}", "both"),
        (f"{MAIL}, user: ann}}", "both"),
        (f"{MAIL}, tls: none}}", "tls"),
        (f"{MAIL}, port: 0}}", "port"),
        ("mail: {host: mail.example.org, from: boats@example.org, to: []}", "to"),
        ('mail: {host: mail.example.org, from: boats@example.org, to: ["a@b\\nBcc: c@d"]}', "to"),
        ("mail: {host: mail.example.org, from: boats, to: [ann@example.org]}", "from"),
        ("mail: {host: 'mail.example.org/x', from: boats@example.org, to: [ann@example.org]}", "host"),
    ],
)
def test_what_cannot_be_is_refused_and_no_secret_is_repeated(text: str, words: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        parse(text)
    said = str(caught.value) + " ".join(caught.value.next_moves)
    assert words in said and "hunter2" not in said, said

"""Subscriptions people have in place of a key, and for whom the wire may use one.

A Claude subscription's token (``claude setup-token``) is for Claude Code itself: Anthropic's terms say so, and its API
answers other callers with an error. A ChatGPT login (``codex login``) is Codex's, whose backend takes no other caller's
requests. So each is added to the calls of a bottle in which that program runs, and to no other: the planner, the reviewer
and other agents need a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boatwright.stages import keys
from boatwright.stages.house import House
from boatwright.values.usage import ModelRef

CLAUDE_TOKEN = "CLAUDE_CODE_OAUTH_TOKEN"  # noqa: S105 - a variable's name, not a token
CODEX_TOKEN = "tokens.access_token"  # noqa: S105 - where in Codex's file a token stands


@dataclass(frozen=True, slots=True)
class Subscription:
    """One kind of login: whose it is, in words; the one program that may use it; whose models it leads to; the key
    that would do as well.
    """

    name: str
    title: str
    agent: str
    program: str
    models: str
    key: str


CLAUDE = Subscription(
    "claude", "Claude subscription", "claude", "Claude Code", "anthropic", "ANTHROPIC_API_KEY"
)
CHATGPT = Subscription("chatgpt", "ChatGPT login", "codex", "Codex", "openai", "OPENAI_API_KEY")


@dataclass(frozen=True, slots=True)
class Login:
    """A subscription (``egress.spec.LOGINS`` knows its name), and the reference of its token."""

    subscription: Subscription
    secret: str

    @property
    def name(self) -> str:
        return self.subscription.name


def of_program(house: House, provider: str, model: ModelRef) -> Login | None:
    """The subscription with which the program of a bottle asks ``model``; None: with a key.

    What ``logins`` of settings.yml names; else the one this person is logged in with, where no key is named beside it.
    """
    for each in (CLAUDE, CHATGPT):
        if (provider, model.provider) != (each.agent, each.models):
            continue
        named: str | None = getattr(house.settings.logins, each.name)
        own = None if keys.is_named(house, each.models) else found(each, house.environment)
        return Login(each, named or own or "") if named or own else None
    return None


def found(subscription: Subscription, environment: Mapping[str, str]) -> str | None:
    """The reference of the token this person's own log-in left, where there is one."""
    if subscription is CLAUDE:
        return f"env:{CLAUDE_TOKEN}" if environment.get(CLAUDE_TOKEN) else None
    home = environment.get("CODEX_HOME") or (
        f"{environment['HOME']}/.codex" if environment.get("HOME") else ""
    )
    kept = Path(home).absolute() / "auth.json"
    return f"file:{kept}#{CODEX_TOKEN}" if home and kept.is_file() else None

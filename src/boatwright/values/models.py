"""The models of one execution: one, or several that are tried in order when the one before cannot answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from boatwright import errors
from boatwright.values.usage import ModelRef

MOST = 5
"""Models in one list."""

ELSEWHERE = {
    "bedrock": (
        "Amazon Bedrock signs each request with AWS keys and answers in a format of its own, and the wire does "
        "neither",
        ("export ANTHROPIC_API_KEY=… and --model anthropic:NAME",),
    ),
    "vertex": (
        "Vertex AI takes access tokens that last an hour, on paths per project and region, and the wire knows neither",
        ("export ANTHROPIC_API_KEY=… and --model anthropic:NAME",),
    ),
    "azure": (
        "Azure names a deployment in place of a model, so the wire cannot tell a price or a bound from the request",
        ("export OPENAI_API_KEY=… and --model openai:NAME",),
    ),
    "chatgpt": (
        "a ChatGPT login is no provider of models: Codex uses it, in a bottle, for models of openai",
        ("--agent codex --model openai:NAME, and logins: {chatgpt: …} in settings.yml",),
    ),
}
"""What people have and this release does not reach: why, and what to use instead."""


@dataclass(frozen=True, slots=True)
class Models:
    """``anthropic:A``, or ``anthropic:A,anthropic:B``: the first is the one that is asked, the others stand in."""

    refs: tuple[ModelRef, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ``errors.BadInput`` with one sentence. A script is a path, so it may hold commas and stands alone."""
        parts = (text,) if text.startswith("scripted:") else tuple(part.strip() for part in text.split(","))
        for part in parts:
            _refuse_elsewhere(part)
        refs = tuple(ModelRef.parse(part) for part in parts)
        _check(text, refs)
        return cls(refs)

    @property
    def main(self) -> ModelRef:
        return self.refs[0]

    @property
    def chain(self) -> tuple[str, ...]:
        """The names in the order they are tried, as a provider is asked for them; empty when there is one."""
        return tuple(ref.asked for ref in self.refs) if len(self.refs) > 1 else ()

    def __str__(self) -> str:
        return ",".join(str(ref) for ref in self.refs)


def _refuse_elsewhere(text: str) -> None:
    provider = text.partition(":")[0]
    if provider in ELSEWHERE:
        why, moves = ELSEWHERE[provider]
        raise errors.BadInput(f"'{text}' cannot be used: {why}", subject=text, next_moves=moves)


def _check(text: str, refs: tuple[ModelRef, ...]) -> None:
    providers = tuple(dict.fromkeys(ref.provider for ref in refs))
    why = None
    if len(providers) > 1:
        why = f"models that stand in for each other are asked in one protocol, and {' and '.join(providers)} are two"
        why = why if len(providers) == 2 else why.removesuffix("two") + f"{len(providers)}"
    elif len(set(refs)) < len(refs):
        why = "it names a model twice"
    elif len(refs) > MOST:
        why = f"a list has at most {MOST} models"
    if why is not None:
        raise errors.BadInput(
            f"'{text}' cannot be used: {why}",
            subject=text,
            next_moves=(f"--model {refs[0].provider}:NAME,{refs[0].provider}:NAME",),
        )

"""Answers in a shape nobody described: a sentence, never a traceback. And how Gitea and GitLab write times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from boatwright import errors

P = ParamSpec("P")
T = TypeVar("T")


def known(forge: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For a function that reads an answer: what is missing or of another kind is ``errors.ForgeUnavailable``."""

    def mark(read: Callable[P, T]) -> Callable[P, T]:
        @wraps(read)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return read(*args, **kwargs)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise errors.ForgeUnavailable(
                    f"{forge} answered with {read.__name__.replace('_', ' ')} in a shape we do not know",
                    subject=forge,
                    next_moves=("boatwright doctor --forge",),
                ) from error

        return guarded

    return mark


def when(text: Any) -> datetime:
    """A time, in UTC; the beginning of time for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def since(moment: datetime | None) -> dict[str, str]:
    """How GitHub and Gitea are asked for what was written, or changed, since then."""
    return {} if moment is None else {"since": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def changed(said: Mapping[str, Any]) -> datetime | None:
    """When it was last changed; None where that is not said."""
    return when(said["updated_at"]) if said.get("updated_at") else None

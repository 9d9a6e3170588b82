"""Boatwright: an issue goes in, a verified pull request comes out. The public Python API, nothing else.

One agent, one task, one bottle (an isolated place with one metered way out)::

    slug = boatwright.start_headless("claude", prompt="Write the README", copy_cwd=True)
    boatwright.resume_headless(slug, prompt="Shorter, please")
    boatwright.freeze(slug)
    boatwright.destroy(slug)

Each call returns when its work is done. Importing this module loads nothing of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from boatwright.intake.solo_topic import Named
    from boatwright.stages.house import House
    from boatwright.values.solo import Solo

__all__ = ["BottleError", "__version__", "destroy", "freeze", "resume_headless", "start_headless"]

__version__: str

_T = TypeVar("_T")


if not TYPE_CHECKING:  # else every name that is none would be a string to who checks a caller's types

    def __getattr__(name: str) -> str:
        """``__version__``, when somebody asks: to read it takes longer than to import all the rest of this module."""
        if name == "__version__":
            from importlib import metadata  # noqa: PLC0415 - nothing is loaded before it is asked for

            return metadata.version("boatwright")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class BottleError(Exception):
    """The one error of this API: a sentence, what a command would exit with, and the bottle where there is one.

    An agent that ended badly: ``exit_code`` is its own. ``next_moves`` are commands or settings, ready to copy.
    """

    def __init__(
        self, message: str, *, exit_code: int = 1, slug: str | None = None, next_moves: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.slug = slug
        self.next_moves = tuple(next_moves)


def start_headless(
    agent_name: str,
    *,
    prompt: str,
    bottles: Sequence[str] | None = None,
    label: str | None = None,
    color: str | None = None,
    backend_name: str | None = None,
    copy_cwd: bool = False,
    forge_env: Mapping[str, str] | None = None,
    user_cwd: str | PathLike[str] | None = None,
) -> str:
    """Have an agent work on ``prompt`` in a new bottle until it ends; the bottle's name.

    ``bottles`` take the place of the agent's own. ``label`` (default: the agent's name) in use becomes ``label-2``.
    Manifests are those of this host and of the repository around ``user_cwd`` (default: the current directory), at its
    HEAD; ``copy_cwd`` makes that commit the workspace. ``forge_env`` names the issue that the agent may call its forge
    about: ``FORGE_ISSUE``, and ``FORGE_REPOSITORY`` (a path or a URL; default: the repository around ``user_cwd``). The
    login is this host's; none is taken from there. Raises :class:`BottleError`; without a ``slug`` nothing was made.
    """
    from pathlib import Path  # noqa: PLC0415 - nothing is loaded before it is asked for

    from boatwright.intake import solo  # noqa: PLC0415

    _refuse(backend_name)
    topic = _topic(forge_env)
    ask = solo.Ask(
        agent=agent_name, prompt=prompt, cwd=Path(user_cwd or Path.cwd()).expanduser().absolute(),
        bottles=None if bottles is None else tuple(bottles), label=label, color=color, copy_cwd=copy_cwd,
        backend=backend_name, topic=topic,
    )  # fmt: skip
    made: list[Solo] = []

    async def work(house: House) -> Solo:
        wanted = await solo.look(house, ask)
        return await solo.start(house, wanted, prompt, say=_quiet, begun=made.append)

    return _ended(_call(work, lambda: made[0].slug if made else None))


def resume_headless(
    slug: str, *, prompt: str, backend_name: str | None = None, forge_env: Mapping[str, str] | None = None
) -> None:
    """Have the agent of a bottle go on, with its own session; after a freeze in a new bottle. A bottle stays with the
    issue it was begun for: another ``forge_env`` is refused.
    """
    from boatwright.intake import solo  # noqa: PLC0415

    _refuse(backend_name)
    topic = _topic(forge_env)

    async def work(house: House) -> Solo:
        return await solo.resume(
            house, slug, prompt, backend=backend_name, topic=topic, say=_quiet, begun=_quiet
        )

    _ended(_call(work, lambda: slug))


def freeze(slug: str, *, backend_name: str | None = None) -> None:
    """Stop a bottle, keep it as an archive, and let its directories go. A frozen one stays as it is."""
    from boatwright.intake import solo  # noqa: PLC0415

    _refuse(backend_name)
    _call(lambda house: solo.freeze(house, slug), lambda: slug)


def destroy(slug: str, *, backend_name: str | None = None) -> None:
    """Destroy a bottle and all that is kept of it. Idempotent: where there is none, nothing happens."""
    from boatwright.intake import solo  # noqa: PLC0415

    _refuse(backend_name)
    _call(lambda house: solo.destroy(house, slug), lambda: slug)


def _quiet(_: object) -> None:
    """Nobody watches: the bottle's log has it."""


def _refuse(backend_name: str | None) -> None:
    from boatwright import errors  # noqa: PLC0415
    from boatwright.intake import solo  # noqa: PLC0415

    try:
        solo.refuse_backend(backend_name)
    except errors.BadInput as error:
        raise _translated(error, None) from error


def _topic(forge_env: Mapping[str, str] | None) -> Named | None:
    """The issue that is named; None: the agent has no forge to call."""
    from boatwright import errors  # noqa: PLC0415
    from boatwright.intake import solo_topic  # noqa: PLC0415

    try:
        return None if forge_env is None else solo_topic.named(forge_env)
    except errors.BadInput as error:
        raise _translated(error, None) from error


def _call(work: Callable[[House], Coroutine[Any, Any, _T]], slug: Callable[[], str | None]) -> _T:
    """Open the house, do it, close the house; errors of ours become the one of this API."""
    from boatwright import errors  # noqa: PLC0415
    from boatwright.stages.house import House  # noqa: PLC0415

    try:
        house = House.open(producer="api")
        try:
            return _waited(work(house))
        finally:
            house.close()
    except errors.BoatwrightError as error:
        raise _translated(error, slug()) from error


def _waited(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The coroutine's result, also for a caller who is inside an event loop: it waits."""
    import asyncio  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(asyncio.run, coroutine).result()


def _translated(error: Exception, slug: str | None) -> BottleError:
    return BottleError(
        str(error), exit_code=getattr(error, "exit_code", 1), slug=slug,
        next_moves=getattr(error, "next_moves", ()),
    )  # fmt: skip


def _ended(record: Solo) -> str:
    """The bottle's name when its agent finished; its failure, raised, else."""
    from boatwright.stages import solo  # noqa: PLC0415

    end = record.end
    code = solo.exit_code(end) if end else 1
    if end is None or code == 0:
        return record.slug
    own = end.exit_code if code == 1 and end.exit_code else code
    raise BottleError(end.detail or end.stop, exit_code=own, slug=record.slug, next_moves=end.moves)

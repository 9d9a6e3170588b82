"""A new request: look at the repository, hold it against the host's ceiling, write it down once, start a turn."""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from boatwright import errors
from boatwright.agents import registry
from boatwright.agents.protocol import Provider
from boatwright.config.effective import ENVIRONMENT, FLAG, POLICY, Effective, Flags
from boatwright.config.policy import FILE
from boatwright.git import worktree
from boatwright.git.mirror import Mirror
from boatwright.git.remote import Remote
from boatwright.intake import logins
from boatwright.rules import forge_calls, keyed, naming
from boatwright.rules.keyed import Key
from boatwright.stages import ground, keys, scripted, switching, working
from boatwright.stages.house import House
from boatwright.stages.logins import of_program
from boatwright.values.events import FeatureRequested
from boatwright.values.models import Models
from boatwright.values.register import EVERYTHING
from boatwright.values.usage import Cap, ModelRef
from boatwright.workflows.engine import Engine

TITLE_CAP = 200
BODY_CAP = 64_000
_LAST_PORT = 65_535
DEFAULTS = (
    "anthropic:claude-sonnet-5-5",
    "openai:gpt-5",
    "gemini:gemini-2.5-pro",
)
"""The model when nobody named one: the first whose provider has a key."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person asks for, as it was typed. ``repository`` is a path or a URL."""

    repository: str
    text: str | None = None
    issue: int | None = None
    base: str | None = None
    setup: str | None = None
    test: str | None = None
    model: str | None = None
    agent: str | None = None
    bottles: tuple[str, ...] | None = None
    budget: str | None = None
    only_plan: bool = False
    record: bool = False
    by: str = "local"
    key: str | None = None
    """The sender's own name for this request: sent twice under it, it is one execution. None: each time a new one."""
    words: tuple[str, str] | None = None
    """Title and body of the issue as they were when somebody asked; None: as the forge has them now."""


@dataclass(frozen=True, slots=True)
class Accepted:
    execution: str
    request: FeatureRequested
    notices: tuple[str, ...]
    new: bool = True
    """False: this was asked for before, under the same key."""


async def look(house: House, ask: Ask) -> tuple[FeatureRequested, tuple[str, ...]]:
    """Everything that can be refused is refused here, before anything is written or spent."""
    if (ask.text is None) == (ask.issue is None):
        raise errors.BadInput(
            'say what to do: either --text "…" or --issue N, not both', next_moves=('--text "…"', "--issue N")
        )
    repository, mirror = await open_repository(house, ask.repository)
    base_ref, commit = await asyncio.to_thread(mirror.fetch_base, ask.base)
    pinned = ask.base is not None and (await asyncio.to_thread(mirror.find, ask.base)).branch is None
    title, body = await _words(house, repository, ask)
    flags = Flags(
        model=ask.model, agent=ask.agent, bottles=ask.bottles, budget=ask.budget, setup_command=ask.setup,
        test_command=ask.test,
    )  # fmt: skip
    composed = await ground.composed_at(house, mirror, commit, flags, house.environment)
    effective = composed.effective
    await asyncio.to_thread(house.require_bottle, effective.backend)
    refuse_empty(effective.budget, ask.budget, public=effective.sources["budget"] == POLICY)
    agent = registry.provider(composed.provider, composed.manifest)
    models = choose_model(house, effective.model, agent)
    await _refuse_script(house, models.main)
    login = logins.check(house, composed.provider, models.main, effective.budget)
    working.refuse_unheld(agent, composed)
    await asyncio.to_thread(agent.fit, working.host(house))
    request = FeatureRequested(
        repository=repository,
        source=mirror.source,
        issue=ask.issue,
        title=title,
        body=body,
        text_digest=hashlib.sha256(f"{title}\0{body}".encode()).hexdigest(),
        base_ref=base_ref,
        base_commit=commit,
        base_pinned=pinned,
        model=str(models),
        agent=composed.agent,
        provider=composed.provider,
        bottles=ask.bottles,
        budget=effective.budget,
        setup_command=_typed(effective, "setup_command"),
        test_command=_typed(effective, "test_command"),
        only_plan=ask.only_plan,
        recorded=ask.record,
        requested_by=ask.by,
    )
    return request, (*await asyncio.to_thread(worktree.notices, mirror.source), *composed.notices, *login)


def _typed(effective: Effective, name: str) -> str | None:
    """What flag or environment said, fixed here: whoever works on it later has another environment."""
    return getattr(effective, name) if effective.sources[name] in {FLAG, ENVIRONMENT} else None


async def accept(house: House, engine: Engine, ask: Ask, *, private: bool, execution: str = "") -> Accepted:
    """Write the request down and start its first turn. Two at once on one issue: the second gets a Conflict.

    ``private`` keeps the turn for this process (a foreground run); a worker takes over if it dies. ``execution`` is an id
    drawn before: written down under it twice, a request is written once. ``errors.Refused`` where the repository, or
    everything, is switched off, ``errors.KeyTaken`` where its key was sent with another request.
    """
    key = _key(ask)
    if key is not None and (found := await _before(house, engine, key, private=private)):
        return found
    await switching.refuse(house, EVERYTHING)
    request, notices = await look(house, ask)
    await switching.refuse(house, request.repository)
    execution = execution or house.ids.execution_id()
    await house.forge.add_repository(
        request.repository, source=request.source, default_branch=request.base_ref
    )
    await asyncio.to_thread(set_caps, house, execution, request.budget)
    asked = await asyncio.to_thread(engine.request, execution, request, private=private, key=key)
    if asked != execution:  # somebody else's was first, under the same key: this one never was
        await asyncio.to_thread(house.wire.budgets().set_cap, "execution", execution, None)
    return Accepted(execution=asked, request=request, notices=notices, new=asked == execution)


def _key(ask: Ask) -> Key | None:
    """What was asked, whoever asks; a path is the repository it leads to, from wherever on this host."""
    if ask.key is None:
        return None
    asked = {name: part for name, part in asdict(ask).items() if name not in {"by", "key"}}
    return keyed.key(ask.key, {**asked, "repository": resolve_source(ask.repository)})


async def _before(house: House, engine: Engine, key: Key, *, private: bool) -> Accepted | None:
    """What was asked for before is answered without a look at settings, policy or forge; None: nothing was."""
    execution = await asyncio.to_thread(house.ledger.request_keys.find, key)
    if execution is None:
        return None
    # Whoever asked may have been killed before that.
    await asyncio.to_thread(engine.start_turn, execution, private=private)
    first = await asyncio.to_thread(house.ledger.events.newest, execution, (FeatureRequested.type,))
    assert first is not None and isinstance(first.payload, FeatureRequested)
    return Accepted(execution=execution, request=first.payload, notices=(), new=False)


async def open_repository(house: House, named: str) -> tuple[str, Mirror]:
    """The repository id of a path or URL, and its mirror."""
    source = resolve_source(named)
    repository = naming.repository_id(source)
    return repository, await asyncio.to_thread(house.mirror_of, repository, source)


async def register(house: House, named: str) -> str:
    """Make a repository known to the local forge, so that it can hold issues; returns its id."""
    repository, mirror = await open_repository(house, named)
    base_ref, _ = await asyncio.to_thread(mirror.fetch_base, None)
    await house.forge.add_repository(repository, source=mirror.source, default_branch=base_ref)
    return repository


def resolve_source(text: str) -> str:
    """The top of the work tree a path is in, its links resolved, so that one repository has one name; a URL as it is."""
    if "://" in text:
        _refuse_secret(text)
        return text
    if text.startswith("git@"):
        return text
    path = _absolute(text)
    if not path.is_dir():
        raise errors.BadInput(
            f"there is no repository at {path}",
            subject=str(path),
            next_moves=("name a directory or a URL: --repo PATH",),
        )
    return Remote.of(path).address


def _absolute(text: str) -> Path:
    """A path as it was typed; ``~nobody`` stays as it is, and is not there."""
    path = Path(text)
    with suppress(RuntimeError):
        path = path.expanduser()
    return path.absolute()


def _refuse_secret(url: str) -> None:
    """A password in a URL would be written down with it, for ever. Over http a bare user name may be a token."""
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    port = re.sub(r"^\[[^\]]*\]", "", host).partition(":")[2]
    if port.isdecimal() and int(port[:9]) > _LAST_PORT:
        raise errors.BadInput(
            f"the URL of the repository names port {port[:9]}, and there is none above {_LAST_PORT}",
            next_moves=("--repo PATH or URL",),
        )
    secret = at and (":" in user or scheme.lower() in {"http", "https"})
    if secret or (port and not port.isdecimal()):  # a password with a slash in it looks like a port
        host = host.partition(":")[0]
        about = f"the URL of the repository at {host}" if at else "the URL of the repository"
        raise errors.BadInput(
            f"{about} holds a user name or password, and what is asked for is written down",
            subject=host if at else "",
            next_moves=(
                "use ssh and a key of your agent: --repo ssh://git@HOST/PATH",
                "or clone it yourself and name the clone: --repo PATH",
            ),
        )


def choose_model(house: House, asked: str | None, agent: Provider) -> Models:
    """Those that were named, by whomever; else one the agent can ask, of a provider whose key is named or set.

    Raises ``errors.BadInput`` where there is none, or the agent cannot ask the one that was named.
    """
    if asked:
        models = Models.parse(asked)
        if models.main.provider == "scripted":
            models = Models((ModelRef(provider="scripted", name=str(_existing(models.main.name))),))
        agent.speaks(models.main)
        return models
    fitting = [Models.parse(name) for name in DEFAULTS if _can_ask(agent, ModelRef.parse(name))]
    for models in fitting:
        if keys.is_named(house, models.main.provider) or of_program(house, agent.name, models.main):
            return models
    variables = [keys.VARIABLES[models.main.provider] for models in fitting]
    raise errors.BadInput(
        f"no model: no --model was given and {_none_of(variables)} set",
        next_moves=(f"export {variables[0]}=…", "or try without a key: --model scripted:FILE"),
    )


def _can_ask(agent: Provider, model: ModelRef) -> bool:
    try:
        agent.speaks(model)
    except errors.BadInput:
        return False
    return True


def _none_of(variables: list[str]) -> str:
    return f"neither {' nor '.join(variables)} is" if len(variables) > 1 else f"{variables[0]} is not"


def _existing(name: str) -> Path:
    path = _absolute(name)
    if not path.is_file():
        raise errors.BadInput(
            f"there is no scripted model at {path}",
            subject=str(path),
            next_moves=("--model scripted:FILE with a file that exists",),
        )
    return path


async def _words(house: House, repository: str, ask: Ask) -> tuple[str, str]:
    if ask.words is not None:
        title, body = ask.words
        return title[:TITLE_CAP], forge_calls.without(body)[:BODY_CAP]
    if ask.issue is not None:
        return await words_of(house, repository, ask.issue)
    text = (ask.text or "").encode("utf-8", "replace").decode().strip()
    if not text:
        raise errors.BadInput("the text is empty: say what should change", next_moves=('--text "…"',))
    return text.splitlines()[0][:TITLE_CAP], text[:BODY_CAP]


async def words_of(house: House, repository: str, number: int) -> tuple[str, str]:
    """Title and body of an issue as the forge has them now, as much of them as is taken."""
    issue = await house.forge.issue(repository, number)
    return issue.title[:TITLE_CAP], forge_calls.without(issue.body)[:BODY_CAP]


async def _refuse_script(house: House, model: ModelRef) -> None:
    """A script that cannot be read is refused now. One that can is running when the planner asks for it."""
    if model.provider != "scripted":
        return
    try:
        await scripted.ensure(house, Path(model.name))
    except errors.Parked as error:
        raise errors.BadInput(
            str(error), subject=error.subject, next_moves=(f"mend {model.name}",)
        ) from error


def refuse_empty(budget: Cap, asked: str | None, *, public: bool = False) -> None:
    """``public``: whether the base branch asks for it."""
    if budget.usd == 0 or budget.tokens == 0:
        what = f"a budget of {asked or budget} admits no call at all"
        raise errors.BadInput(
            what,
            subject=asked or str(budget),
            next_moves=("--budget 5usd",),
            public=f"{FILE}: {what}" if public else "",
        )


def set_caps(house: House, execution: str, cap: Cap) -> None:
    """The execution's own cap and the host's day, both hard."""
    set_host_cap(house)
    house.wire.budgets().set_cap("execution", execution, cap, hard=True)


def set_host_cap(house: House) -> None:
    """The host's day as settings.yml has it now, and each agent's: asked again whenever work begins or goes on."""
    said = house.settings.budget
    unknown = sorted(said.providers.keys() - set(registry.NAMES))
    if unknown:
        raise errors.BadInput(
            f"'budget.providers.{unknown[0]}' of settings.yml is no agent of this release; "
            f"there are: {', '.join(registry.NAMES)}",
            subject=unknown[0],
            next_moves=(f"remove '{unknown[0]}' from budget in {house.state.settings}",),
        )
    budgets = house.wire.budgets()
    budgets.set_cap("host", "*", said.host_per_day, hard=True)
    for name in registry.NAMES:
        tokens = said.providers.get(name)
        cap = None if tokens is None else Cap(tokens=tokens)
        if cap != budgets.cap("agent", name, daily=True):
            budgets.set_cap("agent", name, cap, hard=True, daily=True)

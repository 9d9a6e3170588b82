"""What an agent may ask for, what an operator may grant, and what the agent is told. Agents' words are untrusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from boatwright import errors
from boatwright.rules import destinations, plain
from boatwright.rules.destinations import Network
from boatwright.values.asking import Ask, AskKind, AskState, Wish
from boatwright.values.usage import Cap

TEXT_CAP, ANSWER_CAP = 4_000, 8_000
"""Characters of what an agent says, and of what it is answered."""


class NotAsked(Exception):
    """This cannot be asked; the sentence is for the agent."""


# --- asking ---


def question(text: str) -> Wish:
    return Wish(AskKind.QUESTION, _words(text, "question"))


def budget(amount: str, reason: str) -> Wish:
    """More of a budget: ``2usd``, ``500ktok``, or both joined by a comma."""
    try:
        more = Cap.parse(amount[:100])
    except errors.BoatwrightError as error:
        raise NotAsked("the amount is not a budget: write dollars as 2usd or tokens as 500ktok") from error
    if not more.usd and not more.tokens:
        raise NotAsked("the amount is nothing: write dollars as 2usd or tokens as 500ktok")
    return Wish(AskKind.BUDGET, _words(reason, "reason"), amount_of(more))


def route(host: str, reason: str) -> Wish:
    """One host to reach by TLS: ``name`` (port 443) or ``name:port``. No pattern: a person shall see what it is."""
    return Wish(AskKind.ROUTE, _words(reason, "reason"), destination(host))


def refuse_closed(wish: Wish, network: str) -> Wish:
    """The wish, unless it is for a route out of a bottle that shall have none: no person need be asked."""
    if wish.kind is AskKind.ROUTE and network == Network.DENY_ALL:
        raise NotAsked("the network policy of this place is deny_all: no host is opened to it")
    return wish


def destination(host: str) -> str:
    """``host:port`` as it is compared. Raises :class:`NotAsked`."""
    name, port = destinations.split(host.strip()[:300])
    known = destinations.canonical(name)
    if known is None or not port:
        raise NotAsked("the host is not one: write a name, or name:port")
    return f"[{known}]:{port}" if ":" in known else f"{known}:{port}"


def amount_of(cap: Cap) -> str:
    """A cap as it can be typed again."""
    usd = [] if cap.usd is None else [f"{cap.usd.normalize():f}usd"]
    return ",".join(usd + ([] if cap.tokens is None else [f"{cap.tokens}tok"]))


def _words(text: str, what: str) -> str:
    said = plain.printable(text).strip()
    if not said:
        raise NotAsked(f"the {what} is empty")
    if len(said) > TEXT_CAP:
        raise NotAsked(f"the {what} has {len(said):,} characters; at most {TEXT_CAP:,} are taken")
    return said


# --- granting ---


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it may be granted; if so what exactly is, else why not and what to do about it."""

    granted: str
    why: str = ""
    next_moves: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return bool(self.granted)


def raised(now: Cap, more: Cap) -> Decision:
    """The cap with ``more`` on top. A unit without a cap has no need of more; one that is cut stays cut."""
    if now.usd == 0 or now.tokens == 0:
        return Decision(
            "", "it has been cut: only a budget set anew lets it go on", ("boatwright budget raise",)
        )
    usd = None if now.usd is None else now.usd + (more.usd or Decimal(0))
    tokens = None if now.tokens is None else now.tokens + (more.tokens or 0)
    if (usd, tokens) == (now.usd, now.tokens):
        return Decision("", f"its cap is {now}: the amount names none of its units", ("--budget 2usd",))
    return Decision(amount_of(Cap(usd=usd, tokens=tokens)))


def opened(wanted: str, widest: str, ceiling: Sequence[str]) -> Decision:
    """``host:port``, where settings.yml allows no network beyond ``widest``, and of hosts those of ``ceiling``."""
    host, _, port = wanted.rpartition(":")
    if widest != Network.ALLOW_LIST:
        return Decision(
            "", f"network.ceiling of settings.yml is {widest}: no host beside that is opened to any bottle",
            ("let the operator set network.ceiling: allow_list in settings.yml, and name the host beside it",),
        )  # fmt: skip
    if not destinations.named(ceiling, host, int(port)):
        listed = ", ".join(ceiling) or "no host"
        return Decision(
            "", f"{wanted} is not within network.allow of settings.yml, which names {listed}",
            ("let the operator name that host under network.allow in settings.yml",),
        )  # fmt: skip
    return Decision(wanted)


# --- telling the agent ---

_TOLD = {
    AskState.OPEN: (
        "There is no answer yet. Go on with what you can do without it; asking the same again, word for word, looks "
        "whether there is one."
    ),
    AskState.NO_OPERATOR: (
        "There is no operator to ask just now. Go on with what you have, and say in your last words what you would "
        "have asked."
    ),
    AskState.WITHDRAWN: "This was asked in an earlier round, and nobody answered before that was over.",
}


def told(ask: Ask) -> str:
    """What the agent is answered, in plain words."""
    if ask.state is AskState.REFUSED:
        return f"The operator refuses: {ask.answer}"
    return _granted(ask) if ask.state is AskState.ANSWERED else _TOLD[ask.state]


def _granted(ask: Ask) -> str:
    note = f" The operator says: {ask.answer}" if ask.answer else ""
    match ask.wish.kind:
        case AskKind.BUDGET:
            return f"Granted: your budget is {Cap.parse(ask.decision)} in all now.{note}"
        case AskKind.ROUTE:
            return f"Granted: {ask.decision} may be reached over the proxy of this place now.{note}"
        case AskKind.QUESTION:
            return ask.answer


def answer(text: str) -> str:
    """An operator's words, as they are kept."""
    said = plain.printable(text).strip()
    if not said:
        raise errors.BadInput("the answer is empty", next_moves=('boatwright asks answer ID "…"',))
    return plain.short(said, ANSWER_CAP)

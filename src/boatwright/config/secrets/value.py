"""A secret as it is held in memory, and what every source says when it has none."""

from __future__ import annotations

from dataclasses import dataclass

from boatwright import errors


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that no repr, log line or traceback shows. ``reveal()`` is the only way to it."""

    _value: str

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def reveal(self) -> str:
        return self._value


def clean(text: str, where: str, blanks: bool = False, lines: bool = False) -> Secret:
    """The text as a secret: printable ASCII without blanks, which is all that may stand in a header. With ``lines`` it
    may have some, as a key in PEM has.
    """
    text = text.strip().replace("\r\n", "\n")
    if not text:
        raise absent(f"{where} is empty", "write the key there")
    lowest = 0x20 if blanks else 0x21
    if any(ord(char) < lowest or ord(char) > 0x7E for char in (text.replace("\n", "") if lines else text)):
        raise absent(
            f"{where} holds something that is not a key (blanks or control characters)", "write the key alone"
        )
    return Secret(text)


def absent(sentence: str, *moves: str) -> errors.Parked:
    """The one error of every source. The sentence names the place, never the value."""
    return errors.Parked(sentence, code="credential", next_moves=(*moves, "boatwright resume EXECUTION"))

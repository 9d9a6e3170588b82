"""Figures in the text format of Prometheus (version 0.0.4): a page that is scraped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    value: Decimal | float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name. All of ours are gauges: what is counted here may also shrink."""

    name: str
    help: str
    samples: tuple[Sample, ...]


def text(families: Iterable[Family]) -> str:
    """The page. A family without a sample is left out; the order is the caller's."""
    return "".join(line for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}\n"
    yield f"# TYPE {family.name} gauge\n"
    for sample in family.samples:
        yield f"{family.name}{_labels(sample.labels)} {_figure(sample.value)}\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    quoted = (f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return "{" + ",".join(quoted) + "}"


def _figure(value: Decimal | float) -> str:
    """Never with an exponent, so that people can read it, too."""
    return f"{Decimal(value):f}" if isinstance(value, Decimal | int) else repr(value)


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(words: str) -> str:
    return _escaped(words).replace('"', '\\"')

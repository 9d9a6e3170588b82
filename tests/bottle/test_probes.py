"""The escape probes against our own bottle."""

from __future__ import annotations

from boatwright.bottle import duties, probes
from boatwright.bottle.backends.host import HostBackend
from boatwright.bottle.probes import Kind, Outcome

MAY_BE_OPEN = {18, 43, 61, 62, 69}


def test_each_number_of_the_catalogue_is_there_exactly_once() -> None:
    numbers = [each.number for each in probes.PROBES]
    assert numbers[:65] == list(range(1, 66)) == list(probes.CATALOGUE)
    assert len(set(numbers)) == len(numbers) and sorted(numbers) == numbers
    assert len({each.what for each in probes.PROBES}) == len(numbers)


def test_each_has_a_class_and_the_open_ones_are_benign() -> None:
    kinds = {each.number: each.kind for each in probes.PROBES}
    assert {number for number, kind in kinds.items() if kind is Kind.BENIGN} == MAY_BE_OPEN
    assert {number for number, kind in kinds.items() if kind is Kind.HOST} == set(duties.DUTIES) - {49}


async def test_every_way_out_is_shut(backend: HostBackend) -> None:
    results = await probes.run(backend)
    assert [each.probe for each in results] == list(probes.PROBES)
    wrong = [each for each in results if not each.fine]
    assert wrong == []
    opened = {each.probe.number for each in results if each.outcome is Outcome.OPEN}
    assert opened <= MAY_BE_OPEN
    assert 62 not in opened, "an empty file lies over the kernel's command line"
    assert probes.verdict(results)
    assert await backend.list() == []

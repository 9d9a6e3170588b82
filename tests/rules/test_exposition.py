"""Figures as a page that is scraped."""

from __future__ import annotations

from decimal import Decimal

import pytest

from boatwright.rules import exposition
from boatwright.rules.exposition import Family, Sample


@pytest.mark.parametrize(
    ("sample", "line"),
    [
        (Sample(3), "x 3"),
        (Sample(0.5), "x 0.5"),
        (Sample(Decimal("0.000000010")), "x 0.000000010"),
        (Sample(10**18), "x 1000000000000000000"),
        (Sample(1, {"a": "b", "c": ""}), 'x{a="b",c=""} 1'),
        (Sample(1, {"a": 'say "hi"\\ \n'}), 'x{a="say \\"hi\\"\\\\ \\n"} 1'),
    ],
)
def test_a_sample_is_a_line(sample: Sample, line: str) -> None:
    page = exposition.text([Family("x", "what it is", (sample,))])
    assert page == f"# HELP x what it is\n# TYPE x gauge\n{line}\n"


def test_a_family_without_a_sample_is_left_out() -> None:
    page = exposition.text(
        [Family("x", "no", ()), Family("y", "two\nlines", (Sample(1), Sample(2, {"a": "b"})))]
    )
    assert page == '# HELP y two\\nlines\n# TYPE y gauge\ny 1\ny{a="b"} 2\n'

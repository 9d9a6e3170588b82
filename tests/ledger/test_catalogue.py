"""The event catalogue names every type, every field and what it means."""

from __future__ import annotations

from boatwright.ledger import catalogue
from boatwright.values.events import REGISTRY


def test_every_type_and_field_is_there() -> None:
    page = catalogue.markdown()
    sections = page.split("\n## ")[1:]
    assert [section.splitlines()[0] for section in sections] == list(REGISTRY)
    for section, model in zip(sections, REGISTRY.values(), strict=True):
        for field in model.model_fields:
            assert f"| `{field}` |" in section
        if model.moves_to:
            assert f"Moves the execution to **{model.moves_to}**." in section


def test_a_section_reads_well() -> None:
    page = catalogue.markdown()
    assert "| `source` | str | Path or URL the history comes from. |" in page
    assert "| `tags`" not in page
    assert "`transcript` | str |" in page
    assert "| `findings` | list of Finding = empty |" in page
    assert "Moves the execution to **PARKED**." in page
    assert "One usage row of the wire" in page
    assert "class " not in page
    assert "typing." not in page

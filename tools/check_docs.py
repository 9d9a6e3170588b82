"""Pages that are generated are what their generator says today (``make check``); ``--write`` makes them so
(``make docs``).

Every generated page is registered here, and nowhere else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def events() -> str:
    from boatwright.ledger import catalogue  # noqa: PLC0415 - each page needs only its own room

    return catalogue.markdown()


def command_line() -> str:
    """The reference of every command, from the parser itself."""
    import typer  # noqa: PLC0415
    from typer.cli import get_docs_for_click  # noqa: PLC0415
    from typer.main import get_command  # noqa: PLC0415

    from boatwright.cli.app import assembled  # noqa: PLC0415

    command = get_command(assembled())
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="boatwright")
    return "<!-- Generated from the command line parser: make docs -->\n\n" + text.rstrip() + "\n"


def stages() -> str:
    import stage_table  # noqa: PLC0415

    return stage_table.markdown()


def policy() -> str:
    from boatwright.config import catalogue  # noqa: PLC0415

    return catalogue.markdown()


def manifests() -> str:
    from boatwright.config import catalogue  # noqa: PLC0415

    return catalogue.manifests()


def forge_matrix() -> str:
    import forge_table  # noqa: PLC0415

    return forge_table.markdown()


def threat_model() -> str:
    import probe_table  # noqa: PLC0415

    return probe_table.markdown()


PAGES: dict[str, Callable[[], str]] = {
    "docs/events.md": events,
    "docs/forge-matrix.md": forge_matrix,
    "docs/cli.md": command_line,
    "docs/manifest-keys.md": manifests,
    "docs/policy.md": policy,
    "docs/stages.md": stages,
    "docs/threat-model.md": threat_model,
}


LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


def broken_links() -> list[str]:
    """Links between pages of ours that lead nowhere."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [
        f"{page.relative_to(ROOT)}: {target} is not there"
        for page in sorted(pages)
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    stale = 0
    for name, generate in PAGES.items():
        path, text = ROOT / name, generate()
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        if there == text:
            continue
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
            continue
        stale += 1
        lines = list(unified_diff(there.splitlines(), text.splitlines(), name, "generated", lineterm="", n=1))
        print("\n".join(lines[:20]))
    broken = [] if write else broken_links()
    print(
        "\n".join([*broken, f"docs: {stale} stale pages (make docs mends them), {len(broken)} broken links"])
    )
    return 1 if stale or broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

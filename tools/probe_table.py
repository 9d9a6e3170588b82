"""The table of probes in docs/threat-model.md, from runs that were kept in docs/probes.json.

usage: boatwright bottle verify --json > run.json
       python tools/probe_table.py NAME run.json        keeps that run under NAME, "bubblewrap, as root" for example

``make docs`` writes the table anew from what is kept, and needs no bottle for it.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "probes.json"
PAGE = ROOT / "docs" / "threat-model.md"
BEGIN = "<!-- Generated from docs/probes.json by tools/probe_table.py: make docs -->\n"
END = "<!-- end of what is generated -->\n"
OUTCOMES = {"shut": "shut", "open": "**open**", "could not be tried": "not tried"}


def markdown() -> str:
    """The page as it stands, with the table of today's kept runs in its place."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + table(json.loads(KEPT.read_text(encoding="utf-8"))) + "\n" + END + after


def table(kept: dict[str, Any]) -> str:
    """One line a probe, one column a run."""
    runs = kept["runs"]
    lines = [
        f"| | class | way out | {' | '.join(name for name in runs)} |",
        f"|--:|---|---|{'---|' * len(runs)}",
    ]
    for probe in kept["probes"]:
        number = str(probe["number"])
        told = (OUTCOMES[run["outcomes"].get(number, "could not be tried")] for run in runs.values())
        what = probe["what"] + (f" ({probe['remark']})" if probe["remark"] else "")
        lines.append(f"| {number} | {probe['class']} | {what} | {' | '.join(told)} |")
    seen = "; ".join(f"{name}: Linux {run['kernel']}, {run['machine']}" for name, run in runs.items())
    return "\n".join([*lines, "", f"Seen on {seen}.", ""])


def keep(name: str, run: dict[str, Any]) -> None:
    """Remember one run. What the probes are is taken from it too: it is a run of today's."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"runs": {}}
    kept["probes"] = [
        {key: probe[key] for key in ("number", "class", "what", "remark")} for probe in run["probes"]
    ]
    kept["runs"][name] = {
        "kernel": ".".join(platform.release().split(".")[:2]),
        "machine": platform.machine(),
        "outcomes": {str(probe["number"]): probe["outcome"] for probe in run["probes"]},
    }
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    name, file = arguments
    keep(name, json.loads(Path(file).read_text(encoding="utf-8")))
    print(f"kept as '{name}' in {KEPT.relative_to(ROOT)}; make docs writes the table")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

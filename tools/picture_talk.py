"""Draw docs/pictures/talk.png: what people see on an issue and on its pull request. The words are the product's own, of one
execution that stands still; a headless Chromium (CHROMIUM, else chromium on PATH) renders them as a forge would.

    .venv/bin/python tools/picture_talk.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from markdown_it import MarkdownIt

from boatwright.rules import pull_text, standing_text
from boatwright.rules.pull_text import PullText
from boatwright.testing import samples
from boatwright.values.finding import Outcome, Verdict
from boatwright.values.plan import Plan, Risk
from boatwright.values.proof import HowRead, ProofVerdict, Word

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "talk.png"
SIZE = "1000,1250"
EXECUTION, BRANCH = "ex-1ngfr6ewnj0n", "boatwright/issue-7-pagination"
PLAN = Plan.model_validate(
    {
        "goal": "Count the last, partly filled page",
        "steps": [
            {"id": "P1", "action": "edit", "path": "tests/test_paginate.py", "acceptance": "21 items make 5 pages of 5"},
            {"id": "P2", "action": "edit", "path": "paginate.py", "acceptance": "pages() counts the last page of 21 items"},
        ],
    }
)  # fmt: skip
TEST = "tests/test_paginate.py::PagesTest::test_the_last_page"
STYLE = """
body { font: 14px/1.5 "DejaVu Sans", sans-serif; color: #1f2328; margin: 24px; }
.said { border: 1px solid #d1d9e0; border-radius: 6px; margin: 0 0 18px; }
.who { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 6px 14px; color: #59636e; }
.words { padding: 2px 14px 8px; } h2 { font-size: 17px; border-bottom: 1px solid #d1d9e0; margin: 12px 0 6px; }
p, ul, ol { margin: 6px 0; }
code { background: #eff1f3; border-radius: 4px; padding: 1px 5px; font: 12.5px "DejaVu Sans Mono"; }
table { border-collapse: collapse; } td, th { border: 1px solid #d1d9e0; padding: 3px 10px; }
"""


class _Change:
    def __init__(self, path: str, added: int, deleted: int) -> None:
        self.path, self.status, self.added, self.deleted = path, "M", added, deleted


def words() -> list[tuple[str, str]]:
    """Where something is said, and what, in Markdown."""
    text = PullText(
        execution=EXECUTION, title="Pagination drops the last page", plan=PLAN, commit=samples.commit("head"), ready=True,
        base_ref="main", issue=7, risk=Risk.LOW, proof=_proof(), gates=(
            Verdict(gate="secure", outcome=Outcome.PASS, summary="No file has other rights than before."),
            Verdict(gate="review", outcome=Outcome.PASS, summary="The change does what was asked."),
        ),
        changes=(_Change("paginate.py", 1, 1), _Change("tests/test_paginate.py", 3, 0)),
        usd=Decimal("0.1029"), tokens=33_365, budget="5 USD", model="anthropic:claude-sonnet-4-5",
        owners={"@ann/pages": ("paginate.py",)},
    )  # fmt: skip
    return [
        ("issue 7: while it works", standing_text.working(cast("Any", _View()), PLAN, commands=True)),
        ("pull request 8: its description", pull_text.body(text)),
        ("pull request 8: the living comment", pull_text.living_comment(text)),
    ]


class _View:
    id, budget, usd, tokens = EXECUTION, "5 USD", Decimal("0.0212"), 6_410


def _proof() -> ProofVerdict:
    sentence = f"{TEST} fails on the old code and passes on the new."
    return ProofVerdict(
        word=Word.PROVEN, commit=samples.commit("head"), sentence=sentence, how_read=HowRead.JUNIT, fixed=(TEST,),
        still_passing=6,
    )  # fmt: skip


def page() -> str:
    render = MarkdownIt("commonmark", {"html": True}).enable("table").render
    said = (
        f'<div class="said"><div class="who"><b>boatwright-bot</b> · {where}</div>'
        f'<div class="words">{render(text)}</div></div>'
        for where, text in words()
    )
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{''.join(said)}"


def main() -> int:
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        print("picture: no chromium is on PATH: install one, or say CHROMIUM=/path/to/it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "talk.html"
        file.write_text(page(), encoding="utf-8")
        sandbox = (
            ["--no-sandbox"] if os.geteuid() == 0 else []
        )  # its own sandbox refuses root; the page is ours
        subprocess.run(
            [
                browser, "--headless", *sandbox, "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={scratch}/profile",
                f"--window-size={SIZE}", f"--screenshot={PICTURE}", file.as_uri(),
            ],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip
    print(f"drew {PICTURE.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

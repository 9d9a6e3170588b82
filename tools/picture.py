"""Draw docs/pictures/top.svg: ``boatwright top`` over a board that stands still, so that it is the same whenever drawn."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from textual.widgets import Footer

from boatwright.cli.top.app import TopApp
from boatwright.egress.budget import UsageRow
from boatwright.egress.client import Denial
from boatwright.rules.board import Place, bindings
from boatwright.rules.budget import Scope
from boatwright.stages.board import Board, Details, Row
from boatwright.testing.board import DAY, MOMENT, FixedSource, account, board, row
from boatwright.values.usage import Usage

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "pictures" / "top.svg"
SIZE = (142, 34)
FACE = re.compile(r"\s*@font-face\s*\{[^}]*\}")
COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
FONT = "DejaVu Sans Mono, Liberation Mono, Consolas, monospace"
LARGEST = 200_000
HOST = account(Scope.HOST, "*", 50, period=DAY, hard=True, used=(6.4213, 0), held=(0.8220, 0))


def bottles() -> Board:
    """One of each kind that a person meets."""
    return board(_claude(), _codex(), _pi(), _cut(), resting=3, host=bindings([HOST]))


def _claude() -> Row:
    agent = account(
        Scope.AGENT, "claude", None, 5_000_000, period=DAY, hard=True, used=(0, 1_830_400), held=(0, 41_000)
    )
    own = account(Scope.EXECUTION, "ex-1ngfr6ewnj0n", 5, hard=True, used=(3.1240, 0), held=(0.4110, 0))
    made = row(
        "ex-1ngfr6ewnj0n-agent", [agent, own, HOST], agent="implementer", state="EXECUTING", stage="build", calls=14,
        tokens=841_220, usd=Decimal("3.1240"), held_usd=Decimal("0.4110"), connections=2, refused=3,
        words="Bash: python -m pytest tests/test_paginate.py",
    )  # fmt: skip
    return replace(made, age=754.0)


def _codex() -> Row:
    own = account(
        Scope.EXECUTION, "ex-1ngfs20m7c4d", None, 2_000_000, hard=True, used=(0, 412_077), held=(0, 66_000)
    )
    return row(
        "ex-1ngfs20m7c4d-agent", [own, HOST], agent="codex", provider="codex", state="EXECUTING", stage="build",
        calls=9, tokens=412_077, usd=Decimal("0.0000"), model="openai:gpt-5-codex", age=301.0,
    )  # fmt: skip


def _pi() -> Row:
    own = account(Scope.EXECUTION, "man-page.0761fcaa", 2, hard=True, used=(0.2217, 0), held=(0.0900, 0))
    return row(
        "man-page",
        [own, HOST],
        agent="pi",
        provider="pi",
        calls=6,
        tokens=60_315,
        usd=Decimal("0.2217"),
        age=96.0,
    )


def _cut() -> Row:
    own = account(Scope.EXECUTION, "ex-1nge07kq2v9h", 0, 0, hard=True, used=(4.8812, 912_000))
    return row(
        "ex-1nge07kq2v9h-agent", [own, HOST], state="PARKED", stage="build", place=Place.STOPPED, calls=0,
        tokens=912_000, usd=Decimal("4.8812"), wire="cut", connections=0, age=5_400.0,
        words="the execution ex-1nge07kq2v9h has been cut: it may spend nothing more",
    )  # fmt: skip


def details() -> Details:
    calls = [_call(number, seconds) for number, seconds in enumerate((2, 9, 17, 26))]
    denials = (
        Denial("denied", "telemetry.example:443", "this host is not on the wire's list", 3, MOMENT - timedelta(seconds=48)),
    )  # fmt: skip
    return Details(tuple(calls), denials)


def _call(number: int, seconds: int) -> UsageRow:
    spent = (0.0312, 0.0287, 0.0301, 0.1164)[number]
    return UsageRow(
        id=number, reservation=f"r{number}", execution="ex-1ngfr6ewnj0n", purpose="build", provider="anthropic",
        model="claude-sonnet-4-5", usage=Usage(input=2_114, cache_read=21_480, output=612 + 97 * number),
        usd=Decimal(str(spent)), reserved_usd=Decimal("0.41"), reserved_tokens=41_000, source="provider", status=200,
        at=MOMENT - timedelta(seconds=seconds), prices="", price_table="",
    )  # fmt: skip


class Nobody:
    """Actions of a picture: there are none."""

    async def cut(self, row: Row) -> str:
        return row.slug

    freeze = kill = cut

    async def raise_(self, row: Row, amount: str) -> str:
        return f"{row.slug} {amount}"


async def draw() -> str:
    """The picture as SVG, with no address in it but its own namespace."""
    app = TopApp(FixedSource(bottles(), details=details()), Nobody())
    async with app.run_test(size=SIZE) as pilot:
        while app.frames < 1 or not app.query_one(Footer).children:
            await pilot.pause()
        await pilot.pause()
        drawn = app.export_screenshot(title="boatwright top", simplify=True)
    return tidy(drawn)


def tidy(drawn: str) -> str:
    """Fonts of the reader's own, ids that do not change, nothing that is fetched."""
    text = COMMENT.sub("", FACE.sub("", drawn)).replace("Fira Code", FONT)
    for number, name in enumerate(dict.fromkeys(re.findall(r"terminal-\d+", text))):
        text = text.replace(name, f"top{number or ''}")
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    outside = set(re.findall(r"https?://[^\s\"')<]+", text)) - {"http://www.w3.org/2000/svg"}
    if outside or len(text) > LARGEST:
        raise SystemExit(
            f"the picture has {len(text):,} bytes and names {', '.join(sorted(outside)) or 'nobody'}"
        )
    return text


def main() -> int:
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(asyncio.run(draw()), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)} ({PICTURE.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

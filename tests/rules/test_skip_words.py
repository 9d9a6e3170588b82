"""The vocabulary of skip reasons is the one the documentation explains, word for word and in its order."""

from __future__ import annotations

import re
from pathlib import Path

from boatwright.values.order import Verb
from boatwright.values.skipping import SkipReason

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")


def test_every_reason_is_explained_once_and_no_other() -> None:
    table = PAGE.partition("## Why a delivery was ignored")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == [reason.value for reason in SkipReason]


def test_every_command_is_explained() -> None:
    table = PAGE.partition("| `/boatwright …` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z]+)", table, re.MULTILINE) == [verb.value for verb in Verb]

"""One SQLite file opened more than once by one process, while other processes come and go.

SQLite's locks belong to the process, not to the connection. Whoever lets go of them by accident is no longer there for
other processes: the last of those to leave takes the write-ahead log away, and what is written into the log that is
gone is committed for nobody.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from boatwright import errors
from boatwright.ledger.database import Database

ANOTHER = """
import sys
from sqlalchemy import text
from boatwright.ledger.database import Database
database = Database.open(sys.argv[1])
with database.write() as connection:
    connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": sys.argv[2]})
    print(*connection.execute(text("SELECT word FROM words ORDER BY rowid")).scalars())
database.dispose()
"""


def another_says(url: str, word: str) -> list[str]:
    """A process opens the database, writes, reads what there is, and leaves in order."""
    argv = [sys.executable, "-c", ANOTHER, url, word]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.split()


def said(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT word FROM words ORDER BY rowid")).scalars())


def say(database: Database, word: str) -> None:
    with database.write() as connection:
        connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})


@pytest.mark.parametrize("way", ["the same name", "another name"])
def test_what_one_commits_everybody_sees(tmp_path: Path, way: str) -> None:
    url = again = f"sqlite:///{tmp_path / 'x.db'}"
    first = Database.open(url)
    with first.write() as connection:
        connection.execute(text("CREATE TABLE words (word TEXT)"))
    if way == "another name":
        (tmp_path / "link.db").symlink_to(tmp_path / "x.db")
        again = f"sqlite:///{tmp_path / 'link.db'}"
    say(first, "a")
    second = Database.open(again)
    assert another_says(url, "b") == ["a", "b"]
    say(first, "c")
    say(second, "d")
    assert another_says(url, "e") == said(first) == said(second) == ["a", "b", "c", "d", "e"]
    second.dispose()
    say(first, "f")
    assert another_says(url, "g") == said(first) == ["a", "b", "c", "d", "e", "f", "g"]
    first.dispose()


def test_opening_is_no_reason_to_open_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is there nor one that is made: closing it again is what drops the locks."""
    opened = []
    true_open = os.open

    def noted(path: str, flags: int, *more: int, **named: int) -> int:
        opened.append(path)
        return true_open(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", noted)
    for _ in range(2):
        Database.open(f"sqlite:///{tmp_path / 'x.db'}")
    assert opened == []
    assert stat.S_IMODE((tmp_path / "x.db").stat().st_mode) == 0o600


def test_a_name_that_leads_to_nothing_yet_is_made_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "there.db")
    Database.open(f"sqlite:///{tmp_path / 'link.db'}")
    assert stat.S_IMODE((tmp_path / "there.db").stat().st_mode) == 0o600


def test_a_read_only_file_system_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(errors.StoreUnavailable, match="x.db cannot be used: this user may not"):
        Database.open(f"sqlite:///{path}")
    flags = os.statvfs_result((*os.statvfs(path)[:8], os.ST_RDONLY, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: flags)
    with pytest.raises(errors.StoreUnavailable, match="x.db cannot be used: the file system is read-only"):
        Database.open(f"sqlite:///{path}")

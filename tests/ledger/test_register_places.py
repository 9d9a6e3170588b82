"""Where a registered repository lives among people."""

from __future__ import annotations

from boatwright.ledger.database import Database
from boatwright.ledger.repositories import Repositories
from boatwright.testing.clock import FakeClock
from boatwright.values.place import ForgePlace

URL = "https://github.com"


def register(database: Database) -> Repositories:
    made = Repositories(database, FakeClock())
    made.add("here", source="/srv/here", forge="local", base_url="", path="", by="ann")
    made.add(
        "there", source=f"{URL}/ann/sample.git", forge="github", base_url=URL, path="ann/sample", by="ann"
    )
    return made


def test_what_is_local_or_unknown_has_no_place(database: Database) -> None:
    made = register(database)
    assert made.place("here") is None
    assert made.place("nowhere") is None


def test_a_place_follows_a_rename_and_outlives_a_removal(database: Database) -> None:
    made = register(database)
    assert made.place("there") == ForgePlace("github", URL, "ann/sample")
    made.rename("there", "bob/sample")
    made.remove("there")
    place = made.place("there")
    assert place == ForgePlace("github", URL, "bob/sample")
    assert place is not None
    assert place.url == f"{URL}/bob/sample.git"

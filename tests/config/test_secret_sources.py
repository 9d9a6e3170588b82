"""Secrets in a keyring and in Vault: asked for by the real libraries, from sources that tests can lock and seal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.secrets import keyrings
from boatwright.testing.keyring_file import BACKEND
from boatwright.testing.vault import Vault

KEY = "sk-very-secret-1"
TOKEN = "hvs.token-of-a-test"


def why(reference: str, environment: Mapping[str, str]) -> str:
    """The sentence a source parks with; no value, token or trace of one is in it."""
    with pytest.raises(errors.Parked) as parked:
        secrets.resolve(reference, environment=environment)
    assert parked.value.code == "credential"
    assert parked.value.next_moves[-1] == "boatwright resume EXECUTION" and len(parked.value.next_moves) > 1
    said = " ".join([str(parked.value), *parked.value.next_moves, repr(parked.value.__cause__)])
    assert KEY not in said and TOKEN not in said and "\n" not in str(parked.value)
    return str(parked.value)


# --- keyring -------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> dict[str, str]:
    """A caller whose keyring is a file."""
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    return {
        **bare,
        "PYTHON_KEYRING_BACKEND": BACKEND,
        "XDG_DATA_HOME": str(tmp_path),
        "MODEL_KEY": "not this",
    }


def put(desk: Mapping[str, str], **entries: str) -> None:
    Path(desk["XDG_DATA_HOME"], "keyring.json").write_text(json.dumps({"boatwright/model": KEY, **entries}))


def test_a_keyring_is_read_by_service_and_name(desk: dict[str, str]) -> None:
    put(desk)
    secret = secrets.resolve("keyring:boatwright/model", environment=desk)
    assert secret.reveal() == KEY and KEY not in repr(secret)


def test_a_keyring_without_the_entry(desk: dict[str, str]) -> None:
    put(desk)
    assert why("keyring:boatwright/other", desk) == "the keyring holds nothing under keyring:boatwright/other"


def test_a_locked_keyring(desk: dict[str, str]) -> None:
    put(desk, locked="yes")
    assert (
        why("keyring:boatwright/model", desk) == "the keyring that holds keyring:boatwright/model is locked"
    )


def test_a_keyring_that_waits_for_somebody_counts_as_locked(
    desk: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens a pipe nobody writes to, as an unlocking window waits for somebody who is not there."""
    os.mkfifo(tmp_path / "keyring.json")
    monkeypatch.setattr(keyrings, "SECONDS", 1.5)
    assert "is locked" in why("keyring:boatwright/model", desk)


def test_no_keyring_at_all(desk: dict[str, str]) -> None:
    desk["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    assert "there is no keyring here" in why("keyring:boatwright/model", desk)


def test_a_backend_that_breaks(desk: dict[str, str]) -> None:
    desk["PYTHON_KEYRING_BACKEND"] = "nothing.of.that.Name"
    assert "could not be read" in why("keyring:boatwright/model", desk)


def test_the_library_of_keyrings_is_an_extra(desk: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise ImportError")
    desk["PYTHONPATH"] = str(tmp_path)
    assert "needs the library keyring, which is not installed" in why("keyring:boatwright/model", desk)


# --- Vault ---------------------------------------------------------------------------------------------------

HELD = {"secret/team/model": {"key": KEY, "number": 5, "lines": "a\nb"}, "old/model": {"key": KEY}}


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault(HELD, token=TOKEN, versions={"old": "1"}) as made:
        yield made


@pytest.fixture
def caller(vault: Vault) -> dict[str, str]:
    return {"VAULT_ADDR": vault.address, "VAULT_TOKEN": TOKEN}


@pytest.mark.parametrize("path", ["secret/team/model", "secret/data/team/model", "old/model"])
def test_a_field_of_either_version(caller: dict[str, str], path: str) -> None:
    assert secrets.resolve(f"vault:{path}#key", environment=caller).reveal() == KEY


def test_the_namespace_is_said(caller: dict[str, str], vault: Vault) -> None:
    vault.namespace = "team"
    assert "does not let this token read" in why("vault:secret/team/model#key", caller)
    caller["VAULT_NAMESPACE"] = "team"
    assert secrets.resolve("vault:secret/team/model#key", environment=caller).reveal() == KEY


@pytest.mark.parametrize("name", ["named", ".vault-token"])
def test_the_token_may_be_in_a_file(caller: dict[str, str], tmp_path: Path, name: str) -> None:
    del caller["VAULT_TOKEN"]
    (tmp_path / name).write_text(TOKEN + "\n")
    (tmp_path / name).chmod(0o600)
    caller |= {"HOME": str(tmp_path)} if name.startswith(".") else {"VAULT_TOKEN_FILE": str(tmp_path / name)}
    assert secrets.resolve("vault:secret/team/model#key", environment=caller).reveal() == KEY
    (tmp_path / name).chmod(0o644)
    assert "is open to others" in why("vault:secret/team/model#key", caller)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("vault:secret/team/model#other", "has no field other"),
        ("vault:secret/team/model#number", "not text in the field number"),
        ("vault:secret/team/model#lines", "not a key"),
        ("vault:secret/team/none#key", "Vault has nothing at secret/team/none"),
        ("vault:old/none#key", "Vault has nothing at old/none"),
        ("vault:nowhere/at/all#key", "does not let this token read"),
    ],
)
def test_what_is_not_there(caller: dict[str, str], reference: str, words: str) -> None:
    assert words in why(reference, caller)


def test_a_token_that_has_expired(caller: dict[str, str], vault: Vault) -> None:
    vault.token = "another"
    assert "it has expired, or no policy allows it" in why("vault:secret/team/model#key", caller)


def test_a_sealed_vault(caller: dict[str, str], vault: Vault) -> None:
    vault.sealed = True
    assert "is sealed or down" in why("vault:secret/team/model#key", caller)


def test_a_vault_that_is_away(caller: dict[str, str]) -> None:
    caller["VAULT_ADDR"] = "http://127.0.0.1:9"
    assert "cannot be reached" in why("vault:secret/team/model#key", caller)


def test_the_token_does_not_follow_a_redirect(caller: dict[str, str], vault: Vault) -> None:
    with Vault(HELD, token=TOKEN) as elsewhere:
        vault.redirects_to = elsewhere.address
        assert "answered something else" in why("vault:secret/team/model#key", caller)
        assert elsewhere.asked == []


def test_no_proxy_of_the_environment_sees_the_token(
    caller: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert secrets.resolve("vault:secret/team/model#key", environment=caller).reveal() == KEY


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "VAULT_ADDR is not set"),
        ("http://vault.example", "must be https://HOST"),
        ("https://user:word@vault.example", "must be https://HOST"),
        ("vault.example:8200", "must be https://HOST"),
    ],
)
def test_addresses_no_token_is_sent_to(caller: dict[str, str], address: str, words: str) -> None:
    assert words in why("vault:secret/team/model#key", {**caller, "VAULT_ADDR": address})


def test_no_token(caller: dict[str, str], tmp_path: Path) -> None:
    del caller["VAULT_TOKEN"]
    assert "there is no token for Vault" in why(
        "vault:secret/team/model#key", {**caller, "HOME": str(tmp_path)}
    )


def test_the_library_of_vault_is_an_extra(caller: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    assert "needs the library hvac, which is not installed" in why("vault:secret/team/model#key", caller)


# --- who can resolve what ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "environment", "alone"),
    [
        ("env:KEY", {}, False),
        ("file:/etc/key", {}, True),
        ("keyring:a/b", {}, True),
        ("vault:a/b#c", {}, True),
        ("vault:a/b#c", {"VAULT_TOKEN": "t"}, False),
    ],
)
def test_whether_any_process_of_this_user_can(
    reference: str, environment: dict[str, str], alone: bool
) -> None:
    assert secrets.is_standalone(reference, environment) is alone


def test_surroundings_hold_no_secret() -> None:
    everything = dict.fromkeys((*keyrings.SURROUNDINGS, "VAULT_ADDR", "VAULT_TOKEN", "OPENAI_API_KEY"), "x")
    for reference in ("env:OPENAI_API_KEY", "file:/k", "keyring:a/b", "vault:a/b#c"):
        assert not {"VAULT_TOKEN", "OPENAI_API_KEY"} & secrets.surroundings(reference, everything).keys()
    assert secrets.surroundings("vault:a/b#c", everything)["VAULT_ADDR"] == "x"

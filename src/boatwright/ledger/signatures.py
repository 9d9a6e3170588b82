"""Signed heads: a chain cannot show that its end was cut off, so this host signs where the ledger stood.

The Ed25519 key and a copy of the newest signed head lie in the state directory, mode 0600; the head is in
the ledger as well. Who can write both, and read the key, can forge both: this finds truncation and old
copies, not a thief of the whole host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, insert, select, update

from boatwright import errors
from boatwright.ledger import files, verification
from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, ledger_head, ledger_signatures, stream_heads, to_text
from boatwright.ledger.verification import SignedHead
from boatwright.values.clock import Clock

_DOMAIN = b"boatwright ledger head 1\n"


MISSING = "the signed head is missing in "
MISSING_ROW = f"{MISSING}the ledger"


class HeadSigner:
    """Signs the ledger's head with the key ``ledger.key`` in ``directory``, and finds what was signed
    before.
    """

    def __init__(self, database: Database, directory: Path, clock: Clock) -> None:
        self._database = database
        self._key_file = directory / "ledger.key"
        self._head_file = directory / "ledger.head"
        self._clock = clock

    def sign_head(self) -> SignedHead:
        """Sign where the ledger stands now. Makes the key at first use."""
        key = self._load() or self._make()
        with self._database.write() as connection:
            # The head row is held, so that heads of several processes are written in order.
            connection.execute(update(ledger_head).values(position=ledger_head.c.position))
            head = self._sign(connection, key)
            mine = ledger_signatures.c.public_key == head.public_key
            connection.execute(delete(ledger_signatures).where(mine))
            connection.execute(insert(ledger_signatures).values(**asdict(head)))
            files.write(self._head_file, canonical(asdict(head)).encode("ascii"))
        return head

    def newest(self) -> tuple[list[SignedHead], list[str]]:
        """The heads this host signed, from the ledger and from the file beside the key; and what is wrong
        with them.
        """
        key = self._load()
        if key is None:
            return [], []
        heads, problems = [], []
        for place, head in (
            ("the ledger", self._from_ledger(key)),
            (str(self._head_file), self._from_file()),
        ):
            if head is None:
                problems.append(f"{MISSING}{place}")
            elif not _genuine(key, head):
                problems.append(f"the signed head in {place} does not carry this host's signature")
            else:
                heads.append(head)
        if not self._head_file.exists() and not heads:
            return [], []  # there is a key, and nothing was signed yet
        if (
            heads
        ):  # the file is written just before its row is committed: a kill in between leaves the file alone
            problems = [problem for problem in problems if problem != MISSING_ROW]
        return heads, problems

    def _sign(self, connection: Connection, key: Ed25519PrivateKey) -> SignedHead:
        position = int(connection.execute(select(ledger_head.c.position)).scalar_one())
        ends = connection.execute(select(stream_heads.c.stream, stream_heads.c.sequence, stream_heads.c.hash))
        digest = verification.digest([list(end) for end in ends])
        signed, public = to_text(self._clock.now()), _public(key)
        message = _message(position=position, digest=digest, signed=signed, public_key=public)
        return SignedHead(position, digest, signed, public, key.sign(message).hex())

    def _from_ledger(self, key: Ed25519PrivateKey) -> SignedHead | None:
        query = select(ledger_signatures).where(ledger_signatures.c.public_key == _public(key))
        with self._database.read() as connection:
            row = (
                connection.execute(query.order_by(ledger_signatures.c.position.desc()).limit(1))
                .mappings()
                .first()
            )
        return None if row is None else _head(row)

    def _from_file(self) -> SignedHead | None:
        try:
            return _head(json.loads(files.read(self._head_file)))
        except (errors.NotFound, ValueError, TypeError, KeyError):
            return None

    def _load(self) -> Ed25519PrivateKey | None:
        try:
            text = files.read(self._key_file)
        except errors.NotFound:
            return None
        try:
            key = serialization.load_pem_private_key(text, password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise errors.StoreUnavailable(
                f"{self._key_file} does not hold the ledger's signing key",
                subject=str(self._key_file),
                next_moves=("restore it from a copy, or move it away: the next signature makes a new one",),
            )
        return key

    def _make(self) -> Ed25519PrivateKey:
        """A new key, unless another process was quicker: then that one."""
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.write_once(self._key_file, text)
        return self._load() or key


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _message(**fields: str | int) -> bytes:
    return _DOMAIN + canonical(fields).encode("ascii")


def _head(row: Mapping[Any, Any]) -> SignedHead:
    return SignedHead(
        position=int(row["position"]),
        digest=str(row["digest"]),
        signed=str(row["signed"]),
        public_key=str(row["public_key"]),
        signature=str(row["signature"]),
    )


def _genuine(key: Ed25519PrivateKey, head: SignedHead) -> bool:
    message = _message(
        position=head.position, digest=head.digest, signed=head.signed, public_key=_public(key)
    )
    try:
        key.public_key().verify(bytes.fromhex(head.signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True

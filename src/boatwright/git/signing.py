"""Signatures of commits with an SSH key, as git and the forges read them (``gpg.format = ssh``).

The same commit and key give the same signature, because a redone step must make the same commit id. Keys whose
signatures differ each time (ECDSA, keys on hardware) are refused. The envelope is OpenSSH's ``PROTOCOL.sshsig``.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Callable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from boatwright import errors

Signer = Callable[[bytes], bytes]
"""The armoured signature of a commit's bytes."""

_MAGIC, _VERSION, _NAMESPACE, _HASH = b"SSHSIG", 1, b"git", b"sha512"
_COLUMNS = 70


def signer(key: bytes) -> Signer:
    """Signs with a private key as ``ssh-keygen -t ed25519`` (or ``rsa``) writes it, without a pass phrase.

    ``errors.BadInput``, which repeats nothing of the key, for anything else.
    """
    private = _private(key)
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    blob = base64.b64decode(public.split()[1])

    def sign(data: bytes) -> bytes:
        envelope = (
            _MAGIC + _VERSION.to_bytes(4, "big")
            + b"".join(map(_string, (blob, _NAMESPACE, b"", _HASH, _signature(private, _hashed(data)))))
        )  # fmt: skip
        return _armoured(envelope)

    return sign


def signed(commit: bytes, armoured: bytes, header: str) -> bytes:
    """The commit's bytes with the signature as their last header, where ``git verify-commit`` looks for it."""
    head, blank, message = commit.partition(b"\n\n")
    return head + b"\n" + header.encode() + b" " + armoured.strip().replace(b"\n", b"\n ") + blank + message


def _private(key: bytes) -> Ed25519PrivateKey | RSAPrivateKey:
    try:
        private = load_ssh_private_key(key.strip() + b"\n", password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unfit("is no private SSH key that can be read without a pass phrase") from error
    if not isinstance(private, Ed25519PrivateKey | RSAPrivateKey):
        raise _unfit(
            "is of a kind whose signatures differ each time; a redone step must make the same commit"
        )
    return private


def _unfit(why: str) -> errors.BadInput:
    return errors.BadInput(
        f"the key that commits are signed with (git.signing_key) {why}",
        next_moves=("ssh-keygen -t ed25519 -N '' -f boatwright-signing",),
    )


def _hashed(data: bytes) -> bytes:
    """What is signed: the namespace keeps a signature made for git from meaning anything elsewhere."""
    return _MAGIC + b"".join(map(_string, (_NAMESPACE, b"", _HASH, hashlib.sha512(data).digest())))


def _signature(private: Ed25519PrivateKey | RSAPrivateKey, data: bytes) -> bytes:
    if isinstance(private, Ed25519PrivateKey):
        return _string(b"ssh-ed25519") + _string(private.sign(data))
    return _string(b"rsa-sha2-512") + _string(private.sign(data, PKCS1v15(), SHA512()))


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _armoured(envelope: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(envelope).decode(), _COLUMNS)
    return "\n".join(("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", "")).encode()

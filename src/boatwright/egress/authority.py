"""The wire's own authority: it certifies the hosts whose TLS ends here, and only bottles trust it.

One per state directory, its key in a file only this user may read; leaf certificates live in memory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.rules import destinations
from boatwright.values.clock import Clock

FILE = "authority.pem"
LASTS = timedelta(days=3_650)
RENEWED = timedelta(days=60)
"""So long before its end a new one is made."""
LEAF_LASTS = timedelta(days=30)
LEAF_USED = timedelta(days=7)
EARLIER = timedelta(days=1)
"""Certificates begin a little before they are made: clocks differ."""
MOST_KEPT = 512


class Authority:
    """Makes server contexts by host. Not for several threads."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, clock: Clock) -> None:
        self._key = key
        self._certificate = certificate
        self._clock = clock
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: dict[str, tuple[datetime, ssl.SSLContext]] = {}

    @classmethod
    def open(cls, state: StateDir, clock: Clock) -> Authority:
        """The authority of this state directory, made when there is none or it has come near its end."""
        path = state.root / FILE
        try:
            found = _read(path)
            if found is None or found[1].not_valid_after_utc - clock.now() < RENEWED:
                found = _make(path, clock.now(), over=found is not None)
        except OSError as error:
            raise errors.StoreUnavailable(
                f"{path} cannot be used: {error.strerror}",
                subject=str(path),
                next_moves=("check the state directory's owner and free space",),
            ) from error
        return cls(*found, clock)

    @property
    def pem(self) -> bytes:
        """The certificate that bottles trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """What ends TLS for ``host``: HTTP/1.1 only, and for a client that asks for exactly this name."""
        now = self._clock.now()
        made, context = self._contexts.get(host, (None, None))
        if made is None or context is None or not made <= now < made + LEAF_USED:
            context = _context(host, self._leaf(host, now), self._leaf_key)
            while len(self._contexts) >= MOST_KEPT:
                self._contexts.pop(next(iter(self._contexts)))
            self._contexts[host] = now, context
        return context

    def _leaf(self, host: str, now: datetime) -> x509.Certificate:
        number = destinations.address(host)
        name = x509.IPAddress(ip_address(host)) if number is not None else x509.DNSName(host)
        made = _builder(_name("boatwright wire"), self._certificate.subject, self._leaf_key, now, LEAF_LASTS)
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            made.add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(signer, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _read(path: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
    """Key and certificate; None when there is no file. ``Refused`` when others may read it, or it is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            raise errors.Refused(
                f"{path} may be read by others: whoever has it can pose as any host towards bottles",
                subject=str(path),
                next_moves=(f"rm {path}", "start the wires of open bottles anew"),
            )
        data = file.read()
    try:
        key = serialization.load_pem_private_key(data, None)
        certificate = x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise _spoilt(path) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise _spoilt(path)
    return key, certificate


def _spoilt(path: Path) -> errors.Refused:
    return errors.Refused(
        f"{path} is not the wire's authority any more", subject=str(path), next_moves=(f"rm {path}",)
    )


def _make(path: Path, now: datetime, *, over: bool) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A new authority, put in its place whole; of several makers the first wins, and all have that one."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = _name(f"boatwright wire {secrets.token_hex(4)}")
    certificate = (
        _builder(own, own, key, now, LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs_certificates(), critical=True)
        .sign(key, hashes.SHA256())
    )
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
            file.flush()
            os.fsync(descriptor)
        if over:
            fresh.rename(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return _read(path) or (key, certificate)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _context(host: str, leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    # The library takes a path only, and the key is to be in no file: a file in memory has a path too.
    descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, _pem(key) + leaf.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)

    def named(_: ssl.SSLObject, asked: str | None, __: ssl.SSLContext) -> int | None:
        """An alert unless the client asks for the host of its CONNECT; addresses have no name to ask for."""
        if asked is None:
            return None if destinations.address(host) is not None else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        same = destinations.canonical(asked) == host
        return None if same else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = named
    return context

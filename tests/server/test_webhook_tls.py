"""Webhooks over HTTPS, to a real TLS receiver whose certificate an authority of the test has signed."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headway.contract.webhooks import verify_webhook
from headway_server.app import Server
from headway_server.notifying import dial
from headway_server.notifying.post import post
from headway_server.notifying.retry import Reply
from headway_server.notifying.sending import Sent, send_due

from .receiver import Receiver
from .world import FakeClock, PublisherWorld


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives as long as a test."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of a test")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        made = _certificate(name, name, key.public_key(), timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(usage, critical=True).add_extension(ski, critical=False)
        authority = cls(key, made.sign(key, hashes.SHA256()), folder)
        authority.path.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def path(self) -> Path:
        return self.folder / "authority.pem"

    def context(self, *, host: str = "127.0.0.1", life: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        """What a receiver at ``host`` listens with."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a receiver of a test")])
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = _certificate(name, self.certificate.subject, key.public_key(), life)
        made = made.add_extension(alternative, critical=False).add_extension(issuer, critical=False)
        file = self.folder / "receiver.pem"
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
        file.write_bytes(private + made.sign(self.key, hashes.SHA256()).public_bytes(encoding))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - timedelta(hours=1)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return made.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(begin + life)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As an operator trusts an authority of his own: by the variable that OpenSSL reads."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    dial._tls.cache_clear()
    yield
    dial._tls.cache_clear()


def send(receiver: Receiver) -> Reply:
    return post(receiver.url, {}, b"{}", timeout_s=60.0, private=True)


def test_a_message_arrives_over_https(
    authority: Authority, trusted: None, server: Server, published: PublisherWorld, clock: FakeClock
) -> None:
    changes = {"webhook_private_networks": True, "webhook_timeout_s": 60.0}
    ports = replace(server.ports, settings=server.ports.settings.model_copy(update=changes))
    server.app.extensions["headway"] = ports
    receiver = Receiver(tls=authority.context())
    try:
        answer = published.call("POST", "/webhooks", json={"url": receiver.url, "events": ["rollout.offered"]})
        published.offer(1)
        assert send_due(ports) == Sent(delivered=1)
    finally:
        receiver.stop()
    ((headers, body),) = receiver.got
    assert verify_webhook(answer.json()["secret"], headers, body, now=clock()).type == "rollout.offered"


def test_an_authority_that_is_not_trusted(authority: Authority) -> None:
    dial._tls.cache_clear()
    receiver = Receiver(tls=authority.context())
    try:
        assert send(receiver) == Reply(None, "TLS: CERTIFICATE_VERIFY_FAILED")
    finally:
        receiver.stop()
    assert receiver.got == []


@pytest.mark.parametrize("wrong", [{"host": "127.0.0.2"}, {"life": timedelta(minutes=30)}], ids=["host", "expired"])
def test_a_certificate_for_another_or_too_old(authority: Authority, trusted: None, wrong: dict[str, object]) -> None:
    receiver = Receiver(tls=authority.context(**wrong))  # type: ignore[arg-type]
    try:
        assert send(receiver) == Reply(None, "TLS: CERTIFICATE_VERIFY_FAILED")
    finally:
        receiver.stop()
    assert receiver.got == []

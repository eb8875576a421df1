"""Provenance of a release: an in-toto statement in a DSSE envelope, signed by the publisher.

It says which files a release consists of, what built it and from which data, all by digest. Nothing on a device
depends on it; the registry checks it at upload and shows it. Formats: DSSE v1.0 (pre-authentication encoding
``DSSEv1 SP LEN SP type SP LEN SP body``) and in-toto Statement v1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headway.contract.digests import Digest, canonical_json, hex_of, parse_digest
from headway.contract.errors import RefusedError, UntrustedError, malformed
from headway.contract.manifest import Manifest
from headway.contract.parsing import Fields, decode
from headway.trust.keys import PublicKey, Signer

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:headway:release:v1"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a release comes from.

    ``subjects`` are its files by path, ``materials`` what it was made from by name (data sets, the base, the parent
    head). ``builder`` names who or what built it; ``facts`` are integers and strings about the run.
    """

    subjects: Mapping[str, Digest]
    builder: str
    materials: Mapping[str, Digest]
    facts: Mapping[str, str | int]

    @classmethod
    def of_manifest(cls, manifest: Manifest, *, builder: str, materials: Mapping[str, Digest]) -> Provenance:
        """The provenance of a release: its files and facts from its manifest."""
        return cls({file.path: file.digest for file in manifest.files}, builder, materials, manifest.facts)

    def to_statement(self) -> dict[str, object]:
        """The in-toto statement; inverse of :meth:`from_statement`."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [_resource(name, digest) for name, digest in sorted(self.subjects.items())],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": dict(self.facts),
                    "resolvedDependencies": [_resource(name, d) for name, d in sorted(self.materials.items())],
                },
                "runDetails": {"builder": {"id": self.builder}},
            },
        }

    @classmethod
    def from_statement(cls, fields: Fields) -> Provenance:
        """Read a statement.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields.text("_type", choices=(STATEMENT_TYPE,))
        fields.text("predicateType", choices=(PREDICATE_TYPE,))
        predicate = fields.nested("predicate")
        build = predicate.nested("buildDefinition")
        build.text("buildType", choices=(BUILD_TYPE,))
        parameters = build.nested("externalParameters")
        return cls(
            subjects=_read_resources(fields.objects("subject", most=1000)),
            builder=predicate.nested("runDetails").nested("builder").text("id", max_length=512),
            materials=_read_resources(build.objects("resolvedDependencies", most=1000)),
            facts={name: _scalar(parameters, name) for name in parameters.names()},
        )


@dataclass(frozen=True, slots=True)
class VerifiedProvenance:
    """A provenance whose envelope at least one expected key signed; ``keyids`` are those that did."""

    provenance: Provenance
    keyids: tuple[str, ...]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that DSSE signs: type and body with their lengths, so that neither can pass for the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(provenance: Provenance, signers: Iterable[Signer]) -> dict[str, object]:
    """The envelope, as a JSON object.

    Raises:
        RefusedError: code ``malformed``; a fact that canonical JSON does not allow.
    """
    payload = canonical_json(provenance.to_statement(), document="provenance")
    encoded = pre_authentication_encoding(PAYLOAD_TYPE, payload)
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": signer.public.keyid, "sig": base64.b64encode(signer.sign(encoded)).decode()} for signer in signers
        ],
    }


def verify(envelope: object, keys: Iterable[PublicKey]) -> VerifiedProvenance:
    """Check an envelope against the keys that may sign it, then read what it says.

    Raises:
        UntrustedError: code ``bad_signature``; none of ``keys`` signed it.
        RefusedError: code ``malformed``.
    """
    fields = Fields(envelope, "provenance envelope")
    kind = fields.text("payloadType", choices=(PAYLOAD_TYPE,))
    payload = _base64(fields, "payload", 1_000_000)
    encoded = pre_authentication_encoding(kind, payload)
    given = fields.objects("signatures", most=16)
    signatures = {item.text("keyid", max_length=64): _base64(item, "sig", 1000) for item in given}
    signed_by = tuple(
        key.keyid
        for key in {key.keyid: key for key in keys}.values()
        if key.keyid in signatures and key.verifies(signatures[key.keyid], encoded)
    )
    if not signed_by:
        raise UntrustedError(
            "bad_signature",
            "The provenance is not signed by a key that may publish this release.",
            hint="Sign it with the publisher's key and send it again.",
        )
    return VerifiedProvenance(Provenance.from_statement(decode(payload, "provenance statement")), signed_by)


def covers(provenance: Provenance, manifest: Manifest) -> bool:
    """Whether the provenance speaks of exactly the files of ``manifest``."""
    return dict(provenance.subjects) == {file.path: file.digest for file in manifest.files}


def _resource(name: str, digest: Digest) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": hex_of(digest)}}


def _read_resources(items: Iterable[Fields]) -> dict[str, Digest]:
    resources = {}
    for item in items:
        value = "sha256:" + item.nested("digest").text("sha256", max_length=64)
        resources[item.text("name", max_length=1024)] = parse_digest(value, document="provenance", path="$.digest")
    return resources


def _scalar(fields: Fields, name: str) -> str | int:
    try:
        return fields.text(name)
    except RefusedError:
        return fields.integer(name, low=-(2**53 - 1))


def _base64(fields: Fields, name: str, most: int) -> bytes:
    try:
        return base64.b64decode(fields.text(name, max_length=most), validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed("provenance envelope", f"$.{name}", "base64") from error

"""Signing by file exchange: the keys stay on machines that never see a network.

The coordinator writes a *request* (a role's unsigned bytes), each holder answers with a *signature file*, and
:func:`merge` puts them together. A holder signs what it reads in the request, so :func:`describe` says in words what
that is. Files are small JSON documents that survive mail and USB sticks.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from securesystemslib.signer import Signature

from headway.contract.digests import Digest, canonical_json, digest_of
from headway.contract.errors import RefusedError, malformed
from headway.contract.parsing import decode
from headway.trust.keys import PublicKey, Signer
from headway.trust.wire import facts, parse_role

SCHEMA = 1
REQUEST, SIGNATURE = "a signing request", "a signature file"


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """Metadata that waits for signatures. ``data`` may carry some already."""

    app: str
    role: str
    data: bytes

    @property
    def payload(self) -> bytes:
        """The canonical bytes that are signed."""
        return parse_role(self.data, self.role).signed_bytes

    def to_bytes(self) -> bytes:
        """The request file."""
        return canonical_json(
            {
                "schema": SCHEMA,
                "app": self.app,
                "role": self.role,
                "metadata": base64.b64encode(self.data).decode(),
            },
            document="signing request",
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SigningRequest:
        """Read a request file.

        Raises:
            RefusedError: codes ``wrong_file``, ``malformed``.
            UntrustedError: the metadata in it cannot be read.
        """
        _expect(data, REQUEST)
        fields = decode(data, "signing request")
        fields.schema(SCHEMA)
        try:
            metadata = base64.b64decode(fields.text("metadata", max_length=8_000_000), validate=True)
        except (binascii.Error, ValueError) as error:
            raise malformed("signing request", "$.metadata", "base64") from error
        request = cls(fields.text("app", max_length=63), fields.text("role", max_length=80), metadata)
        parse_role(metadata, request.role)
        return request


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """One holder's answer. ``payload`` is the digest of the canonical bytes that were signed."""

    role: str
    payload: Digest
    key: PublicKey
    signature: bytes

    def to_bytes(self) -> bytes:
        """The signature file."""
        return canonical_json(
            {
                "schema": SCHEMA,
                "role": self.role,
                "payload": self.payload,
                "key": self.key.to_json(),
                "signature": self.signature.hex(),
            },
            document="signature file",
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> DetachedSignature:
        """Read a signature file.

        Raises:
            RefusedError: codes ``wrong_file``, ``malformed``.
        """
        _expect(data, SIGNATURE)
        fields = decode(data, "signature file")
        fields.schema(SCHEMA)
        try:
            signature = bytes.fromhex(fields.text("signature", max_length=128))
        except ValueError as error:
            raise malformed("signature file", "$.signature", "hex digits") from error
        return cls(
            fields.text("role", max_length=80),
            fields.digest("payload"),
            PublicKey.from_json(fields.nested("key")),
            signature,
        )


def kind_of(data: bytes) -> str:
    """What a file that a person named is, in words, as far as its bytes tell."""
    if data.lstrip().startswith(b"-----BEGIN"):
        return "a key file"
    try:
        fields = decode(data, "file")
    except RefusedError:
        return "no JSON document"
    if fields.has("signed") and fields.has("signatures"):
        return "signed metadata"
    if fields.has("payloadType"):
        return "a provenance statement"
    if fields.has("payload") and fields.has("signature"):
        return SIGNATURE
    if fields.has("role") and fields.has("metadata"):
        return REQUEST
    return "some other JSON document"


def _expect(data: bytes, wanted: str) -> None:
    found = kind_of(data)
    if found != wanted:
        raise RefusedError(
            "wrong_file",
            f"The file is {found}, not {wanted}.",
            hint="`headway keys request` writes signing requests, `headway keys sign` writes signature files.",
            found=found,
            wanted=wanted,
        )


def describe(request: SigningRequest) -> str:
    """One sentence for the holder of a key: what a signature on this request would say."""
    role = facts(request.data, request.role)
    return (
        f"{request.role} of the app {request.app}, version {role.version}, valid until "
        f"{role.expires:%Y-%m-%d}, digest {digest_of(request.payload)}."
    )


def answer(request: SigningRequest, signer: Signer) -> DetachedSignature:
    """Sign a request."""
    payload = request.payload
    return DetachedSignature(request.role, digest_of(payload), signer.public, signer.sign(payload))


def merge(request: SigningRequest, signatures: Iterable[DetachedSignature]) -> bytes:
    """The metadata with the signatures put in; whether they suffice is for the verifier to say.

    Raises:
        RefusedError: codes ``other_request`` (a signature over something else), ``bad_signature_file``.
    """
    metadata = parse_role(request.data, request.role)
    payload = request.payload
    for given in signatures:
        keyid = given.key.keyid
        if (given.role, given.payload) != (request.role, digest_of(payload)):
            raise RefusedError(
                "other_request",
                f"The signature of key {keyid[:12]}… is for another request.",
                hint="Send this request to its holder again; it changed after they signed.",
                kind="conflict",
            )
        if not given.key.verifies(given.signature, payload):
            raise RefusedError(
                "bad_signature_file",
                f"The signature of key {keyid[:12]}… does not verify.",
                hint="Ask its holder for the file again; this one was damaged or forged.",
            )
        metadata.signatures[keyid] = Signature(keyid, given.signature.hex())
    return metadata.to_bytes()

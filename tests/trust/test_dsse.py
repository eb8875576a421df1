"""Provenance: the envelope of the DSSE specification, the statement of in-toto, and what must not pass."""

from __future__ import annotations

import base64
import json

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError, UntrustedError
from headway.contract.manifest import Manifest, ManifestFile
from headway.trust.dsse import Provenance, covers, pre_authentication_encoding, sign, verify

from .parts import APP, key

PUBLISHER, OTHER = key("publisher"), key("other")
MANIFEST = Manifest(
    "head",
    APP,
    "topic",
    "1",
    tuple(ManifestFile(name, digest_of(name.encode()), 3, "text/plain") for name in ("a.json", "b.txt")),
    {"run": 7, "note": "first"},
)
PROVENANCE = Provenance.of_manifest(MANIFEST, builder="ci/7", materials={"data": digest_of(b"data")})


def test_pre_authentication_encoding_is_the_specifications():
    """The example of the DSSE protocol document."""
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_round_trip():
    verified = verify(sign(PROVENANCE, [PUBLISHER]), [OTHER.public, PUBLISHER.public])
    assert verified.provenance == PROVENANCE
    assert verified.keyids == (PUBLISHER.public.keyid,)
    assert covers(verified.provenance, MANIFEST)


def test_another_implementation_verifies_it():
    envelope = Envelope.from_dict(sign(PROVENANCE, [PUBLISHER]))
    public = PUBLISHER.public
    library_key = SSlibKey(public.keyid, "ed25519", "ed25519", {"public": public.value})
    assert set(envelope.verify([library_key], 1)) == {public.keyid}


def test_statement_has_the_shape_of_in_toto_v1():
    statement = json.loads(base64.b64decode(sign(PROVENANCE, [PUBLISHER])["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][0] == {"name": "a.json", "digest": {"sha256": digest_of(b"a.json")[7:]}}
    assert statement["predicate"]["runDetails"]["builder"]["id"] == "ci/7"


def test_signature_of_someone_else():
    with pytest.raises(UntrustedError) as caught:
        verify(sign(PROVENANCE, [OTHER]), [PUBLISHER.public])
    assert caught.value.code == "bad_signature"


def test_signature_under_a_borrowed_key_id():
    envelope = sign(PROVENANCE, [OTHER])
    envelope["signatures"][0]["keyid"] = PUBLISHER.public.keyid
    with pytest.raises(UntrustedError):
        verify(envelope, [PUBLISHER.public])


def test_changed_payload():
    envelope = sign(PROVENANCE, [PUBLISHER])
    changed = base64.b64decode(envelope["payload"]).replace(b"ci/7", b"ci/8")
    with pytest.raises(UntrustedError):
        verify({**envelope, "payload": base64.b64encode(changed).decode()}, [PUBLISHER.public])


def test_signature_over_the_payload_alone_does_not_count():
    """Without the type in what is signed, a document of one kind could pass for another."""
    envelope = sign(PROVENANCE, [PUBLISHER])
    bare = PUBLISHER.sign(base64.b64decode(envelope["payload"]))
    envelope["signatures"][0]["sig"] = base64.b64encode(bare).decode()
    with pytest.raises(UntrustedError):
        verify(envelope, [PUBLISHER.public])


@pytest.mark.parametrize(
    "envelope",
    [
        None,
        [],
        {},
        {"payloadType": "text/plain", "payload": "", "signatures": []},
        {"payloadType": "application/vnd.in-toto+json", "payload": "!", "signatures": []},
        {"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": [{"keyid": "a"}]},
    ],
)
def test_malformed_envelope(envelope):
    with pytest.raises(RefusedError) as caught:
        verify(envelope, [PUBLISHER.public])
    assert caught.value.code == "malformed"


def test_signed_nonsense_is_refused_after_the_signature():
    payload = b'{"_type":"https://in-toto.io/Statement/v0.1"}'
    signature = PUBLISHER.sign(pre_authentication_encoding("application/vnd.in-toto+json", payload))
    envelope = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": PUBLISHER.public.keyid, "sig": base64.b64encode(signature).decode()}],
    }
    with pytest.raises(RefusedError):
        verify(envelope, [PUBLISHER.public])


def test_provenance_of_other_files_does_not_cover():
    other = Provenance({**PROVENANCE.subjects, "c.txt": digest_of(b"c")}, "ci/7", {}, {})
    assert not covers(other, MANIFEST)

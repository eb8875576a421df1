"""Keys on disk and on the wire: readable by nobody else, never overwritten, never taken under a false name."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey

from headway.contract.errors import RefusedError
from headway.trust.keys import KeyFolder, PublicKey, SigningKey, among
from headway.trust.online import OnlineKeys

from .parts import ONLINE, key


def refused(code: str):
    return pytest.raises(RefusedError, check=lambda error: error.code == code)


def test_stored_key_is_private_and_comes_back(tmp_path):
    folder = KeyFolder(tmp_path / "keys")
    made = folder.create("publisher")
    path = folder.folder / "publisher.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.folder.stat().st_mode & 0o777 == 0o700
    assert folder.load("publisher").public == made.public
    assert folder.names() == ("publisher",)


def test_key_is_never_overwritten(tmp_path):
    folder = KeyFolder(tmp_path)
    first = folder.create("root-1")
    with refused("key_exists"):
        folder.create("root-1")
    assert folder.load("root-1").public == first.public


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_key_that_others_can_read_is_not_used(tmp_path, mode):
    folder = KeyFolder(tmp_path)
    folder.create("root-1")
    (tmp_path / "root-1.pem").chmod(mode)
    with refused("open_key_file"):
        folder.load("root-1")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "-a"])
def test_key_names_stay_in_the_folder(tmp_path, name):
    with refused("malformed"):
        KeyFolder(tmp_path).create(name)


def test_missing_key_says_where_to_look(tmp_path):
    with refused("no_such_key"):
        KeyFolder(tmp_path).load("root-1")


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff" * 50])
def test_damaged_key_file(pem):
    with refused("malformed"):
        SigningKey.from_pem(pem)


def test_key_of_another_kind_is_not_ours():
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with refused("malformed"):
        SigningKey.from_pem(other)


def test_private_part_is_in_no_representation():
    made = key("a")
    secret = made._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()).hex()
    assert secret not in repr(made)
    assert secret not in json.dumps(made.public.to_json())


def test_key_id_is_the_one_that_the_tuf_library_computes():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    made = key("a").public
    library = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(made.value)))
    assert (library.keyid, library.to_dict()) == (made.keyid, made.key_json())


def test_public_key_round_trip():
    assert PublicKey.from_json(key("a").public.to_json()) == key("a").public
    assert OnlineKeys.from_json(ONLINE.to_json()) == ONLINE


@pytest.mark.parametrize(
    "change",
    [
        {"keyid": "0" * 64},
        {"key": {"keytype": "rsa", "scheme": "ed25519", "keyval": {"public": "00" * 32}}},
        {"key": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00" * 31}}},
        {"key": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "AB" * 32}}},
        {"key": None},
    ],
)
def test_public_key_under_a_false_id_or_form_is_refused(change):
    with refused("malformed"):
        PublicKey.from_json({**key("a").public.to_json(), **change})


@given(st.binary(max_size=100), st.binary(max_size=70))
def test_only_its_own_signature_verifies(payload, noise):
    signer = key("a")
    signature = signer.sign(payload)
    assert signer.public.verifies(signature, payload)
    assert not signer.public.verifies(signature, payload + b"x")
    assert not key("b").public.verifies(signature, payload)
    assert noise == signature or not signer.public.verifies(noise, payload)


def test_among_picks_by_key_id():
    signers = [key("a"), key("b"), key("c")]
    assert among(signers, [key("b").public.keyid, "f" * 64]) == (signers[1],)

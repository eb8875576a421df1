"""Ceremonies as pure edits, signing by file exchange, and what the registry says to each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tuf.api.metadata import Metadata

from headway.contract.digests import canonical_json
from headway.contract.errors import RefusedError, UntrustedError
from headway.trust.ceremony import (
    RootChange,
    add_base,
    admit,
    expel,
    holders,
    missing_signatures,
    next_root,
    next_targets,
    root_holders,
    sign_root,
)
from headway.trust.lifetimes import LIFETIMES
from headway.trust.offline import DetachedSignature, SigningRequest, answer, describe, merge
from headway.trust.online import sign_snapshot
from headway.trust.repository import Holders, create_trust, draft_trust, sign_with_holders
from headway.trust.verify import verify_role_update, verify_root_update, verify_trust
from headway.trust.wire import facts

from .parts import APP, BASE_ID, NOW, OFFLINE, ONLINE, PLAN, PUBLISHER, ROOTS, SNAPSHOT, TARGETS, key, trust

LATER = NOW + timedelta(days=30)


@pytest.fixture
def files():
    return trust()


def sign_targets(draft: bytes, files, signers=TARGETS) -> bytes:
    return sign_with_holders(draft, "targets", signers, root=files.root, targets=draft)


def refused(code: str):
    return pytest.raises((RefusedError, UntrustedError), check=lambda error: error.code == code)


@pytest.mark.parametrize(
    ("role", "days"),
    [
        ("root", 365),
        ("targets", 365),
        ("bases", 180),
        ("heads-kd", 180),
        ("channels", 30),
        ("snapshot", 30),
        ("timestamp", 7),
    ],
)
def test_lifetimes_are_those_of_the_table(role, days):
    assert LIFETIMES.expiry(role, NOW) == NOW + timedelta(days=days)


def test_renewed_root_is_accepted(files):
    new = sign_root(next_root(files.root, RootChange(), now=LATER), files.root, ROOTS)
    verified = verify_root_update(new, current=files.root, now=LATER)
    assert (verified.version, verified.expires) == (2, LATER + timedelta(days=365))


def test_root_keys_are_replaced_by_old_and_new_together(files):
    fresh = tuple(key(f"fresh-{n}") for n in range(3))
    change = RootChange(root=Holders(tuple(k.public for k in fresh), 2))
    draft = next_root(files.root, change, now=LATER)
    with refused("bad_signature"):
        verify_root_update(sign_root(draft, files.root, fresh), current=files.root, now=LATER)
    with refused("bad_signature"):
        verify_root_update(sign_root(draft, files.root, ROOTS), current=files.root, now=LATER)
    both = sign_root(draft, files.root, (*ROOTS, *fresh))
    assert verify_root_update(both, current=files.root, now=LATER).version == 2
    assert root_holders(both)["root"].keys == tuple(k.public for k in fresh)


def test_online_keys_are_replaced(files):
    change = RootChange(snapshot=key("s2").public, timestamp=key("t2").public)
    new = sign_root(next_root(files.root, change, now=LATER), files.root, ROOTS)
    verify_root_update(new, current=files.root, now=LATER)
    assert root_holders(new)["timestamp"].keys == (key("t2").public,)


def test_one_online_key_for_two_roles_is_refused(files):
    change = RootChange(snapshot=key("s2").public, timestamp=key("s2").public)
    new = sign_root(next_root(files.root, change, now=LATER), files.root, ROOTS)
    with refused("shared_online_key"):
        verify_root_update(new, current=files.root, now=LATER)


def test_old_root_again_is_a_conflict(files):
    with refused("version_conflict"):
        verify_root_update(files.root, current=files.root, now=NOW)


def test_expired_root_is_refused(files):
    new = sign_root(next_root(files.root, RootChange(), now=NOW), files.root, ROOTS)
    with refused("expired_metadata"):
        verify_root_update(new, current=files.root, now=NOW + timedelta(days=366))


def test_new_base_stands_before_channels_in_trust(files):
    new = sign_targets(add_base(files.targets, "second", Holders((PUBLISHER.public,)), now=LATER), files)
    verify_role_update("targets", new, current=files.targets, delegator=files.root, app=APP, now=LATER)
    assert list(holders(new)) == ["bases", f"heads-{BASE_ID}", "heads-second", "channels"]
    with refused("role_exists"):
        add_base(new, "second", Holders((PUBLISHER.public,)), now=LATER)


def test_heads_may_need_two_people(files):
    human = key("human")
    held = Holders((PUBLISHER.public, human.public), 2)
    new = sign_targets(next_targets(files.targets, {f"heads-{BASE_ID}": held}, now=LATER), files)
    role = files.delegated[f"heads-{BASE_ID}"]
    assert missing_signatures(role, f"heads-{BASE_ID}", root=files.root, targets=new) == 1
    both = sign_with_holders(role, f"heads-{BASE_ID}", [human], root=files.root, targets=new)
    assert missing_signatures(both, f"heads-{BASE_ID}", root=files.root, targets=new) == 0


def test_publisher_is_admitted_then_the_old_one_expelled(files):
    new_key = key("second publisher")
    admitted = sign_targets(admit(files.targets, new_key.public, beside=PUBLISHER.public.keyid, now=LATER), files)
    assert new_key.public in holders(admitted)["bases"].keys
    gone = sign_targets(expel(admitted, PUBLISHER.public.keyid, now=LATER), files)
    assert all(PUBLISHER.public not in held.keys for held in holders(gone).values())
    assert facts(gone, "targets").version == 3
    with refused("no_such_key"):
        expel(gone, PUBLISHER.public.keyid, now=LATER)


def test_channels_key_never_becomes_a_publisher(files):
    """Admitting beside one key touches that key's roles only."""
    admitted = admit(files.targets, key("x").public, beside=ONLINE.channels.keyid, now=LATER)
    assert key("x").public not in holders(admitted)["bases"].keys


def test_snapshot_never_goes_back_or_forgets(files):
    roles = {"targets": files.targets, **files.delegated}
    first = sign_snapshot(None, roles, SNAPSHOT, now=NOW)
    newer = {
        **roles,
        "bases": sign_with_holders(
            bump(files.delegated["bases"]), "bases", [PUBLISHER], root=files.root, targets=files.targets
        ),
    }
    second = sign_snapshot(first, newer, SNAPSHOT, now=NOW)
    with refused("snapshot_rollback"):
        sign_snapshot(second, roles, SNAPSHOT, now=NOW)
    with refused("snapshot_rollback"):
        sign_snapshot(first, {"targets": files.targets}, SNAPSHOT, now=NOW)


def bump(data: bytes) -> bytes:
    metadata = Metadata.from_bytes(data)
    metadata.signed.version += 1
    metadata.signatures.clear()
    return metadata.to_bytes()


# --- file exchange -----------------------------------------------------------------------------------------------


def test_whole_repository_is_signed_by_file_exchange():
    """Nobody's key meets another's: each file travels as a request and comes back as signatures."""
    draft = draft_trust(PLAN, now=NOW)
    signed = {}
    for role, data in draft.named().items():
        request = SigningRequest.from_bytes(SigningRequest(APP, role, data).to_bytes())
        signers = {"root": ROOTS[:2], "targets": TARGETS[1:]}.get(role, (PUBLISHER,))
        files = [DetachedSignature.from_bytes(answer(request, signer).to_bytes()) for signer in signers]
        signed[role] = merge(request, files)
    together = type(draft)(signed.pop("root"), signed.pop("targets"), signed)
    assert verify_trust(together, app=APP, online=ONLINE, now=NOW).root.version == 1


def test_merging_gives_the_same_bytes_as_signing_here():
    direct = create_trust(PLAN, OFFLINE, now=NOW).root
    request = SigningRequest(APP, "root", draft_trust(PLAN, now=NOW).root)
    assert merge(request, [answer(request, signer) for signer in ROOTS]) == direct


def test_request_says_what_will_be_signed(files):
    sentence = describe(SigningRequest(APP, "root", files.root))
    assert all(part in sentence for part in ("root", APP, "version 1", "2027-11-21", "sha256:"))


def test_signature_for_another_request_is_refused(files):
    request = SigningRequest(APP, "root", files.root)
    other = SigningRequest(APP, "root", next_root(files.root, RootChange(), now=LATER))
    with refused("other_request"):
        merge(request, [answer(other, ROOTS[0])])


def test_forged_signature_file_is_refused(files):
    request = SigningRequest(APP, "root", files.root)
    good = answer(request, ROOTS[0])
    forged = DetachedSignature(good.role, good.payload, ROOTS[1].public, good.signature)
    with refused("bad_signature_file"):
        merge(request, [forged])


@pytest.mark.parametrize("data", [b"", b"[]", b'{"schema":2}', b"-----BEGIN PRIVATE KEY-----", b"\xff"])
def test_files_of_another_kind_are_refused(data):
    with refused("wrong_file"):
        SigningRequest.from_bytes(data)
    with refused("wrong_file"):
        DetachedSignature.from_bytes(data)


def test_damaged_files_are_refused():
    for version, metadata in ((1, "!"), (2, "AA==")):
        with refused("malformed"):
            SigningRequest.from_bytes(
                canonical_json({"schema": version, "app": "a", "role": "root", "metadata": metadata}, document="test")
            )
    with refused("malformed"):
        DetachedSignature.from_bytes(b'{"schema":1,"role":"root","payload":"x","signature":"00"}')

"""What the registry accepts from a publisher, and the sentence it gives for each thing it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets

from headway.contract.errors import RefusedError, UntrustedError
from headway.trust.repository import Holders, TrustFiles, create_trust, keyids_for
from headway.trust.roles import (
    TargetEntry,
    base_entry,
    edit,
    entries,
    head_entry,
    head_targets,
    heads_role,
    revoked,
    sign_bases,
    sign_heads,
)
from headway.trust.verify import verify_role_update, verify_trust
from headway.trust.wire import add_signatures, facts, unsigned

from .parts import APP, BASE, BASE_ID, NOW, OFFLINE, ONLINE, PLAN, PUBLISHER, TARGETS, head, key, manifest, trust

ROLE = heads_role(BASE_ID)


def publish(current: bytes, *heads, now=NOW, signers=(PUBLISHER,)) -> bytes:
    return sign_heads(current, BASE_ID, [head_entry(h, manifest(h.release, h.name)) for h in heads], signers, now=now)


def judge(new: bytes, current: bytes | None, files: TrustFiles, now=NOW):
    return verify_role_update(ROLE, new, current=current, delegator=files.targets, app=APP, now=now)


def refused(code: str, new: bytes, current: bytes | None, files: TrustFiles, now=NOW) -> None:
    with pytest.raises((RefusedError, UntrustedError)) as caught:
        judge(new, current, files, now)
    assert caught.value.code == code
    assert caught.value.message.endswith(".")
    assert caught.value.hint


@pytest.fixture
def files() -> TrustFiles:
    return trust()


@pytest.fixture
def first(files: TrustFiles) -> bytes:
    return publish(files.delegated[ROLE], head(1))


def test_new_repository_is_accepted(files):
    verified = verify_trust(files, app=APP, online=ONLINE, now=NOW)
    assert verified.root.data == files.root
    assert set(verified.delegated) == {"bases", ROLE}


def test_new_head_is_accepted_with_its_facts(files, first):
    verified = judge(first, files.delegated[ROLE], files)
    assert verified.version == 2
    assert [fact for _, fact in verified.heads] == [head(1)]
    assert verified.expires == NOW + timedelta(days=180)


def test_new_base_is_accepted(files):
    new = sign_bases(files.delegated["bases"], [base_entry(BASE, b"{}")], [PUBLISHER], now=NOW)
    verified = verify_role_update(
        "bases", new, current=files.delegated["bases"], delegator=files.targets, app=APP, now=NOW
    )
    assert verified.bases[0][1] == BASE


def test_wrong_key_is_refused(files):
    forged = publish(files.delegated[ROLE], head(1), signers=[key("thief")])
    refused("bad_signature", forged, files.delegated[ROLE], files)


def test_missing_signature_is_refused(files):
    draft = edit(files.delegated[ROLE], ROLE, put=[head_entry(head(1), b"{}")], now=NOW)
    refused("bad_signature", draft, files.delegated[ROLE], files)


def test_changed_bytes_are_refused(files, first):
    refused("bad_signature", first.replace(b'"release":1', b'"release":2'), files.delegated[ROLE], files)


def test_one_of_two_root_signatures_is_refused():
    with pytest.raises(UntrustedError) as caught:
        verify_trust(create_trust(PLAN, OFFLINE[2:], now=NOW), app=APP, online=ONLINE, now=NOW)
    assert caught.value.code == "bad_signature"


def test_one_key_cannot_vote_twice_under_two_ids(files):
    """A key listed under a second id would count twice against the threshold."""
    metadata: Metadata[Targets] = Metadata.from_bytes(files.targets)
    delegations = metadata.signed.delegations
    twin = "f" * 64
    delegations.keys[twin] = delegations.keys[PUBLISHER.public.keyid]
    delegations.roles[ROLE].keyids.append(twin)
    metadata.signed.version += 1
    changed = add_signatures(unsigned(metadata.signed), "targets", TARGETS)
    with pytest.raises(RefusedError) as caught:
        verify_role_update("targets", changed, current=files.targets, delegator=files.root, app=APP, now=NOW)
    assert caught.value.code == "foreign_key"


def test_doubled_signature_is_not_metadata(files, first):
    document = json.loads(first)
    document["signatures"] *= 2
    refused("malformed_metadata", json.dumps(document).encode(), files.delegated[ROLE], files)


@pytest.mark.parametrize("step", [0, 2])
def test_version_must_be_the_next(files, first, step):
    metadata: Metadata[Targets] = Metadata.from_bytes(first)
    metadata.signed.version = facts(files.delegated[ROLE], ROLE).version + step + (step == 2)
    refused("version_conflict", add_signatures(unsigned(metadata.signed), ROLE, [PUBLISHER]), first, files)


def test_expired_role_is_refused(files, first):
    refused("expired_metadata", first, files.delegated[ROLE], files, now=NOW + timedelta(days=181))


@pytest.mark.parametrize(
    "path",
    ["heads/other/topic/1/manifest.json", "bases/kd/1/manifest.json", "heads/kd/topic/2/manifest.json", "../x", "x"],
)
def test_path_outside_the_role_is_refused(files, path):
    stray = replace(head_entry(head(1), b"{}"), path=path)
    new = add_signatures(edit(files.delegated[ROLE], ROLE, put=[stray], now=NOW), ROLE, [PUBLISHER])
    refused("out_of_scope", new, files.delegated[ROLE], files)


def test_head_of_another_base_is_refused(files):
    other = replace(head_entry(head(1, base_id="other"), b"{}"), path="heads/kd/topic/1/manifest.json")
    new = add_signatures(edit(files.delegated[ROLE], ROLE, put=[other], now=NOW), ROLE, [PUBLISHER])
    refused("out_of_scope", new, files.delegated[ROLE], files)


def test_head_of_another_app_is_refused(files):
    refused("wrong_app", publish(files.delegated[ROLE], head(1, app="other")), files.delegated[ROLE], files)


def test_entry_without_facts_is_refused(files):
    bare = TargetEntry.of("heads/kd/topic/1/manifest.json", b"{}")
    new = add_signatures(edit(files.delegated[ROLE], ROLE, put=[bare], now=NOW), ROLE, [PUBLISHER])
    refused("malformed", new, files.delegated[ROLE], files)


def test_fourth_live_release_pushes_the_oldest_out(files, first):
    current = first
    for release in (2, 3, 4):
        new = publish(current, head(release))
        judge(new, current, files)
        current = new
    assert [h.release for h in head_targets(current, ROLE)] == [4, 3, 2]


def test_four_live_releases_are_refused(files):
    put = [head_entry(head(n), manifest(n)) for n in range(1, 5)]
    new = add_signatures(edit(files.delegated[ROLE], ROLE, put=put, now=NOW), ROLE, [PUBLISHER])
    refused("too_many_live", new, files.delegated[ROLE], files)


def test_published_release_cannot_change(files, first):
    put = [head_entry(head(1), b"other manifest")]
    refused("immutable_release", sign_heads(first, BASE_ID, put, [PUBLISHER], now=NOW), first, files)
    refused("immutable_release", publish(first, head(1, num_classes=4)), first, files)


def test_release_cannot_be_deleted(files, first):
    gone = add_signatures(edit(first, ROLE, drop=["heads/kd/topic/1/manifest.json"], now=NOW), ROLE, [PUBLISHER])
    refused("deleted_release", gone, first, files)


def test_release_is_revoked_and_never_revived(files, first):
    entry = revoked(first, BASE_ID, "topic", 1)
    gone = sign_heads(first, BASE_ID, [entry], [PUBLISHER], now=NOW)
    assert judge(gone, first, files).heads[0][1].status == "revoked"
    refused("immutable_release", publish(gone, head(1)), gone, files)


def test_proof_on_a_second_base_may_be_added(files, first):
    more = head(1, bases=(*head(1).bases, replace(head(1).bases[0], digest=BASE.contract)))
    assert judge(publish(first, more), first, files).heads[0][1] == more


def test_unknown_role_is_refused(files):
    with pytest.raises(UntrustedError):
        verify_role_update("heads-zz", files.delegated[ROLE], current=None, delegator=files.targets, app=APP, now=NOW)
    with pytest.raises(RefusedError) as caught:
        keyids_for("heads-zz", root=files.root, targets=files.targets)
    assert caught.value.code == "unknown_role"


def test_targets_may_only_delegate(files):
    put = [TargetEntry.of("anything", b"x")]
    new = add_signatures(edit(files.targets, "targets", put=put, now=NOW), "targets", TARGETS)
    with pytest.raises(RefusedError) as caught:
        verify_role_update("targets", new, current=files.targets, delegator=files.root, app=APP, now=NOW)
    assert caught.value.code == "out_of_scope"


def test_delegation_with_wider_paths_is_refused(files):
    metadata: Metadata[Targets] = Metadata.from_bytes(files.targets)
    metadata.signed.delegations.roles[ROLE].paths = ["heads/*/*/*/*"]
    metadata.signed.version += 1
    new = add_signatures(unsigned(metadata.signed), "targets", TARGETS)
    with pytest.raises(RefusedError) as caught:
        verify_role_update("targets", new, current=files.targets, delegator=files.root, app=APP, now=NOW)
    assert caught.value.code == "out_of_scope"


def test_publisher_may_not_delegate_further(files, first):
    """Otherwise one stolen publisher key could make keys of its own, which no rotation would find."""
    metadata: Metadata[Targets] = Metadata.from_bytes(first)
    metadata.signed.version += 1
    metadata.signed.delegations = Delegations({}, {"mine": DelegatedRole("mine", [], 1, False, paths=["*"])})
    refused("out_of_scope", add_signatures(unsigned(metadata.signed), ROLE, [PUBLISHER]), first, files)


def test_foreign_online_keys_are_refused(files):
    foreign = replace(ONLINE, timestamp=key("mallory").public)
    with pytest.raises(RefusedError) as caught:
        verify_trust(files, app=APP, online=foreign, now=NOW)
    assert caught.value.code == "foreign_online_key"


def test_root_without_consistent_snapshots_is_refused(files):
    metadata: Metadata[Root] = Metadata.from_bytes(files.root)
    metadata.signed.consistent_snapshot = False
    root = add_signatures(unsigned(metadata.signed), "root", OFFLINE[:2])
    with pytest.raises(RefusedError) as caught:
        verify_trust(replace(files, root=root), app=APP, online=ONLINE, now=NOW)
    assert caught.value.code == "malformed_root"


def test_every_delegated_role_must_come_along(files):
    with pytest.raises(RefusedError) as caught:
        verify_trust(replace(files, delegated={}), app=APP, online=ONLINE, now=NOW)
    assert caught.value.code == "missing_role"


def test_impossible_threshold_is_refused():
    with pytest.raises(RefusedError) as caught:
        create_trust(replace(PLAN, root=Holders(PLAN.root.keys, 4)), OFFLINE, now=NOW)
    assert caught.value.code == "bad_threshold"


def test_editing_is_pure(files, first):
    again = publish(files.delegated[ROLE], head(1))
    assert again == first
    assert entries(first, ROLE)[0].custom == head(1).to_json()

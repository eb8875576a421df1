"""What a thief of some offline keys, or a publisher beyond his own base, gets from a device; delegations in general."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Targets

from headway.contract.errors import UntrustedError
from headway.contract.manifest import Manifest, ManifestFile
from headway.trust.roles import TargetEntry, edit, head_entry
from headway.trust.simulator import seeded_key
from headway.trust.wire import add_signatures, library_key, unsigned

from .hostile import ROLE, World
from .parts import APP, BASE_ID, HEAD, NOW, head, manifest


@pytest.fixture
def world() -> World:
    return World()


# --- whoever stole one key of several, or a publisher's key ------------------------------------------------------


def test_one_root_key_cannot_make_a_root(world):
    metadata = Metadata.from_bytes(world.repo.root)
    metadata.signed.version = 2
    world.serve("2.root.json", add_signatures(unsigned(metadata.signed), "root", [world.repo.keys.root[0]]))
    world.refuses("bad_signature")


def test_new_root_needs_the_old_keys(world):
    metadata = Metadata.from_bytes(world.repo.root)
    for key in list(metadata.signed.roles["root"].keyids):
        metadata.signed.revoke_key(key, "root")
    for name in ("a", "b"):
        metadata.signed.add_key(library_key(seeded_key(name).public), "root")
    metadata.signed.version = 2
    signers = [seeded_key("a"), seeded_key("b"), world.repo.keys.root[0]]
    world.serve("2.root.json", add_signatures(unsigned(metadata.signed), "root", signers))
    world.refuses("bad_signature")


def test_root_versions_cannot_be_skipped(world):
    metadata = Metadata.from_bytes(world.repo.root)
    metadata.signed.version = 5
    world.serve("2.root.json", add_signatures(unsigned(metadata.signed), "root", world.repo.keys.root))
    world.refuses("rollback")


def test_expired_root_stops_new_installs(world):
    world.client().refresh()
    world.now += timedelta(days=366)
    world.repo.publish()
    world.refuses("expired_metadata")


@pytest.mark.parametrize(
    "path", ["heads/other/topic/1/manifest.json", "bases/kd/1/manifest.json", "channels/stable/kd.json"]
)
def test_publisher_of_one_base_cannot_reach_beyond_it(world, path):
    repo = world.repo
    stray = replace(head_entry(head(1), manifest(1)), path=path)
    repo.roles[ROLE] = add_signatures(edit(repo.roles[ROLE], ROLE, put=[stray], now=NOW), ROLE, [repo.keys.publisher])
    repo.publish()
    world.refuses("out_of_scope")
    assert world.client().target(path) is None


def test_facts_of_another_release_under_a_name(world):
    repo = world.repo
    swapped = replace(head_entry(head(1), manifest(1)), custom=head(2).to_json())
    repo.roles[ROLE] = add_signatures(edit(repo.roles[ROLE], ROLE, put=[swapped], now=NOW), ROLE, [repo.keys.publisher])
    repo.publish()
    world.refuses("bad_facts")


def test_manifest_with_another_head_than_its_facts(world):
    """Labels, head and size are pinned twice, so that no single slip can mix releases."""
    files = tuple(
        ManifestFile(name, HEAD.head if name == "other" else HEAD.labels, 5, "application/octet-stream")
        for name in ("head.mlmodel", "labels.json")
    )
    listing = Manifest("head", APP, "topic", "1", files, {})
    world.repo.put_head(HEAD, listing.to_bytes())
    world.repo.publish()
    client = world.client()
    (signed,) = client.heads(BASE_ID)
    with pytest.raises(UntrustedError) as caught:
        client.head_manifest(signed)
    assert caught.value.code == "mix_and_match"


# --- delegations in general --------------------------------------------------------------------------------------


def delegate(world: World, rows: list[tuple[str, list[str], bool]], listing: dict[str, str]) -> None:
    """Replace all delegations by ``rows`` (name, paths, terminating), each role listing one path."""
    repo = world.repo
    key = library_key(repo.keys.publisher.public)
    metadata: Metadata[Targets] = Metadata.from_bytes(repo.roles["targets"])
    metadata.signed.delegations = Delegations(
        {key.keyid: key}, {name: DelegatedRole(name, [key.keyid], 1, end, paths=paths) for name, paths, end in rows}
    )
    metadata.signed.version += 1
    repo.roles["targets"] = add_signatures(unsigned(metadata.signed), "targets", repo.keys.targets)
    for name, _, _ in rows:
        put = [TargetEntry.of(listing[name], name.encode())] if name in listing else []
        repo.roles[name] = add_signatures(edit(None, name, put=put, now=NOW), name, [repo.keys.publisher])
    repo.publish()


def test_first_delegation_wins(world):
    delegate(world, [("first", ["*"], False), ("second", ["*"], False)], {"first": "x", "second": "x"})
    assert world.client().target("x").role == "first"


def test_terminating_delegation_ends_the_search(world):
    delegate(world, [("first", ["*"], True), ("second", ["*"], False)], {"second": "x"})
    assert world.client().target("x") is None
    assert not any("second" in url for url in world.repo.requests)


def test_star_does_not_cross_a_slash(world):
    delegate(world, [("first", ["*"], False)], {"first": "a/x"})
    assert world.client().target("a/x") is None


def test_more_delegations_than_anyone_needs_are_not_followed(world):
    rows = [(f"role-{n}", ["*"], False) for n in range(60)]
    delegate(world, rows, {"role-59": "x"})
    assert world.client().target("x") is None
    assert sum("role-" in url for url in world.repo.requests) <= 33


@pytest.mark.parametrize("name", ["../escape", "a/b", "?", "#", "名"])
def test_hostile_role_names_stay_in_the_folder(world, name):
    delegate(world, [(name, ["*"], False)], {name: "x"})
    served = world.url(f"1.{name}.json")
    world.repo.files[world.url(f"1.{quote(name, safe='')}.json")] = world.repo.files.pop(served)
    assert world.client().target("x").role == name
    assert all("/" not in n or n.startswith("root_history/") for n in world.storage.files)

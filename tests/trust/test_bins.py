"""Heads in hash bins: where a head stands, what a client downloads, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, SuccinctRoles, Targets

from headway.contract.errors import HeadwayError, RefusedError, TransferError, UntrustedError
from headway.contract.manifest import head_manifest_path
from headway.trust.bins import HeadRoles, arranged, base_of_heads, bits_for, bits_of_count, outgrown, placed
from headway.trust.ceremony import next_targets
from headway.trust.client import TrustedClient
from headway.trust.repository import Holders
from headway.trust.roles import entries, head_entry, revoked
from headway.trust.simulator import StaticFiles
from headway.trust.storage import MemoryStorage
from headway.trust.verify import VerifiedHeads, verify_heads_stay, verify_heads_update
from headway.trust.wire import add_signatures, unsigned

from .hostile import World
from .parts import APP, BASE_ID, NOW, PUBLISHER, TARGETS, head, key, manifest, trust

PARENT = f"heads-{BASE_ID}"
HELD = Holders((PUBLISHER.public,))
FILES = trust()


def entry(release: int, name: str = "topic", **changes: object):
    return head_entry(head(release, name, **changes), manifest(release, name))


def signed(drafts: Mapping[str, bytes], signer=PUBLISHER) -> dict[str, bytes]:
    return {role: add_signatures(draft, role, [signer]) for role, draft in drafts.items()}


def split(heads, bits: int = 2, versions: Mapping[str, int] | None = None, held: Holders = HELD) -> dict[str, bytes]:
    versions = {PARENT: 1} if versions is None else versions
    return signed(arranged(HeadRoles(BASE_ID, bits), heads, held, versions, now=NOW))


def verify(new: Mapping[str, bytes], current: Mapping[str, bytes], beside=lambda name: ()) -> VerifiedHeads:
    return verify_heads_update(BASE_ID, new, current=current, targets=FILES.targets, app=APP, now=NOW, beside=beside)


def refused(code: str, call: Callable[[], object]) -> HeadwayError:
    with pytest.raises((RefusedError, UntrustedError)) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


# Where a head stands -------------------------------------------------------------------------------------------


@given(bits=st.integers(1, 10), path=st.text(max_size=60))
def test_the_bin_of_a_path_is_what_python_tuf_says(bits: int, path: str) -> None:
    roles = HeadRoles(BASE_ID, bits)
    assert roles.home(path) == SuccinctRoles([], 1, bits, "bins-kd").get_role_for_target(path)
    assert roles.listing.count(roles.home(path)) == 1
    assert base_of_heads(roles.home(path)) == BASE_ID


@given(
    bits=st.integers(0, 5),
    names=st.sets(st.text("abcdefgh", min_size=1, max_size=6), max_size=30),
)
def test_every_head_stands_in_exactly_one_bin(bits: int, names: set[str]) -> None:
    heads = [entry(1, name) for name in sorted(names)]
    roles = HeadRoles(BASE_ID, bits)
    drafts = arranged(roles, heads, HELD, {}, now=NOW)
    assert set(drafts) == {PARENT, *roles.listing}
    assert roles == HeadRoles.of(BASE_ID, drafts[PARENT])
    placed_in = [(role, one) for role, data in drafts.items() for one in entries(data, role)]
    assert sorted(one.path for _, one in placed_in) == sorted(one.path for one in heads)
    assert all(role == roles.home(one.path) for role, one in placed_in)


def test_names_of_bins_cannot_clash() -> None:
    assert base_of_heads("heads-kd-3f") == "kd-3f"
    assert base_of_heads("bins-kd-3f") == "kd"
    assert base_of_heads("bins-kd-3f-07") == "kd-3f"
    assert [base_of_heads(role) for role in ("bases", "targets", "bins-kd", "bins", "channels")] == [None] * 5


def test_how_many_bins_suit() -> None:
    assert [bits_for(count) for count in (0, 500, 501, 2_000, 10_000, 10**9)] == [0, 0, 6, 7, 8, 10]
    assert [bits_of_count(bins) for bins in (1, 2, 64, 1024)] == [0, 1, 6, 10]
    assert [outgrown(bits, 10_000) for bits in (0, 6, 7, 8, 10)] == [False, True, False, False, False]
    assert [outgrown(6, heads) for heads in (501, 2_000, 2_500, 2_600)] == [False, False, False, True]
    for bins in (0, -2, 3, 48, 2048):
        refused("too_many_bins", lambda bins=bins: bits_of_count(bins))


# What the registry accepts -------------------------------------------------------------------------------------


def flat(*heads) -> dict[str, bytes]:
    return signed(arranged(HeadRoles(BASE_ID), heads, HELD, {}, now=NOW))


def test_a_split_moves_heads_and_changes_nothing_else() -> None:
    heads = [entry(1), entry(2), entry(1, "mood")]
    current = flat(*heads)
    change = verify(split(heads), current)
    assert (change.put, change.gone) == ((), ())
    assert [role.role for role in change.roles] == [PARENT, *HeadRoles(BASE_ID, 2).listing]
    back = verify(flat_again := signed(arranged(HeadRoles(BASE_ID), heads, HELD, {PARENT: 2}, now=NOW)), split(heads))
    assert (back.put, back.gone) == ((), ())
    assert list(flat_again) == [PARENT]


def test_a_new_head_changes_one_bin_and_pushes_the_oldest_out_of_another() -> None:
    roles = HeadRoles(BASE_ID, 4)
    heads = [entry(n) for n in (1, 2, 3)]
    current = split(heads, 4)
    drafts = placed(roles, current, [entry(4)], drop=[heads[0].path], now=NOW)
    assert set(drafts) == {roles.home(heads[0].path), roles.home(entry(4).path)}
    change = verify(signed(drafts), current, lambda name: [head(n) for n in (1, 2, 3)])
    assert [fact.release for _, fact in change.put] == [4]
    assert change.gone == (heads[0].path,)
    one_role = signed(placed(roles, current, [entry(4)], now=NOW))
    refused("too_many_live", lambda: verify(one_role, current, lambda name: [head(n) for n in (1, 2, 3)]))


def test_deleting_from_a_bin_is_no_way_to_withdraw() -> None:
    current = split([entry(1), entry(2)])
    gone = signed(placed(HeadRoles(BASE_ID, 2), current, [], drop=[entry(1).path], now=NOW))
    refused("deleted_release", lambda: verify(gone, current, lambda name: [head(2)]))


def test_a_release_in_a_bin_never_changes_and_can_be_revoked() -> None:
    roles = HeadRoles(BASE_ID, 2)
    current = split([entry(1)])
    home = roles.home(entry(1).path)
    other = replace(entry(1), digest=entry(2).digest)
    refused("immutable_release", lambda: verify(signed(placed(roles, current, [other], now=NOW)), current))
    word = revoked(current[home], BASE_ID, "topic", 1)
    change = verify(signed(placed(roles, current, [word], now=NOW)), current)
    assert [fact.status for _, fact in change.put] == ["revoked"]


def test_a_head_in_a_foreign_bin_is_refused() -> None:
    roles, current = HeadRoles(BASE_ID, 2), split([])
    foreign = next(role for role in roles.listing if role != roles.home(entry(1).path))
    metadata = Metadata[Targets].from_bytes(current[foreign])
    home = Metadata[Targets].from_bytes(placed(roles, current, [entry(1)], now=NOW)[roles.home(entry(1).path)])
    metadata.signed.version, metadata.signed.targets = 2, home.signed.targets
    refused("out_of_scope", lambda: verify(signed({foreign: unsigned(metadata.signed)}), current))


def test_a_split_comes_with_all_its_bins() -> None:
    whole = split([entry(1)])
    for role in HeadRoles(BASE_ID, 2).listing:
        part = {name: data for name, data in whole.items() if name != role}
        assert refused("missing_role", lambda part=part: verify(part, flat(entry(1)))).data["role"] == role


def test_a_bin_needs_the_keys_of_its_parent() -> None:
    current = split([])
    drafts = placed(HeadRoles(BASE_ID, 2), current, [entry(1)], now=NOW)
    refused("bad_signature", lambda: verify(signed(drafts, key("thief")), current))
    refused("bad_metadata", lambda: verify(signed(drafts), flat()))  # the role is not split
    refused("unknown_role", lambda: verify(signed(drafts), {}))


def test_the_role_above_delegates_to_its_own_bins_under_its_own_keys_alone() -> None:
    thief = key("thief")
    keys = Holders((PUBLISHER.public, thief.public))
    refused("out_of_scope", lambda: verify(split([], held=keys), flat()))

    def changed(change: Callable[[Targets], None]) -> dict[str, bytes]:
        drafts = arranged(HeadRoles(BASE_ID, 2), [], HELD, {PARENT: 1}, now=NOW)
        metadata = Metadata[Targets].from_bytes(drafts[PARENT])
        change(metadata.signed)
        return signed({**drafts, PARENT: unsigned(metadata.signed)})

    def foreign_prefix(parent: Targets) -> None:
        parent.delegations.succinct_roles.name_prefix = "bins-kd2"

    def huge(parent: Targets) -> None:
        parent.delegations.succinct_roles.bit_length = 32

    def lists_too(parent: Targets) -> None:
        listed = arranged(HeadRoles(BASE_ID), [entry(1)], HELD, {}, now=NOW)[PARENT]
        parent.targets = Metadata[Targets].from_bytes(listed).signed.targets

    refused("out_of_scope", lambda: verify(changed(foreign_prefix), flat()))
    refused("too_many_bins", lambda: verify(changed(huge), flat()))
    refused("out_of_scope", lambda: verify(changed(lists_too), flat()))


def test_bins_left_out_must_hold_under_new_keys() -> None:
    current = split([entry(1)])
    new = key("publisher-v2")
    both = Holders((PUBLISHER.public, new.public))
    targets = next_targets(FILES.targets, {PARENT: both}, now=NOW)
    parent = arranged(HeadRoles(BASE_ID, 2), [], Holders((new.public,)), {PARENT: 2}, now=NOW)[PARENT]
    with pytest.raises(RefusedError) as caught:
        verify_heads_update(BASE_ID, signed({PARENT: parent}), current=current, targets=targets, app=APP, now=NOW)
    assert caught.value.code == "unvouched_role"


def test_targets_cannot_leave_an_expelled_key_over_the_bins() -> None:
    current = split([entry(1)])
    verify_heads_stay(BASE_ID, FILES.targets, current[PARENT])
    targets = next_targets(FILES.targets, {PARENT: Holders((key("publisher-v2").public,))}, now=NOW)
    refused("out_of_scope", lambda: verify_heads_stay(BASE_ID, targets, current[PARENT]))
    two = next_targets(FILES.targets, {PARENT: Holders((PUBLISHER.public, TARGETS[0].public), 2)}, now=NOW)
    refused("out_of_scope", lambda: verify_heads_stay(BASE_ID, two, current[PARENT]))


# What a device does --------------------------------------------------------------------------------------------


def of_topic(client: TrustedClient, *wanted: int) -> list[int]:
    return [h.target.release for h in client.releases(BASE_ID, [("topic", n) for n in wanted])]


def releases(world: World) -> list[int]:
    return sorted(h.target.release for h in world.client().heads(BASE_ID) if h.target.name == "topic")


@pytest.fixture
def world() -> World:
    world = World()
    for number in (1, 2):
        world.publish_head(number)
    return world


def test_a_device_goes_along_with_a_split_and_back(world: World) -> None:
    assert releases(world) == [1, 2]
    for bits in (3, 5, 2, 0, 4, 0):
        world.repo.split(BASE_ID, bits)
        world.repo.publish()
        assert releases(world) == [1, 2]
        assert of_topic(world.client(), 1, 2, 9) == [1, 2]
        assert world.client().target(entry(1).path).digest == entry(1).digest


def test_a_device_between_two_snapshots_keeps_what_it_saw(world: World) -> None:
    """It refreshed before the split and looks up after it: the old snapshot's files are still there."""
    client = world.client()
    client.refresh()
    world.repo.split(BASE_ID, 3)
    world.repo.publish()
    assert of_topic(client, 2) == [2]
    client.refresh()
    assert of_topic(client, 2) == [2]


def test_a_poll_downloads_one_bin(world: World) -> None:
    world.repo.split(BASE_ID, 4)
    world.repo.publish()
    world.repo.requests.clear()
    client = world.client()
    assert of_topic(client) == []
    assert not [url for url in world.repo.requests if "bins-" in url]
    assert of_topic(client, 2) == [2]
    bins = [url for url in world.repo.requests if "bins-" in url]
    home = world.repo.head_roles(BASE_ID).home(entry(2).path)
    assert bins == [world.url(f"1.{home}.json")]


def test_a_missing_bin_is_refused(world: World) -> None:
    world.repo.split(BASE_ID, 2)
    world.repo.publish()
    home = world.repo.head_roles(BASE_ID).home(head_manifest_path(BASE_ID, "topic", 2))
    del world.repo.files[world.url(f"1.{home}.json")]
    with pytest.raises(TransferError) as lost:
        of_topic(world.client(), 2)
    assert lost.value.code == "not_served"
    unlisted = {role: data for role, data in world.repo.roles.items() if role != home}
    world.repo.roles, world.repo.snapshot = unlisted, None
    world.repo.publish()
    world.storage.files.clear()
    refused("bad_metadata", lambda: of_topic(world.client(), 2))


def test_a_bin_with_a_head_of_another_is_refused(world: World) -> None:
    """What stands in a wrong bin is never found there, and a list that has it is not trusted."""
    world.repo.split(BASE_ID, 2)
    roles = world.repo.head_roles(BASE_ID)
    path = head_manifest_path(BASE_ID, "topic", 2)
    home = roles.home(path)
    foreign = next(role for role in roles.listing if role != home)
    right, wrong = (Metadata[Targets].from_bytes(world.repo.roles[role]) for role in (home, foreign))
    wrong.signed.targets[path] = right.signed.targets.pop(path)
    for role, metadata in ((home, right), (foreign, wrong)):
        world.repo.roles[role] = add_signatures(unsigned(metadata.signed), role, [world.repo.keys.publisher])
    world.repo.publish()
    assert of_topic(world.client(), 1, 2) == [1]
    refused("out_of_scope", lambda: world.client().heads(BASE_ID))


def test_an_old_bin_is_not_taken_back(world: World) -> None:
    world.repo.split(BASE_ID, 1)
    world.repo.publish()
    world.client().heads(BASE_ID)
    old = {role: world.repo.roles[role] for role in world.repo.head_roles(BASE_ID).listing}
    world.publish_head(3)
    assert releases(world) == [1, 2, 3]
    world.repo.roles |= old
    world.repo.snapshot = None
    world.repo.publish()
    with pytest.raises(UntrustedError):
        world.client().heads(BASE_ID)


def test_more_bins_than_a_client_lists_are_refused(world: World) -> None:
    metadata = Metadata[Targets].from_bytes(
        arranged(HeadRoles(BASE_ID, 2), [], Holders((world.repo.keys.publisher.public,)), {PARENT: 3}, now=NOW)[PARENT]
    )
    metadata.signed.delegations.succinct_roles.bit_length = 32
    world.repo.roles[PARENT] = add_signatures(unsigned(metadata.signed), PARENT, [world.repo.keys.publisher])
    world.repo.publish()
    refused("too_large", lambda: world.client().heads(BASE_ID))


STEPS = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(["topic", "mood", "tone"])),
    st.tuples(st.just("split"), st.integers(0, 4)),
    st.tuples(st.just("poll"), st.none()),
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=14))
def test_any_sequence_of_publishes_and_splits_keeps_the_client_like_the_server(steps: list[tuple[str, object]]) -> None:
    world, newest = World(), dict.fromkeys(["topic", "mood", "tone"], 0)
    for what, value in [*steps, ("poll", None)]:
        if what == "publish":
            newest[value] += 1
            world.repo.put_head(head(newest[value], value), manifest(newest[value], value))
            world.repo.publish()
        elif what == "split":
            world.repo.split(BASE_ID, value)
            world.repo.publish()
        else:
            expected = {(name, n) for name, top in newest.items() for n in range(max(1, top - 2), top + 1)}
            assert {(h.target.name, h.target.release) for h in world.client().heads(BASE_ID)} == expected
    listed = json.loads(world.repo.snapshot)["signed"]["meta"]
    assert {f"{role}.json" for role in world.repo.roles} == set(listed)


# The stories that Swift's client hears too --------------------------------------------------------------------

VECTORS = Path(__file__).resolve().parents[2] / "ios_fixtures" / "vectors" / "hash_bins.json"
STORIES = json.loads(VECTORS.read_text())["cases"]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["comment"])
def test_stories(story: dict) -> None:
    storage = MemoryStorage()
    for stage in story["stages"]:
        served = StaticFiles()
        served.files = {f"https://r.invalid/metadata/{name}": text.encode() for name, text in stage["files"].items()}

        def client(served: StaticFiles = served) -> TrustedClient:
            url = "https://r.invalid"
            root = story["bootstrap"].encode()
            return TrustedClient(None, f"{url}/metadata", f"{url}/targets", root, served, lambda: NOW, storage=storage)

        looks = (
            (stage["found"], lambda: client().releases("kd", map(tuple, story["wanted"]))),
            (stage["listed"], lambda: client().heads("kd")),
        )
        for expected, look in looks:
            if isinstance(expected, str):
                with pytest.raises(HeadwayError) as caught:
                    look()
                assert caught.value.code == expected
            else:
                assert sorted(f"{h.target.name}@{h.target.release}" for h in look()) == sorted(expected)

"""What a hostile registry, network or thief can try against a device, and the code the device gives it.

The roles are those of the threat list: whoever holds the network can serve any bytes; whoever stole the online keys
can also sign timestamps, snapshots and channels; nobody here holds a publisher's key unless the test says so.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from headway.contract.channel import ChannelDocument
from headway.contract.errors import HeadwayError, TransferError, UntrustedError
from headway.trust.client import TrustedClient
from headway.trust.online import sign_snapshot, sign_timestamp
from headway.trust.ports import Fetched
from headway.trust.roles import TargetEntry, edit, head_entry, sign_heads
from headway.trust.simulator import RepositorySimulator
from headway.trust.wire import add_signatures, unsigned

from .hostile import ROLE, THIEF, World
from .parts import APP, BASE_ID, NOW, head, manifest


@pytest.fixture
def world() -> World:
    return World()


# --- whoever holds the network -----------------------------------------------------------------------------------


def test_arbitrary_install_other_bytes_for_a_signed_name(world):
    world.publish_head()
    target = world.client().target("heads/kd/topic/1/manifest.json")
    url = f"{world.repo.targets_url}/heads/kd/topic/1/{target.digest[7:]}.manifest.json"
    world.repo.files[url] = b"x" * target.length
    with pytest.raises(UntrustedError) as caught:
        world.client().fetch(target)
    assert caught.value.code == "mix_and_match"


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.heads-kd.json"])
def test_wrong_key(world, name):
    role = name.removesuffix(".json").split(".")[-1]
    genuine = world.repo.files[world.url(name)]
    signed = json.loads(genuine)
    signed["signatures"] = []
    world.serve(name, add_signatures(json.dumps(signed).encode(), role, [THIEF]))
    with pytest.raises(UntrustedError) as caught:
        world.client().heads(BASE_ID)
    # The length or hash one level up catches it first where there is one; a timestamp has nothing above it.
    assert caught.value.code in (["bad_signature"] if role == "timestamp" else ["mix_and_match", "too_large"])


def test_missing_signature(world):
    stripped = json.loads(world.repo.timestamp)
    stripped["signatures"] = []
    world.serve("timestamp.json", json.dumps(stripped).encode())
    world.refuses("bad_signature")


def test_signature_listed_twice(world):
    doubled = json.loads(world.repo.timestamp)
    doubled["signatures"] *= 2
    world.serve("timestamp.json", json.dumps(doubled).encode())
    world.refuses("malformed_metadata")


def test_rollback_to_an_older_timestamp(world):
    old = world.repo.timestamp
    world.publish_head()
    world.client().heads(BASE_ID)
    world.serve("timestamp.json", old)
    world.refuses("rollback")


def test_freeze_is_bounded_by_expiry(world):
    world.client().heads(BASE_ID)
    world.now += timedelta(days=7, seconds=1)
    world.refuses("expired_metadata")


def test_freeze_behind_a_304_is_bounded_too(world):
    world.client().heads(BASE_ID)
    world.repo.tamper[world.url("timestamp.json")] = lambda _: Fetched(304, b"")
    world.now += timedelta(days=7, seconds=1)
    with pytest.raises((UntrustedError, TransferError)):
        world.client().refresh()


def test_304_without_being_asked_is_no_answer(world):
    world.repo.tamper[world.url("timestamp.json")] = lambda _: Fetched(304, b"")
    with pytest.raises(TransferError):
        world.client().refresh()


@pytest.mark.parametrize(
    ("name", "cap"), [("timestamp.json", 16 * 1024), ("2.root.json", 512 * 1024), ("1.snapshot.json", 2_000_000)]
)
def test_endless_data_is_cut_off(world, name, cap):
    asked = []

    class Endless:
        """Serves as many bytes as a fetcher dares to read."""

        def fetch(self, url, *, max_bytes, etag=None):
            if url != world.url(name):
                return world.repo.fetch(url, max_bytes=max_bytes, etag=etag)
            asked.append(max_bytes)
            return Fetched(200, b"{" * (max_bytes + 1))

    client = TrustedClient(
        None,
        world.repo.metadata_url,
        world.repo.targets_url,
        world.repo.root_bytes,
        Endless(),
        lambda: NOW,
        storage=world.storage,
    )
    with pytest.raises(UntrustedError) as caught:
        client.refresh()
    assert caught.value.code == "too_large"
    assert asked
    assert max(asked) <= cap


def test_captive_portal_page_with_status_200(world):
    world.client().heads(BASE_ID)
    world.repo.tamper[world.url("timestamp.json")] = lambda _: Fetched(200, b"<html>Welcome to Free WiFi</html>")
    world.refuses("malformed_metadata")


def test_mix_and_match_of_snapshots(world):
    """A timestamp of today with the snapshot bytes of yesterday under today's name."""
    yesterday = world.repo.files[world.url("1.snapshot.json")]
    world.publish_head()
    world.serve("2.snapshot.json", yesterday)
    world.refuses("mix_and_match")


def test_mix_and_match_of_roles(world):
    """A snapshot that names version 2 of a role, and version 1 served in its place."""
    old = world.repo.files[world.url("1.heads-kd.json")]
    world.publish_head()
    world.serve("2.heads-kd.json", old)
    world.refuses("mix_and_match")


def test_another_apps_repository(world):
    other = RepositorySimulator("other", (BASE_ID,), now=lambda: NOW, seed="other")
    for url, data in other.files.items():
        world.repo.files[url.replace("/other/", f"/{APP}/")] = data
    world.refuses("bad_signature")


def test_network_failure_keeps_everything(world):
    world.publish_head()
    world.client().heads(BASE_ID)
    before = dict(world.storage.files)
    world.repo.tamper[world.url("timestamp.json")] = lambda _: Fetched(503, b"")
    with pytest.raises(TransferError):
        world.client().refresh()
    assert world.storage.files == before


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_flipped_bytes_are_refused_or_harmless(data):
    """Whatever is done to one file, the device ends with what was signed or with an error of ours."""
    world = World()
    world.publish_head()
    url = data.draw(st.sampled_from(sorted(world.repo.files)))
    body = bytearray(world.repo.files[url])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    world.repo.files[url] = bytes(body)
    try:
        heads = world.client().heads(BASE_ID)
    except HeadwayError:
        return  # one of our families; anything else fails the test
    assert [h.target for h in heads] == [head(1)]


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["signed", "signatures", "_type", "version", "meta", "keys", "roles", "expires", "spec_version"]
                ),
                x,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_in_place_of_a_timestamp_is_refused(value):
    world = World()
    world.serve("timestamp.json", json.dumps(value).encode())
    with pytest.raises(UntrustedError):
        world.client().refresh()


# --- whoever stole the online keys -------------------------------------------------------------------------------


def steal_and_serve(world: World, roles: dict[str, bytes]) -> None:
    """Sign snapshot and timestamp over ``roles`` with the genuine online keys."""
    repo = world.repo
    repo.roles.update(roles)
    repo.publish()


def test_online_thief_cannot_mint_a_head(world):
    entry = head_entry(head(9), manifest(9))
    forged = sign_heads(world.repo.roles[ROLE], BASE_ID, [entry], [THIEF, world.repo.keys.channels], now=NOW)
    steal_and_serve(world, {ROLE: forged})
    world.refuses("bad_signature")


def test_online_thief_cannot_roll_a_role_back(world):
    old = world.repo.roles[ROLE]
    world.publish_head()
    world.client().heads(BASE_ID)
    repo = world.repo
    repo.roles[ROLE] = old
    repo.snapshot = sign_snapshot(None, repo.roles, repo.keys.snapshot, now=NOW)
    metadata = Metadata.from_bytes(repo.snapshot)
    metadata.signed.version = 3
    repo.snapshot = add_signatures(unsigned(metadata.signed), "snapshot", [repo.keys.snapshot])
    world.serve("3.snapshot.json", repo.snapshot)
    repo.timestamp = sign_timestamp(repo.timestamp, repo.snapshot, repo.keys.timestamp, now=NOW)
    world.serve("timestamp.json", repo.timestamp)
    world.refuses("rollback")


def test_online_thief_cannot_drop_a_role(world):
    world.client().heads(BASE_ID)
    repo = world.repo
    kept = {role: data for role, data in repo.roles.items() if role != ROLE}
    metadata = Metadata.from_bytes(sign_snapshot(None, kept, repo.keys.snapshot, now=NOW))
    metadata.signed.version = 2
    snapshot = add_signatures(unsigned(metadata.signed), "snapshot", [repo.keys.snapshot])
    world.serve("2.snapshot.json", snapshot)
    world.serve("timestamp.json", sign_timestamp(repo.timestamp, snapshot, repo.keys.timestamp, now=NOW))
    world.refuses("bad_metadata")


def test_channels_key_cannot_sign_a_head(world):
    """The online role may only list channel documents: a head under it is not found, nor listed."""
    stray = head_entry(head(9), manifest(9))
    repo = world.repo
    repo.roles["channels"] = add_signatures(
        edit(repo.roles["channels"], "channels", put=[stray], now=NOW), "channels", [repo.keys.channels]
    )
    repo.publish()
    assert world.client().target(stray.path) is None
    assert world.client().heads(BASE_ID) == ()


def test_channel_document_of_another_channel(world):
    document = ChannelDocument(APP, "beta", BASE_ID, 1, 60, (), (), {})
    repo = world.repo
    wrong = TargetEntry.of("channels/stable/kd.json", document.to_bytes())
    repo.roles["channels"] = add_signatures(
        edit(repo.roles["channels"], "channels", put=[wrong], now=NOW), "channels", [repo.keys.channels]
    )
    repo._serve_target(wrong.path, document.to_bytes())
    repo.publish()
    with pytest.raises(UntrustedError) as caught:
        world.client().channel("stable", BASE_ID)
    assert caught.value.code == "bad_facts"


def test_fast_forward_recovers_after_key_rotation(world):
    """A thief drove timestamp and snapshot to huge versions; new keys let devices come back."""
    repo = world.repo
    world.publish_head()
    genuine = repo.snapshot
    metadata = Metadata.from_bytes(genuine)
    metadata.signed.version = 2_000_000_000
    metadata.signed.meta[f"{ROLE}.json"].version = 1
    metadata.signed.meta["bases.json"].version = 1
    snapshot = add_signatures(unsigned(metadata.signed), "snapshot", [repo.keys.snapshot])
    world.serve("2000000000.snapshot.json", snapshot)
    stamp = Metadata.from_bytes(sign_timestamp(repo.timestamp, snapshot, repo.keys.timestamp, now=NOW))
    stamp.signed.version = 2_000_000_000
    world.serve("timestamp.json", add_signatures(unsigned(stamp.signed), "timestamp", [repo.keys.timestamp]))
    world.client().refresh()
    assert world.version("timestamp") == 2_000_000_000
    repo.rotate_online_keys("after the theft")
    repo.publish()
    assert [h.target.release for h in world.client().heads(BASE_ID)] == [1]
    assert world.version("timestamp") < 10


def test_stolen_online_keys_are_worthless_after_rotation(world):
    repo = world.repo
    stolen = repo.keys
    repo.rotate_online_keys("after the theft")
    repo.publish()
    world.client().refresh()
    world.serve("timestamp.json", sign_timestamp(repo.timestamp, repo.snapshot, stolen.timestamp, now=NOW))
    world.refuses("bad_signature")

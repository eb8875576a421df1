"""Replacing the online keys, as after a theft: devices follow, and what was stolen is worth nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.contract.errors import UntrustedError
from headway.trust.ceremony import RootChange, next_root, next_targets, sign_root
from headway.trust.keys import KeyFolder
from headway.trust.online import OnlineKeys, sign_timestamp
from headway.trust.repository import Holders, sign_with_holders
from headway_server.app import Server

from .test_bad_input import refused
from .test_publish import device
from .world import FakeClock, PublisherWorld


def replaced(world: PublisherWorld) -> OnlineKeys:
    answer = world.call("POST", "/online-keys")
    assert answer.status_code == 201, answer.text
    return OnlineKeys.from_json(answer.json()["online_keys"])


def sign_in(world: PublisherWorld, keys: OnlineKeys) -> None:
    """The holders of root and targets list the new keys."""
    root = world.role("root")
    change = RootChange(snapshot=keys.snapshot, timestamp=keys.timestamp)
    newer = sign_root(next_root(root, change, now=world.now), root, world.root_keys)
    assert world.post_role("root", newer).status_code == 200
    targets = world.role("targets")
    draft = next_targets(targets, {"channels": Holders((keys.channels,))}, now=world.now)
    signed = sign_with_holders(draft, "targets", world.targets_keys, root=newer, targets=targets)
    answer = world.post_role("targets", signed)
    assert answer.status_code == 200, answer.text


def test_a_theft_is_recovered_from(server: Server, published: PublisherWorld, tmp_path: Path, clock: FakeClock) -> None:
    published.offer(1)
    client = device(published, tmp_path / "device", clock)
    client.refresh()
    stolen = KeyFolder(server.ports.settings.keys_dir / "reader").load("timestamp")
    sign_in(published, replaced(published))
    client.refresh()
    channel = client.channel("stable", "kd")
    assert channel is not None
    assert channel.document.epoch == 1
    assert [h.target.release for h in client.heads("kd")] == [1]

    # The thief signs a far newer timestamp with what he stole: devices refuse it.
    forged = sign_timestamp(published.role("timestamp"), published.role("snapshot"), stolen, now=published.now)
    server.ports.store.replace("apps/reader/metadata/timestamp.json", forged)
    with pytest.raises(UntrustedError):
        client.refresh()

    # Life goes on under the new keys.
    clock.forward(60)
    published.publish_head(2)
    client.refresh()
    assert sorted(h.target.release for h in client.heads("kd")) == [1, 2]


def test_new_keys_count_only_when_signed_in(published: PublisherWorld, tmp_path: Path, clock: FakeClock) -> None:
    assert replaced(published) == replaced(published)  # cut off and asked again: the same keys
    published.publish_head(2)
    client = device(published, tmp_path / "device", clock)
    client.refresh()
    assert len(client.heads("kd")) == 2


def test_foreign_keys_are_refused(published: PublisherWorld) -> None:
    from headway.trust.simulator import seeded_key

    root = published.role("root")
    change = RootChange(timestamp=seeded_key("thief").public)
    newer = sign_root(next_root(root, change, now=published.now), root, published.root_keys)
    refused(published.post_role("root", newer), 422, "foreign_online_key")

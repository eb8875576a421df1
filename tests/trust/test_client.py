"""A device's view of a registry that is honest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from headway.contract.channel import ChannelDocument
from headway.contract.errors import TransferError, UntrustedError
from headway.trust.ceremony import RootChange
from headway.trust.client import TrustedClient
from headway.trust.repository import Holders
from headway.trust.simulator import RepositorySimulator, seeded_key
from headway.trust.storage import FolderStorage, MemoryStorage

from .parts import APP, BASE_ID, NOW, head, manifest


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self):
        return self.now

    def forward(self, **delta) -> None:
        self.now += timedelta(**delta)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repo(clock) -> RepositorySimulator:
    return RepositorySimulator(APP, (BASE_ID,), now=clock)


def client_of(repo, clock, storage=None, **kwargs) -> TrustedClient:
    return TrustedClient(
        None,
        repo.metadata_url,
        repo.targets_url,
        kwargs.pop("root", repo.root_bytes),
        repo,
        clock,
        storage=storage or MemoryStorage(),
        **kwargs,
    )


def document(epoch: int = 1) -> ChannelDocument:
    return ChannelDocument(APP, "stable", BASE_ID, epoch, 3600, (), (), {})


def names(repo) -> list[str]:
    return [url.removeprefix(repo.metadata_url + "/") for url in repo.requests]


def test_first_refresh_gets_four_files_in_order(repo, clock):
    result = client_of(repo, clock).refresh()
    assert names(repo) == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
    assert result.changed
    assert result.requests == 4


def test_unchanged_poll_is_one_conditional_request(repo, clock):
    storage = MemoryStorage()
    client_of(repo, clock, storage).refresh()
    repo.requests.clear()
    result = client_of(repo, clock, storage).refresh()
    assert names(repo) == ["timestamp.json"]
    assert (result.changed, result.requests, result.received_bytes) == (False, 1, 0)


def test_daily_resign_costs_one_small_file(repo, clock):
    storage = MemoryStorage()
    client_of(repo, clock, storage).refresh()
    clock.forward(days=1)
    repo.resign()
    repo.requests.clear()
    result = client_of(repo, clock, storage).refresh()
    assert names(repo) == ["timestamp.json", "2.root.json"]
    assert result.received_bytes < 600


def test_exact_bytes_are_stored(repo, clock, tmp_path):
    repo.put_head(head(1), manifest(1))
    repo.publish()
    client = client_of(repo, clock, FolderStorage(tmp_path))
    client.heads(BASE_ID)
    for role, data in {**repo.roles, "root": repo.root, "snapshot": repo.snapshot, "timestamp": repo.timestamp}.items():
        path = tmp_path / f"{role}.json"
        assert not path.exists() if role in ("bases", "channels") else path.read_bytes() == data
    assert [path.name for path in tmp_path.rglob("*.tmp")] == []


def test_heads_come_with_their_signed_facts(repo, clock):
    repo.put_head(head(1), manifest(1))
    repo.put_head(head(2), manifest(2))
    repo.publish()
    client = client_of(repo, clock)
    assert sorted(h.target.release for h in client.heads(BASE_ID)) == [1, 2]
    target = client.target("heads/kd/topic/2/manifest.json")
    assert target is not None
    assert client.fetch(target) == manifest(2)


def test_unknown_things_are_none_not_errors(repo, clock):
    client = client_of(repo, clock)
    assert client.heads("other") == ()
    assert client.target("nothing") is None
    assert client.channel("stable", BASE_ID) is None


def test_channel_document_is_fetched_once(repo, clock):
    repo.put_channel(document())
    repo.publish()
    storage = MemoryStorage()
    assert client_of(repo, clock, storage).channel("stable", BASE_ID).document == document()
    repo.requests.clear()
    assert client_of(repo, clock, storage).channel("stable", BASE_ID).document == document()
    assert names(repo) == ["timestamp.json"]


def test_changed_channel_document_is_seen(repo, clock):
    repo.put_channel(document())
    repo.publish()
    storage = MemoryStorage()
    client_of(repo, clock, storage).channel("stable", BASE_ID)
    repo.put_channel(document(2))
    repo.publish()
    assert client_of(repo, clock, storage).channel("stable", BASE_ID).document.epoch == 2


def test_every_root_key_can_be_replaced_step_by_step(repo, clock):
    storage = MemoryStorage()
    client_of(repo, clock, storage).refresh()
    fresh = tuple(seeded_key(f"fresh-{n}") for n in range(3))
    repo.rotate_root(RootChange(root=Holders(tuple(k.public for k in fresh), 3)), fresh)
    repo.keys = replace(repo.keys, root=fresh)
    repo.rotate_root(RootChange())
    repo.publish()
    client_of(repo, clock, storage).refresh()
    assert storage.files["root.json"] == repo.root
    assert set(storage.files) >= {"root_history/2.root.json", "root_history/3.root.json"}


def test_device_that_slept_through_rotations_catches_up_from_its_embedded_root(repo, clock):
    for n in range(5):
        repo.rotate_online_keys(f"seed-{n}")
    repo.put_channel(document())
    repo.publish()
    assert client_of(repo, clock).channel("stable", BASE_ID) is not None


def test_newer_embedded_root_needs_no_history(repo, clock):
    storage = MemoryStorage()
    client_of(repo, clock, storage).refresh()
    repo.rotate_online_keys("second")
    repo.publish()
    client_of(repo, clock, storage, root=repo.root).refresh()
    assert storage.files["root.json"] == repo.root


def test_lost_root_history_is_fetched_again(repo, clock):
    repo.rotate_root(RootChange())
    repo.publish()
    storage = MemoryStorage()
    client_of(repo, clock, storage).refresh()
    storage.remove("root_history/2.root.json")
    client_of(repo, clock, storage).refresh()
    assert storage.files["root_history/2.root.json"] == repo.root


def test_new_base_can_be_delegated_later(repo, clock):
    repo.add_base_role("second")
    repo.put_head(head(1, base_id="second"), manifest(1))
    repo.publish()
    assert client_of(repo, clock).heads("second")[0].target.base_id == "second"


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "heads-kd"])
@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 40, b'{"signatures": [], "signed": {}}'])
def test_damaged_store_heals_from_the_registry(repo, clock, role, damage):
    storage = MemoryStorage()
    client_of(repo, clock, storage).heads(BASE_ID)
    intact = dict(storage.files)
    storage.files[f"{role}.json"] = damage
    client_of(repo, clock, storage).heads(BASE_ID)
    assert {name: storage.files[name] for name in intact} == intact


def test_missing_file_is_a_transfer_error(repo, clock):
    del repo.files[f"{repo.metadata_url}/1.snapshot.json"]
    with pytest.raises(TransferError) as caught:
        client_of(repo, clock).refresh()
    assert caught.value.code == "not_served"


def test_clock_never_runs_backwards(repo, clock):
    """A clock set back must not make expired metadata good again."""
    first = client_of(repo, clock).refresh()
    old = repo.files[f"{repo.metadata_url}/timestamp.json"]
    clock.forward(days=6)
    repo.publish()
    floor = client_of(repo, clock).refresh().clock_floor
    assert floor == first.clock_floor + timedelta(days=6)
    clock.now = NOW
    repo.files[f"{repo.metadata_url}/timestamp.json"] = old
    client_of(repo, clock).refresh()
    clock.now = NOW
    with pytest.raises(UntrustedError) as caught:
        client_of(repo, clock, clock_floor=floor + timedelta(days=2)).refresh()
    assert caught.value.code == "expired_metadata"

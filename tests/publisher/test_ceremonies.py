"""Ceremonies against a real registry, judged by a real client that was there before and one that comes after."""

from __future__ import annotations

import stat

import pytest
from tuf.api.metadata import Metadata

from headway.contract.errors import RefusedError, TransferError, UntrustedError
from headway.device.fetcher import HttpFetcher
from headway.publisher.ceremonies import create_app, delegate_base, embedded_root, status
from headway.publisher.rotations import change_threshold, post_targets, revoke_key, rotate_key, rotate_online_keys
from headway.publisher.signing import renew_role
from headway.trust.ceremony import admit, holders, next_targets, root_holders
from headway.trust.client import TrustedClient
from headway.trust.keys import KeyFolder, SigningKey
from headway.trust.repository import Holders
from headway.trust.storage import MemoryStorage
from headway.trust.wire import add_signatures

from .conftest import BASE_ID


@pytest.fixture
def keys(tmp_path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


@pytest.fixture
def app(registry, keys, clock) -> KeyFolder:
    assert create_app(registry, keys, [BASE_ID], now=clock)
    return keys


class Phone:
    """A device that keeps its store between polls."""

    def __init__(self, registry, network, keys, clock) -> None:
        self.registry, self.network, self.clock = registry, network, clock
        self.root = embedded_root(keys).read_bytes()
        self.storage = MemoryStorage()

    def poll(self) -> TrustedClient:
        client = TrustedClient(
            None,
            self.registry.metadata_url,
            self.registry.targets_url,
            self.root,
            HttpFetcher(transport=self.network),
            self.clock,
            storage=self.storage,
        )
        client.refresh()
        client.heads(BASE_ID)
        client.bases()
        return client


@pytest.fixture
def phone(registry, network, app, clock) -> Phone:
    phone = Phone(registry, network, app, clock)
    phone.poll()
    return phone


def test_create_makes_private_keys_and_a_root_to_embed(registry, app):
    assert app.names() == ("publisher", *(f"root-{n}" for n in (1, 2, 3)), *(f"targets-{n}" for n in (1, 2, 3)))
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in app.folder.glob("*.pem"))
    assert registry.role("root") == embedded_root(app).read_bytes()
    assert {row.role: row.threshold for row in status(registry, app)} == {
        "root": 2,
        "targets": 2,
        "bases": 1,
        "channels": 1,
        f"heads-{BASE_ID}": 1,
        "snapshot": 1,
        "timestamp": 1,
    }


def test_create_twice_changes_nothing(registry, app, clock):
    before = registry.role("root")
    clock.forward(days=1)
    assert not create_app(registry, app, [BASE_ID], now=clock)
    assert registry.role("root") == before


def test_create_that_was_cut_off_is_finished(registry, network, keys, clock):
    network.lose_answer = lambda request: request.url.path.endswith("/trust")
    with pytest.raises(TransferError):
        create_app(registry, keys, [BASE_ID], now=clock)
    network.lose_answer = lambda request: False
    clock.forward(hours=1)
    assert not create_app(registry, keys, [BASE_ID], now=clock)
    assert registry.role("targets")


def test_someone_else_cannot_take_the_app_over(registry, app, tmp_path, clock):
    with pytest.raises(RefusedError) as caught:
        create_app(registry, KeyFolder(tmp_path / "other"), [BASE_ID], now=clock)
    assert caught.value.code == "trust_exists"


@pytest.mark.parametrize("name", ["root-1", "targets-2", "publisher"])
def test_rotate_a_key(registry, app, phone, clock, name):
    old = app.load(name).public
    new_name, new = rotate_key(registry, app, name, now=clock)
    held = {**root_holders(registry.role("root")), **holders(registry.role("targets"))}
    assert new_name == f"{name}-v2"
    assert not any(old in holder.keys for holder in held.values())
    assert any(new.public in holder.keys for holder in held.values())
    phone.poll()
    assert create_and_poll_fresh(phone)


def create_and_poll_fresh(phone: Phone) -> bool:
    """A device installed only now starts from the old embedded root too."""
    phone.storage = MemoryStorage()
    phone.poll()
    return True


def test_every_root_key_can_be_rotated_in_turn(registry, app, phone, clock):
    for name in ("root-1", "root-2", "root-3"):
        rotate_key(registry, app, name, now=clock)
        (app.folder / f"{name}.pem").unlink()
    phone.poll()
    assert create_and_poll_fresh(phone)


def test_lost_publisher_key_is_replaced_by_its_id(registry, app, phone, clock):
    lost = app.load("publisher").public.keyid
    (app.folder / "publisher.pem").unlink()
    rotate_key(registry, app, lost, now=clock)
    phone.poll()
    assert lost not in {keyid for row in status(registry, app) for keyid, _ in row.keys}


def test_interrupted_rotation_is_finished(registry, app, phone, network, clock):
    seen = []

    def third_role(request) -> bool:
        seen.append(request.url.path) if request.method == "POST" else None
        return request.method == "POST" and len(seen) > 2

    network.lose_request = third_role
    with pytest.raises(TransferError):
        rotate_key(registry, app, "publisher", now=clock)
    network.lose_request = lambda request: False
    phone.poll()
    rotate_key(registry, app, "publisher", now=clock)
    phone.poll()
    assert app.names().count("publisher-v2") == 1


def test_stolen_publisher_key_is_worthless_after_rotation(registry, app, clock):
    stolen = app.load("publisher")
    rotate_key(registry, app, "publisher", now=clock)
    with pytest.raises(RefusedError) as caught:
        renew_role(registry, "bases", [stolen], clock())
    assert caught.value.code == "no_signing_key"


def test_only_holder_cannot_be_revoked_without_a_replacement(registry, app, clock):
    with pytest.raises(RefusedError) as caught:
        revoke_key(registry, app, app.load("publisher").public.keyid, now=clock)
    assert caught.value.code == "bad_threshold"


def test_threshold_of_root_is_raised(registry, app, phone, clock):
    change_threshold(registry, app, "root", 3, now=clock)
    change_threshold(registry, app, "targets", 3, now=clock)
    assert root_holders(registry.role("root"))["targets"].threshold == 3
    phone.poll()


def test_impossible_threshold_is_refused(registry, app, clock):
    with pytest.raises(RefusedError) as caught:
        change_threshold(registry, app, "bases", 2, now=clock)
    assert caught.value.code == "bad_threshold"


def test_too_few_keys_at_hand(registry, app, clock):
    for name in ("root-2", "root-3"):
        (app.folder / f"{name}.pem").unlink()
    before = registry.role("root")
    with pytest.raises(RefusedError) as caught:
        rotate_key(registry, app, "targets-1", now=clock)
    assert caught.value.code == "threshold_not_met"
    assert registry.role("root") == before


def test_new_base_is_delegated(registry, app, phone, clock):
    delegate_base(registry, app, "second", now=clock)
    assert phone.poll().heads("second") == ()
    with pytest.raises(RefusedError) as caught:
        delegate_base(registry, app, "second", now=clock)
    assert caught.value.code == "role_exists"


def test_delegation_that_was_cut_off_is_finished(registry, app, phone, network, clock):
    network.lose_request = lambda request: request.url.path.endswith("/roles/heads-second") and request.method == "POST"
    with pytest.raises(TransferError):
        delegate_base(registry, app, "second", now=clock)
    network.lose_request = lambda request: False
    phone.poll()
    assert delegate_base(registry, app, "second", now=clock).changed


# --- theft of the online keys ------------------------------------------------------------------------------------


@pytest.fixture
def thief(registry, app, tmp_path) -> SigningKey:
    """Someone with the server's timestamp key."""
    return KeyFolder(tmp_path / "data" / "keys" / registry.app).load("timestamp")


def forge(registry, network, thief, version: int, clock) -> None:
    """Put a timestamp of the thief's in front of devices."""
    url = f"{registry.metadata_url}/timestamp.json"
    stamp = Metadata.from_bytes(HttpFetcher(transport=network).fetch(url, max_bytes=10_000).body)
    stamp.signed.version = version
    stamp.signatures.clear()
    forged = add_signatures(stamp.to_bytes(), "timestamp", [thief])
    network.forged = {"/apps/reader/metadata/timestamp.json": forged}


def test_stolen_online_keys_are_worthless_after_rotation(registry, app, phone, network, thief, clock):
    rotate_online_keys(registry, app, now=clock)
    phone.poll()
    forge(registry, network, thief, 1_000_000, clock)
    with pytest.raises(UntrustedError) as caught:
        phone.poll()
    assert caught.value.code == "bad_signature"


def test_fast_forwarded_device_comes_back_after_rotation(registry, app, phone, network, thief, clock):
    """The thief drives versions so high that the genuine registry could never catch up."""
    forge(registry, network, thief, 2_000_000_000, clock)
    phone.poll()
    network.forged = {}
    with pytest.raises(UntrustedError) as caught:
        phone.poll()
    assert caught.value.code == "rollback"
    rotate_online_keys(registry, app, now=clock)
    phone.poll()
    assert create_and_poll_fresh(phone)


def test_online_rotation_cut_off_half_way_keeps_devices_going(registry, app, phone, network, clock):
    network.lose_request = lambda request: request.method == "POST" and request.url.path.endswith("/roles/targets")
    with pytest.raises(TransferError):
        rotate_online_keys(registry, app, now=clock)
    network.lose_request = lambda request: False
    phone.poll()
    registry.set_poll_interval("stable", BASE_ID, 60)
    assert phone.poll().channel("stable", BASE_ID).document.poll_after_s == 60
    rotate_online_keys(registry, app, now=clock)
    registry.set_poll_interval("stable", BASE_ID, 90)
    assert phone.poll().channel("stable", BASE_ID).document.poll_after_s == 90


# --- signing ahead -----------------------------------------------------------------------------------------------


def test_threshold_of_a_role_is_raised_without_a_gap(registry, app, phone, network, clock):
    """At no moment between two requests does a device meet a role that is not signed enough."""
    human = app.create("human")
    draft = admit(registry.role("targets"), human.public, beside=app.load("publisher").public.keyid, now=clock())
    post_targets(registry, draft, app.all(), now=clock)
    polls = []

    def poll_between(request) -> bool:
        if request.method == "POST":
            phone.poll()
            polls.append(request.url.path)
        return False

    network.lose_answer = poll_between
    change_threshold(registry, app, "bases", 2, now=clock)
    network.lose_answer = lambda request: False
    phone.poll()
    assert len(polls) == 2
    assert holders(registry.role("targets"))["bases"].threshold == 2


@pytest.mark.parametrize("name", ["targets-1", "publisher"])
def test_device_polls_through_every_step_of_a_rotation(registry, app, phone, network, clock, name):
    (app.folder / "targets-3.pem").rename(app.folder.parent / "targets-3.pem")
    renew_role(registry, "targets", app.all(), clock())

    def poll_between(request) -> bool:
        if request.method == "POST":
            phone.poll()
        return False

    network.lose_answer = poll_between
    rotate_key(registry, app, name, now=clock)
    network.lose_answer = lambda request: False
    phone.poll()
    assert create_and_poll_fresh(phone)


def test_registry_refuses_a_delegation_that_would_strand_a_role(registry, app, phone, clock):
    draft = next_targets(registry.role("targets"), {"bases": Holders((SigningKey.generate().public,))}, now=clock())
    with pytest.raises(RefusedError) as caught:
        post_targets(registry, draft, app.all(), now=clock)
    assert caught.value.code == "unvouched_role"
    phone.poll()


def test_key_that_holds_nothing_cannot_be_rotated(registry, app, clock):
    app.create("spare")
    with pytest.raises(RefusedError) as caught:
        rotate_key(registry, app, "spare", now=clock)
    assert caught.value.code == "no_such_key"
    assert "spare-v2" not in app.names()

"""Splitting a base's heads into bins, over a real registry, watched by a real client on both sides of the split."""

from __future__ import annotations

import contextlib

import httpx2
import pytest
from tests.server.world import PublisherWorld

from headway.contract.errors import HeadwayError, RefusedError
from headway.device.fetcher import HttpFetcher
from headway.publisher.ceremonies import create_app, embedded_root, renew_any, status
from headway.publisher.head_roles import HeadsNow, put_head_entry, renew_heads, split_heads
from headway.publisher.rotations import change_threshold, post_targets, revoke_key, rotate_key
from headway.trust import bins
from headway.trust.bins import HeadRoles, placed
from headway.trust.ceremony import admit
from headway.trust.client import TrustedClient
from headway.trust.keys import KeyFolder
from headway.trust.roles import entries, head_entry, revoked
from headway.trust.storage import MemoryStorage
from headway.trust.wire import add_signatures, facts

BASE_ID, PARENT = "kd", "heads-kd"


class Studio:
    """A publisher with a registry, and a device that keeps its store between polls."""

    def __init__(self, registry, network, clock, keys: KeyFolder) -> None:
        self.registry, self.network, self.clock, self.keys = registry, network, clock, keys
        client = httpx2.Client(transport=network, base_url="http://registry.invalid")
        self.world = PublisherWorld(client, network.token, "reader", clock.seconds)
        self.world.publisher = keys.load("publisher")
        self.storage = MemoryStorage()

    @property
    def signers(self):
        return self.keys.all()

    def entry(self, release: int, name: str = "topic"):
        draft = self.world.draft_head(release, name)
        assert self.world.register_head(draft).status_code == 201
        return head_entry(draft.target, draft.manifest.to_bytes())

    def publish(self, release: int, name: str = "topic"):
        return put_head_entry(self.registry, BASE_ID, self.entry(release, name), self.signers, self.clock())

    def split(self, count: int | None = None) -> int:
        return split_heads(self.registry, BASE_ID, self.signers, bins=count, now=self.clock())[0]

    def bits(self) -> int:
        return HeadRoles.of(BASE_ID, self.registry.role(PARENT)).bits

    def client(self, storage: MemoryStorage | None = None) -> TrustedClient:
        root = embedded_root(self.keys).read_bytes()
        registry, fetcher = self.registry, HttpFetcher(transport=self.network)
        return TrustedClient(
            None,
            registry.metadata_url,
            registry.targets_url,
            root,
            fetcher,
            self.clock,
            storage=self.storage if storage is None else storage,
        )

    def known(self, storage: MemoryStorage | None = None) -> list[str]:
        """What the device may run."""
        return [f"{h.target.name}@{h.target.release}" for h in self.client(storage).heads(BASE_ID)]

    def poll(self) -> list[str]:
        """What the device may run; one that was never there sees the same."""
        seen = self.known()
        assert self.known(MemoryStorage()) == seen
        return seen

    def states(self) -> dict[str, str]:
        return {f"{row['name']}@{row['release']}": row["state"] for row in self.registry.heads()}


@pytest.fixture
def studio(registry, network, clock, tmp_path) -> Studio:
    keys = KeyFolder(tmp_path / "keys")
    assert create_app(registry, keys, [BASE_ID], now=clock)
    studio = Studio(registry, network, clock, keys)
    studio.world.publish_base()
    studio.publish(1)
    studio.publish(1, "mood")
    assert studio.poll() == ["mood@1", "topic@1"]
    return studio


def test_a_device_follows_a_split_new_bins_and_back(studio):
    for count in (4, 4, 8, 2, 1, 4, 1):
        assert studio.split(count) == count
        assert studio.poll() == ["mood@1", "topic@1"]
    assert studio.states() == {"topic@1": "live", "mood@1": "live"}


def test_publishing_goes_on_in_bins_and_signs_only_what_changes(studio):
    studio.split(8)
    for number in (2, 3, 4, 5):
        before = studio.registry.role_versions()
        signed = studio.publish(number)
        after = studio.registry.role_versions()
        changed = {role for role, version in after.items() if before[role] != version} - {"snapshot", "timestamp"}
        assert signed.changed
        assert changed <= set(HeadRoles(BASE_ID, 3).listing)
        assert 1 <= len(changed) <= 2
        entry = HeadsNow.of(studio.registry, BASE_ID).entry(f"heads/kd/topic/{number}/manifest.json")
        assert not put_head_entry(studio.registry, BASE_ID, entry, studio.signers, studio.clock()).changed
    assert studio.poll() == ["mood@1", "topic@3", "topic@4", "topic@5"]
    assert studio.states()["topic@2"] == "unlisted"
    studio.split(1)
    assert studio.poll() == ["mood@1", "topic@3", "topic@4", "topic@5"]
    studio.publish(6)
    assert studio.poll() == ["mood@1", "topic@4", "topic@5", "topic@6"]


def test_a_revocation_reaches_the_bin(studio):
    studio.split(4)
    there = HeadsNow.of(studio.registry, BASE_ID)
    home = there.roles.home("heads/kd/topic/1/manifest.json")
    word = revoked(there.role(home), BASE_ID, "topic", 1)
    assert put_head_entry(studio.registry, BASE_ID, word, studio.signers, studio.clock()).role == home
    assert studio.states()["topic@1"] == "revoked"
    assert [h.target.status for h in studio.client().releases(BASE_ID, [("topic", 1)])] == ["revoked"]


def test_a_role_splits_by_itself_when_it_grows(studio, monkeypatch):
    monkeypatch.setattr(bins, "SPLIT_ABOVE", 4)
    studio.publish(2)
    studio.publish(3)
    assert studio.bits() == 0
    assert studio.publish(1, "tone").changed
    assert studio.bits() == 3
    assert studio.poll() == ["mood@1", "tone@1", "topic@1", "topic@2", "topic@3"]
    row = next(row for row in status(studio.registry, studio.keys) if row.role == PARENT)
    assert row.bins == 8


def test_bins_that_were_outgrown_are_split_again(studio, monkeypatch):
    studio.split(2)
    monkeypatch.setattr(bins, "SPLIT_ABOVE", 1)  # now three heads suit eight bins
    one = studio.publish(1, "tone")
    assert (one.changed, one.heads, one.advice) == (True, 3, "")
    assert studio.bits() == 3
    assert studio.poll() == ["mood@1", "tone@1", "topic@1"]
    studio.publish(2)
    assert studio.bits() == 3, "the next size up is not worth a download by every device"


def test_what_was_published_stays_so_where_splitting_again_fails(studio, monkeypatch):
    studio.split(2)
    monkeypatch.setattr(bins, "SPLIT_ABOVE", 1)
    studio.network.lose_request = lambda request: request.method == "POST" and request.url.path.endswith("/roles")
    one = studio.publish(1, "tone")
    assert one.changed
    assert "headway keys split kd" in one.advice
    studio.network.lose_request = lambda request: False
    assert (studio.bits(), studio.poll()) == (1, ["mood@1", "tone@1", "topic@1"])
    assert not studio.publish(2).advice
    assert (studio.bits(), studio.poll()) == (3, ["mood@1", "tone@1", "topic@1", "topic@2"])


def test_publishers_meet_only_in_one_bin(studio):
    studio.split(2)
    roles = HeadRoles(BASE_ID, 1)
    current = {role: studio.registry.role(role) for role in roles.listing}
    drafts = [studio.entry(1, f"head-{n}") for n in range(6)]
    by_bin: dict[str, list] = {role: [one for one in drafts if roles.home(one.path) == role] for role in current}
    assert all(len(found) >= 2 for found in by_bin.values())

    def post(one) -> None:
        for role, draft in placed(roles, current, [one], now=studio.clock()).items():
            studio.registry.post_role(role, add_signatures(draft, role, [studio.keys.load("publisher")]))

    first, second = by_bin.values()
    post(first[0])
    post(second[0])
    with pytest.raises(RefusedError) as caught:
        post(second[1])
    assert caught.value.code == "version_conflict"
    for one in drafts:
        put_head_entry(studio.registry, BASE_ID, one, studio.signers, studio.clock())
    assert len(studio.poll()) == 8


def test_a_split_that_is_cut_off_anywhere_is_finished_by_repeating(studio):
    def there_and_back() -> None:
        studio.split(2)
        studio.split(1)

    studio.network.sent.clear()
    there_and_back()
    requests = len(studio.network.sent)
    writes = [n for n, sent in enumerate(studio.network.sent, 1) if sent.startswith("POST")]
    for way, points in (("lose_request", range(1, requests + 1, 5)), ("lose_answer", writes)):
        for lost in points:
            left = lost

            def cut(request: httpx2.Request) -> bool:
                nonlocal left
                left -= 1
                return left <= 0

            setattr(studio.network, way, cut)
            with contextlib.suppress(HeadwayError):
                there_and_back()
            setattr(studio.network, way, lambda request: False)
            assert studio.known() == ["mood@1", "topic@1"]
    assert studio.split(4) == 4
    assert studio.poll() == ["mood@1", "topic@1"]


def test_a_split_undoes_nothing_that_was_published_meanwhile(studio):
    """Between what the splitter read and what he sends, another release and a revocation come in."""
    late = studio.entry(2)
    word = revoked(studio.registry.role(PARENT), BASE_ID, "mood", 1)
    versions, came = studio.registry.role_versions, []

    def meanwhile() -> dict[str, int]:
        if not came:
            came.append(True)
            for one in (late, word):
                put_head_entry(studio.registry, BASE_ID, one, studio.signers, studio.clock())
        return versions()

    studio.registry.role_versions = meanwhile
    assert studio.split(4) == 4
    assert studio.poll() == ["mood@1", "topic@1", "topic@2"]
    assert studio.states() == {"topic@1": "live", "topic@2": "live", "mood@1": "revoked"}


def test_someone_who_does_not_know_of_bins_cannot_undo_them(studio):
    studio.split(4)
    draft = studio.world.draft_head(2)
    assert studio.world.register_head(draft).status_code == 201
    answer = studio.world.post_role(PARENT, studio.world.head_role(draft))
    assert (answer.status_code, answer.json()["code"]) == (422, "out_of_scope")


def test_a_publisher_key_is_replaced_in_all_bins(studio):
    studio.split(4)
    old = studio.keys.load("publisher")
    seen = []
    post = studio.registry.post_role, studio.registry.post_roles

    def watched(send):
        def call(*arguments):
            told = send(*arguments)
            seen.append(studio.known())
            return told

        return call

    studio.registry.post_role, studio.registry.post_roles = watched(post[0]), watched(post[1])
    rotate_key(studio.registry, studio.keys, "publisher", now=studio.clock)
    assert len(seen) >= 3
    assert all(heads == ["mood@1", "topic@1"] for heads in seen)
    studio.keys.folder.joinpath("publisher.pem").unlink()
    studio.world.publisher = studio.keys.load("publisher-v2")
    studio.publish(2)
    assert studio.poll() == ["mood@1", "topic@1", "topic@2"]
    home = HeadRoles(BASE_ID, 2).home("heads/kd/topic/2/manifest.json")
    draft = placed(HeadRoles(BASE_ID, 2), {home: studio.registry.role(home)}, [studio.entry(3)], now=studio.clock())
    for role, data in draft.items():
        with pytest.raises(HeadwayError) as caught:
            studio.registry.post_role(role, add_signatures(data, role, [old]))
        assert caught.value.code in ("bad_signature", "version_conflict")


def test_thresholds_and_further_publishers_reach_the_bins(studio):
    studio.split(2)
    human = studio.keys.create("human")
    old = studio.keys.load("publisher").public.keyid
    draft = admit(studio.registry.role("targets"), human.public, beside=old, now=studio.clock())
    post_targets(studio.registry, draft, studio.signers, now=studio.clock)
    assert studio.poll() == ["mood@1", "topic@1"]
    change_threshold(studio.registry, studio.keys, PARENT, 2, now=studio.clock)
    assert studio.poll() == ["mood@1", "topic@1"]
    entry = studio.entry(2)
    with pytest.raises(RefusedError) as caught:
        put_head_entry(studio.registry, BASE_ID, entry, [studio.keys.load("publisher")], studio.clock())
    assert caught.value.code == "threshold_not_met"
    put_head_entry(studio.registry, BASE_ID, entry, studio.signers, studio.clock())
    assert studio.poll() == ["mood@1", "topic@1", "topic@2"]
    change_threshold(studio.registry, studio.keys, PARENT, 1, now=studio.clock)
    revoke_key(studio.registry, studio.keys, human.public.keyid, now=studio.clock)
    assert studio.poll() == ["mood@1", "topic@1", "topic@2"]
    put_head_entry(studio.registry, BASE_ID, studio.entry(3), [studio.keys.load("publisher")], studio.clock())
    assert studio.poll() == ["mood@1", "topic@1", "topic@2", "topic@3"]


def test_bins_do_not_expire_while_someone_publishes(studio):
    studio.split(4)
    for number in range(2, 6):
        studio.clock.forward(days=60)
        renew_any(studio.registry, studio.keys, "targets", now=studio.clock)
        studio.publish(number)
        assert f"topic@{number}" in studio.poll()
    parent = facts(studio.registry.role(PARENT), PARENT)
    for role in HeadRoles(BASE_ID, 2).listing:
        assert facts(studio.registry.role(role), role).expires >= parent.expires
    studio.clock.forward(days=20)
    renewed = renew_any(studio.registry, studio.keys, PARENT, now=studio.clock)
    assert (renewed.role, renewed.changed) == (PARENT, True)
    assert facts(studio.registry.role(PARENT), PARENT).expires > parent.expires
    assert len(studio.poll()) == 4


def test_roles_of_two_bases_are_not_taken_together(studio):
    studio.split(2)
    roles = {"bases": studio.registry.role("bases"), PARENT: studio.registry.role(PARENT)}
    with pytest.raises(RefusedError) as caught:
        studio.registry.post_roles(roles)
    assert caught.value.code == "mixed_roles"
    with pytest.raises(RefusedError) as caught:
        studio.registry.post_roles({"heads-kd\x00": b"{}"})
    assert caught.value.code == "malformed"
    assert not any(role.changed for role in studio.registry.post_roles({PARENT: roles[PARENT]}))
    assert renew_heads(studio.registry, BASE_ID, studio.signers, studio.clock()).changed
    assert entries(studio.registry.role(PARENT), PARENT) == ()

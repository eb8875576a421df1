"""Publishing real (small) models to a real registry, over a network that may lose anything at any point."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from headway.contract.errors import IncompatibleError, RefusedError, TransferError
from headway.contract.targets import HeadTarget
from headway.device.fetcher import HttpFetcher
from headway.publisher.ceremonies import create_app, embedded_root
from headway.publisher.describe import HeadOptions
from headway.publisher.gate import Waiver
from headway.publisher.publish import publish_base, publish_head, revoke_head
from headway.publisher.registry import Registry
from headway.publisher.rotations import rotate_key
from headway.publisher.signing import renew_role
from headway.trust import dsse
from headway.trust.client import TrustedClient
from headway.trust.keys import KeyFolder, SigningKey
from headway.trust.roles import head_targets
from headway.trust.storage import MemoryStorage

from .conftest import APP, BASE_ID, FAST
from .releases import DATA_DIGEST, base_release, copy_of, write_card


@pytest.fixture
def keys(registry, tmp_path, clock) -> KeyFolder:
    folder = KeyFolder(tmp_path / "keys")
    create_app(registry, folder, [BASE_ID], now=clock)
    return folder


class Studio:
    """A publisher at work."""

    def __init__(self, registry, keys, clock, base) -> None:
        self.registry, self.keys, self.clock, self.base_folder = registry, keys, clock, base

    def base(self, path=None, version="1", **kwargs):
        return publish_base(
            self.registry,
            path or self.base_folder,
            base_id=BASE_ID,
            version=version,
            signers=kwargs.pop("signers", self.keys.all()),
            now=self.clock,
            **kwargs,
        )

    def head(self, path, **kwargs):
        return publish_head(
            self.registry,
            path,
            base_id=BASE_ID,
            name="topic",
            bases=kwargs.pop("bases", [self.base_folder]),
            signers=kwargs.pop("signers", self.keys.all()),
            now=self.clock,
            **kwargs,
        )


@pytest.fixture
def studio(registry, keys, clock, base) -> Studio:
    return Studio(registry, keys, clock, base)


@pytest.fixture
def phone(registry, keys, network, clock) -> TrustedClient:
    return TrustedClient(
        None,
        registry.metadata_url,
        registry.targets_url,
        embedded_root(keys).read_bytes(),
        HttpFetcher(transport=network),
        clock,
        storage=MemoryStorage(),
    )


def test_publish_reaches_a_device(studio, phone, heads):
    base = studio.base()
    head = studio.head(heads[0])
    assert (base.new, head.new, head.version) == (True, True, "1")
    (signed,) = phone.heads(BASE_ID)
    (signed_base,) = phone.bases()
    assert signed.target.bases[0].digest == signed_base.target.package
    assert phone.head_manifest(signed).manifest.digest == head.manifest
    assert phone.base_manifest(signed_base).manifest.total_bytes == base.uploaded_bytes
    assert head.warnings == ()


def test_publishing_again_does_nothing(studio, network, heads):
    studio.base()
    studio.head(heads[0])
    network.sent.clear()
    assert not studio.base().new
    assert not studio.head(heads[0]).new
    assert {line.split()[0] for line in network.sent} == {"GET"}


def test_a_published_head_named_with_another_base_is_not_called_published(studio, heads, tmp_path):
    studio.base()
    studio.head(heads[0])
    with pytest.raises(RefusedError, match="proven on other bases") as caught:
        studio.head(heads[0], bases=[base_release(tmp_path / "other", seed=7)])
    assert caught.value.code == "other_bases"


def test_next_head_gets_the_next_number_and_its_parent(studio, registry, heads):
    studio.base()
    studio.head(heads[0])
    second = studio.head(heads[1])
    assert second.version == "2"
    records = {record["release"]: record for record in registry.heads("topic")}
    assert records[2]["parent"] == records[1]["head"]
    assert records[1]["parent"] is None


def test_old_bytes_under_a_new_number(studio, phone, heads):
    """Deliberate rollback for everyone: the same head again, with a number above the bad one."""
    studio.base()
    studio.head(heads[0])
    studio.head(heads[1])
    again = studio.head(heads[0], release=3)
    assert again.uploaded == ()
    by_release = {head.target.release: head.target.head for head in phone.heads(BASE_ID)}
    assert by_release[3] == by_release[1]


def test_other_files_under_a_published_number_are_refused(studio, heads):
    studio.base()
    studio.head(heads[0])
    with pytest.raises(RefusedError) as caught:
        studio.head(heads[1], release=1)
    assert (caught.value.code, caught.value.kind) == ("immutable_release", "conflict")


def test_dry_run_sends_nothing(studio, network, registry, heads):
    network.sent.clear()
    planned = studio.base(dry_run=True)
    assert planned.dry_run
    assert planned.uploaded
    assert {line.split()[0] for line in network.sent} <= {"GET", "HEAD"}
    assert registry.bases() == []


def test_progress_adds_up(studio, heads):
    seen = []
    published = studio.base(on_progress=lambda *step: seen.append(step))
    assert seen[-1] == ("uploaded", published.uploaded_bytes, published.uploaded_bytes)


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_publish_cut_off_at_any_request_is_finished_by_repeating(studio, network, phone, heads, lost):
    """Lose the n-th changing request for good, for every n, then run the same command again."""
    studio.base()
    for cut in range(1, 20):
        count = 0

        def dead(request, cut=cut) -> bool:
            nonlocal count
            count += request.method in ("PUT", "POST")
            return request.method in ("PUT", "POST") and count >= cut

        setattr(network, f"lose_{lost}", dead)
        try:
            studio.head(heads[0])
        except TransferError:
            setattr(network, f"lose_{lost}", lambda request: False)
            phone.refresh()
            assert len(phone.heads(BASE_ID)) <= 1
            continue
        break
    setattr(network, f"lose_{lost}", lambda request: False)
    studio.head(heads[0])
    phone.refresh()
    assert [head.target.release for head in phone.heads(BASE_ID)] == [1]


def test_lost_answers_are_retried_by_themselves(studio, network, heads):
    studio.base()
    failed: set[str] = set()

    def once(request) -> bool:
        line = f"{request.method} {request.url.path}"
        first = line not in failed
        failed.add(line)
        return first

    network.lose_answer = once
    assert studio.head(heads[0]).version == "1"


def test_two_publishers_at_once_both_get_through(studio, network, clock, heads, base, tmp_path):
    studio.base()
    errors: list[Exception] = []

    def publish(name: str, folder) -> None:
        client = Registry("http://registry.invalid", network.token, app=APP, transport=network, retries=FAST)
        try:
            publish_head(client, folder, base_id=BASE_ID, name=name, bases=[base], signers=studio.keys.all(), now=clock)
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [
        threading.Thread(target=publish, args=(f"head-{n}", folder)) for n, folder in enumerate((*heads, heads[0]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    role = studio.registry.role(f"heads-{BASE_ID}")
    assert {head.name for head in head_targets(role, f"heads-{BASE_ID}")} == {"head-0", "head-1", "head-2"}


def test_head_of_another_base_is_not_proven(studio, heads, tmp_path):
    """Same shapes, other weights: only the golden batch can tell."""
    other = base_release(tmp_path / "other", seed=7)
    shutil.copy(studio.base_folder / "contract.json", other / "contract.json")
    studio.base(other)
    with pytest.raises(RefusedError) as caught:
        studio.head(heads[0], bases=[other])
    assert (caught.value.code, caught.value.kind) == ("not_proven", "gate")
    assert studio.registry.heads() == []


def test_golden_batch_of_another_head_is_not_proven(studio, heads, tmp_path):
    studio.base()
    mixed = copy_of(heads[0], tmp_path / "mixed")
    shutil.copy(heads[1] / "golden.safetensors", mixed / "golden.safetensors")
    with pytest.raises(RefusedError) as caught:
        studio.head(mixed)
    assert caught.value.code == "not_proven"


def test_base_that_does_not_give_its_golden_features(studio, tmp_path, base):
    other = base_release(tmp_path / "other", seed=7)
    spoilt = copy_of(base, tmp_path / "spoilt")
    shutil.copy(other / "golden.safetensors", spoilt / "golden.safetensors")
    with pytest.raises(RefusedError) as caught:
        studio.base(spoilt)
    assert caught.value.code == "not_proven"
    assert studio.registry.bases() == []


def test_base_with_another_vocabulary_than_its_contract_names(studio, tmp_path, base):
    spoilt = copy_of(base, tmp_path / "spoilt")
    with (spoilt / "vocab.txt").open("a", encoding="utf-8") as vocabulary:
        vocabulary.write("x")
    with pytest.raises(IncompatibleError, match="vocabulary"):
        studio.base(spoilt)
    assert studio.registry.bases() == []


def test_head_on_a_base_that_is_not_published(studio, heads):
    with pytest.raises((RefusedError, IncompatibleError)) as caught:
        studio.head(heads[0])
    assert caught.value.code == "unknown_base"


def test_key_that_may_not_sign(studio):
    with pytest.raises(RefusedError) as caught:
        studio.base(signers=[SigningKey.generate()])
    assert caught.value.code == "no_signing_key"
    assert studio.registry.bases() == []


def test_provenance_names_files_data_base_and_parent(studio, registry, heads):
    studio.base()
    studio.head(heads[0])
    studio.head(heads[1], builder="ci/build/7", facts={"run": 7})
    record = max(registry.heads("topic"), key=lambda r: r["release"])
    publisher = studio.keys.load("publisher").public
    verified = dsse.verify(record["provenance"], [publisher])
    assert verified.provenance.builder == "ci/build/7"
    assert verified.provenance.facts == {"run": 7}
    assert verified.provenance.materials["card.data.train"] == DATA_DIGEST
    assert verified.provenance.materials["parent"] == record["parent"]
    assert verified.provenance.subjects["head.mlmodel"] == record["head"]


def test_failed_gate_needs_a_waiver_that_is_signed(studio, network, phone, heads, tmp_path):
    studio.base()
    weak = copy_of(heads[0], tmp_path / "weak")
    write_card(weak, gate=[{"metric": "accuracy", "limit": "> 95 %", "found": "91 %", "verdict": "failed"}])
    with pytest.raises(RefusedError) as caught:
        studio.head(weak)
    assert (caught.value.code, caught.value.kind) == ("gate_not_met", "gate")
    studio.head(weak, waivers=[Waiver("accuracy", "pilot with 10 users")])
    (signed,) = phone.heads(BASE_ID)
    manifest = phone.head_manifest(signed).manifest
    card = next(file for file in manifest.files if file.path == "card.json")
    served = HttpFetcher(transport=network).fetch(
        f"{studio.registry.artifacts_url}/{card.digest[7:]}", max_bytes=card.size
    )
    assert b"pilot with 10 users" in served.body


def test_revoked_head_is_seen_as_revoked(studio, phone, heads):
    studio.base()
    studio.head(heads[0])
    revoke_head(studio.registry, base_id=BASE_ID, name="topic", release=1, signers=studio.keys.all(), now=studio.clock)
    assert phone.heads(BASE_ID)[0].target.status == "revoked"
    again = revoke_head(
        studio.registry, base_id=BASE_ID, name="topic", release=1, signers=studio.keys.all(), now=studio.clock
    )
    assert not again.changed


def test_fourth_release_pushes_the_first_out_of_metadata_not_out_of_history(studio, phone, registry, heads):
    studio.base()
    for release in range(1, 5):
        studio.head(heads[release % 2], release=release)
    assert sorted(head.target.release for head in phone.heads(BASE_ID)) == [2, 3, 4]
    assert len(registry.heads("topic")) == 4


def test_publishing_goes_on_after_a_key_rotation(studio, phone, heads):
    studio.base()
    studio.head(heads[0])
    phone.refresh()
    rotate_key(studio.registry, studio.keys, "publisher", now=studio.clock)
    studio.head(heads[1])
    phone.refresh()
    assert len(phone.heads(BASE_ID)) == 2


def test_role_is_renewed_before_it_expires(studio, phone, heads, clock):
    studio.base()
    studio.head(heads[0])
    clock.forward(days=150)
    before = studio.registry.role("bases")
    for role in ("bases", f"heads-{BASE_ID}"):
        renew_role(studio.registry, role, studio.keys.all(), clock())
    assert studio.registry.role("bases") != before


def test_options_become_signed_facts(studio, phone, heads):
    studio.base()
    studio.head(heads[0], options=HeadOptions(parent=None, min_os=(18, 2, 0), min_app_build=12, rebase="merge"))
    target: HeadTarget = phone.heads(BASE_ID)[0].target
    assert (target.min_os, target.min_app_build, target.rebase) == ((18, 2, 0), 12, "merge")


def test_zip_is_published_like_its_folder(studio, heads, tmp_path):
    studio.base()
    folder = studio.head(heads[0], dry_run=True)
    archive = shutil.make_archive(str(tmp_path / "head"), "zip", heads[0])
    assert studio.head(Path(archive), dry_run=True).manifest == folder.manifest


def test_channel_and_rollout_round_trip(studio, registry, phone, heads):
    studio.base()
    studio.head(heads[0])
    rollout = registry.offer("stable", BASE_ID, "topic", 1, permyriad=500, pins=["qa"])
    assert registry.rollout(rollout["id"])["permyriad"] == 500
    document = registry.channel("stable", BASE_ID)
    assert document.offers[0].rollout.pins == ("qa",)
    assert phone.channel("stable", BASE_ID).document == document
    assert registry.hold(rollout["id"])["state"] == "held"
    registry.personalise("stable", BASE_ID, "topic", "hold")
    digest = registry.heads("topic")[0]["head"]
    assert registry.recall("stable", BASE_ID, digest, "wrong labels")
    assert not registry.recall("stable", BASE_ID, digest, "wrong labels")
    registry.set_poll_interval("stable", BASE_ID, 60)
    document = registry.channel("stable", BASE_ID)
    assert (document.directive("topic"), document.poll_after_s) == ("hold", 60)
    assert registry.decisions(rollout["id"]) is not None
    phone.refresh()
    assert phone.channel("stable", BASE_ID).document == document


def test_scoped_token_can_do_only_its_part(registry, network, studio, heads):
    studio.base()
    reader = registry.create_token(["read"], note="dashboards")
    with Registry("http://registry.invalid", reader, app=APP, transport=network, retries=FAST) as other:
        assert len(other.bases()) == 1
        with pytest.raises(RefusedError) as caught:
            other.recall("stable", BASE_ID, "sha256:" + "0" * 64, "no")
    assert caught.value.kind == "not_allowed"

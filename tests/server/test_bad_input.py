"""What bad input gets: one clear reason each, and nothing half done."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from headway.contract.digests import digest_of
from headway.contract.problems import MEDIA_TYPE
from headway.contract.targets import ProvenBase
from headway.trust.ceremony import add_base
from headway.trust.repository import Holders, create_trust, sign_with_holders
from headway.trust.roles import head_entry, sign_bases, sign_heads
from headway.trust.simulator import seeded_key

from .world import CONTRACT, FakeClock, PublisherWorld, encoded, manifest_of, proof_of


def refused(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, after checking its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["hint"]
    assert problem["detail"]
    return problem


def public_timestamp(world: PublisherWorld) -> bytes:
    return world.client.get(f"/apps/{world.app}/metadata/timestamp.json").content


# Signatures ------------------------------------------------------------------------------------------------------


def test_a_role_signed_by_a_stranger(published: PublisherWorld) -> None:
    before = public_timestamp(published)
    draft = published.draft_head(2)
    published.register_head(draft)
    entry = head_entry(draft.target, draft.manifest.to_bytes())
    forged = sign_heads(published.role("heads-kd"), "kd", [entry], [seeded_key("thief")], now=published.now)
    # The old signature stays in the file but is over other bytes; the stranger's key is not delegated.
    refused(published.post_role("heads-kd", forged), 422, "bad_signature")
    assert public_timestamp(published) == before


def test_a_changed_byte_in_a_signed_role(published: PublisherWorld) -> None:
    draft = published.draft_head(2)
    published.register_head(draft)
    signed = published.head_role(draft).replace(b'"live"', b'"lime"', 1)
    refused(published.post_role("heads-kd", signed), 422, "bad_signature")


def test_an_expired_role(published: PublisherWorld, clock: FakeClock) -> None:
    draft = published.draft_head(2)
    published.register_head(draft)
    old = sign_heads(
        published.role("heads-kd"),
        "kd",
        [head_entry(draft.target, draft.manifest.to_bytes())],
        [published.publisher],
        now=published.now - timedelta(days=400),
    )
    refused(published.post_role("heads-kd", old), 422, "expired_metadata")


def test_a_replayed_role(published: PublisherWorld) -> None:
    first = published.role("heads-kd")
    published.publish_head(2)
    problem = refused(published.post_role("heads-kd", first), 409, "version_conflict")
    assert problem["data"]["expected"] == 4


def test_the_same_role_again_is_harmless(published: PublisherWorld) -> None:
    before = public_timestamp(published)
    answer = published.post_role("heads-kd", published.role("heads-kd"))
    assert answer.status_code == 200
    assert answer.json()["changed"] is False
    assert public_timestamp(published) == before


def test_a_role_of_another_app(published: PublisherWorld, client: httpx2.Client, clock: FakeClock) -> None:
    other = PublisherWorld(client, published.headers["Authorization"].split()[1], "other", clock)
    other.establish()
    other.publish_base()
    other.publish_head(1)
    refused(published.post_role("heads-kd", other.role("heads-kd")), 422, "bad_signature")


def test_online_roles_are_not_the_publishers(published: PublisherWorld) -> None:
    for role in ("channels", "snapshot", "timestamp"):
        refused(published.post_role(role, published.role(role)), 403, "online_role")


def test_a_role_that_nobody_delegated(published: PublisherWorld) -> None:
    signed = sign_heads(published.role("heads-kd"), "kd", (), [published.publisher], now=published.now)
    refused(published.post_role("heads-other", signed), 422, "bad_metadata")


def test_garbage_as_a_role(published: PublisherWorld) -> None:
    refused(published.post_role("heads-kd", b"\x00\xff"), 422, "malformed_metadata")
    refused(published.post_role("heads-kd", b"[" * 100_000), 422, "malformed_metadata")


def test_a_second_root(published: PublisherWorld) -> None:
    plan = published.plan(published.create())
    other = create_trust(plan, published.offline, now=published.now + timedelta(days=1))
    refused(published.send_trust(other), 409, "trust_exists")
    assert published.files is not None
    assert published.send_trust(published.files).status_code == 200


def test_trust_with_keys_that_are_not_ours(client: httpx2.Client, admin: str, clock: FakeClock) -> None:
    world = PublisherWorld(client, admin, "fresh", clock)
    online = world.create()
    wrong = replace(online, timestamp=seeded_key("thief").public)
    answer = world.send_trust(create_trust(world.plan(wrong), world.offline, now=world.now))
    refused(answer, 422, "foreign_online_key")


def test_trust_without_enough_signatures(client: httpx2.Client, admin: str, clock: FakeClock) -> None:
    world = PublisherWorld(client, admin, "fresh", clock)
    plan = world.plan(world.create())
    one = create_trust(plan, (world.root_keys[0], *world.targets_keys, world.publisher), now=world.now)
    refused(world.send_trust(one), 422, "bad_signature")


# Uploads ---------------------------------------------------------------------------------------------------------


def test_an_upload_under_a_wrong_digest(reader: PublisherWorld) -> None:
    refused(reader.upload(b"data", digest_of(b"other")), 422, "digest_mismatch")
    assert reader.call("HEAD", f"/artifacts/{digest_of(b'other')}").status_code == 404


def test_a_truncated_upload(reader: PublisherWorld) -> None:
    digest = digest_of(b"whole file")
    answer = reader.call("PUT", f"/artifacts/{digest}", content=b"whole", headers={"Content-Length": "10"})
    refused(answer, 422, "size_mismatch")


def test_an_upload_that_is_too_large(reader: PublisherWorld) -> None:
    answer = reader.call("PUT", f"/artifacts/{digest_of(b'')}", content=b"", headers={"Content-Length": str(2**40)})
    refused(answer, 413, "too_large")


def test_uploading_twice_is_harmless(reader: PublisherWorld) -> None:
    assert reader.upload(b"data").status_code == 201
    assert reader.upload(b"data").status_code == 200
    found = reader.call("GET", f"/artifacts/{digest_of(b'data')}")
    assert found.json() == {"digest": digest_of(b"data"), "size": 4}


# Releases --------------------------------------------------------------------------------------------------------


def test_a_head_whose_files_are_not_here(published: PublisherWorld) -> None:
    problem = refused(published.register_head(published.draft_head(2), upload=False), 422, "missing_artifact")
    assert problem["data"]["path"] == "golden.safetensors"


def test_a_head_on_an_unknown_base(published: PublisherWorld) -> None:
    published.packages["kd"] = digest_of(b"another base")
    refused(published.register_head(published.draft_head(2)), 422, "unknown_base")


def test_a_head_with_another_contract(published: PublisherWorld) -> None:
    draft = published.draft_head(2, contract=digest_of(b"another contract"))
    problem = refused(published.register_head(draft), 422, "incompatible")
    assert problem["data"]["reasons"] == "contract_mismatch"


def test_a_head_of_another_app(published: PublisherWorld) -> None:
    draft = published.draft_head(2, app="other")
    refused(published.register_head(draft), 422, "wrong_facts")


def test_facts_that_do_not_match_the_files(published: PublisherWorld) -> None:
    for change in ({"head": digest_of(b"x")}, {"labels": digest_of(b"x")}, {"bytes": 1}, {"status": "revoked"}):
        refused(published.register_head(published.draft_head(2, **change)), 422, "wrong_facts")
    refused(published.register_head(published.draft_head(2, num_classes=4)), 422, "wrong_labels")


def test_a_parent_that_nobody_knows(published: PublisherWorld) -> None:
    refused(published.register_head(published.draft_head(2, parent=digest_of(b"x"))), 422, "unknown_parent")


def test_a_proof_about_something_else(published: PublisherWorld) -> None:
    draft = published.draft_head(2)
    refused(published.register_head(replace(draft, proofs=())), 422, "wrong_proof")
    other = proof_of(digest_of(b"x"), published.packages["kd"], digest_of(b"y"), CONTRACT.digest)
    wrong = replace(draft, target=replace(draft.target, bases=(ProvenBase(other.base, other.digest),)), proofs=(other,))
    refused(published.register_head(wrong), 422, "wrong_proof")


def test_a_proof_that_is_not_good_enough(published: PublisherWorld) -> None:
    draft = published.draft_head(2)
    weak = replace(draft.proofs[0], agreement_permyriad=9_000)
    bad = replace(draft, target=replace(draft.target, bases=(ProvenBase(weak.base, weak.digest),)), proofs=(weak,))
    problem = refused(published.register_head(bad), 422, "not_proven")
    assert "90.00 %" in problem["detail"]


def test_a_release_never_changes(published: PublisherWorld) -> None:
    same = published.register_head(published.draft_head(1))
    assert same.status_code == 200
    draft = published.draft_head(1)
    files = {**draft.files, "card.json": b'{"other":1}'}
    manifest = manifest_of("head", "reader", "topic", "1", files)
    changed = replace(draft, manifest=manifest, files=files, target=replace(draft.target, bytes=manifest.total_bytes))
    refused(published.register_head(changed), 409, "immutable_release")


def test_release_numbers_grow(published: PublisherWorld) -> None:
    published.publish_head(5)
    refused(published.register_head(published.draft_head(3)), 409, "stale_release")


def test_a_provenance_of_a_stranger_or_of_other_files(published: PublisherWorld) -> None:
    from headway.trust.dsse import Provenance, sign

    draft = published.draft_head(2)
    stranger = sign(Provenance.of_manifest(draft.manifest, builder="b", materials={}), [seeded_key("thief")])
    refused(published.register_head(draft, provenance=stranger), 422, "bad_signature")
    other = published.draft_head(3).manifest
    wrong = sign(Provenance.of_manifest(other, builder="b", materials={}), [published.publisher])
    refused(published.register_head(draft, provenance=wrong), 422, "wrong_provenance")


def test_signing_what_was_never_examined(published: PublisherWorld) -> None:
    draft = published.draft_head(2)
    refused(published.post_role("heads-kd", published.head_role(draft)), 422, "unregistered_release")


def test_signing_other_facts_than_registered(published: PublisherWorld) -> None:
    draft = published.draft_head(2)
    published.register_head(draft)
    other = replace(draft, target=replace(draft.target, num_classes=2))
    refused(published.post_role("heads-kd", published.head_role(other)), 422, "unregistered_release")
    unproven = replace(draft.target, bases=(ProvenBase(draft.target.bases[0].digest, digest_of(b"x")),))
    forged = replace(draft, target=unproven)
    refused(published.post_role("heads-kd", published.head_role(forged)), 422, "unregistered_proof")


def test_a_manifest_that_leaves_its_folder(reader: PublisherWorld) -> None:
    manifest = manifest_of("base", "reader", "kd", "1", {"a": b"x"}).to_bytes().replace(b'"a"', b'"../a"')
    body = {"base_id": "kd", "version": "1", "manifest": encoded(manifest)}
    refused(reader.call("POST", "/bases", json=body), 422, "unsafe_path")


def test_a_dry_run_keeps_nothing(reader: PublisherWorld) -> None:
    answer = reader.register_base(dry_run=True)
    assert answer.status_code == 200
    assert answer.json()["custom"]["package"] == reader.packages["kd"]
    assert reader.call("GET", "/bases").json()["bases"] == []


def test_a_base_twice(published: PublisherWorld) -> None:
    assert published.register_base("1").status_code == 200
    # The same package under another version would be two names for one thing.
    from .world import base_files

    manifest = manifest_of("base", "reader", "kd", "2", base_files("kd/1"))
    body = {"base_id": "kd", "version": "2", "manifest": encoded(manifest.to_bytes())}
    assert "as kd@1" in refused(published.call("POST", "/bases", json=body), 409, "immutable_release")["detail"]


def test_a_new_base_id_waits_for_its_role(published: PublisherWorld) -> None:
    """The delegation goes out together with the role's first metadata: clients never meet a gap."""
    draft = add_base(published.role("targets"), "kd2", Holders((published.publisher.public,)), now=published.now)
    root = published.role("root")
    signed = sign_with_holders(draft, "targets", published.targets_keys, root=root, targets=published.role("targets"))
    assert published.post_role("targets", signed).json()["waiting_for"] == ["heads-kd2"]
    first = sign_heads(None, "kd2", (), [published.publisher], now=published.now)  # type: ignore[arg-type]
    assert published.post_role("heads-kd2", first).json()["waiting_for"] == []
    public = json.loads(published.client.get("/apps/reader/metadata/2.targets.json").content)
    assert "heads-kd2" in str(public["signed"]["delegations"])


# HTTP itself -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/v1/outcomes", 405, "method_not_allowed"),
        ("GET", "/apps/reader/metadata/../../x", 404, "not_found"),
        ("GET", "/apps/reader/metadata/root.json", 404, "no_such_file"),
        ("GET", "/apps/reader/artifacts/xyz", 404, "no_such_file"),
        ("GET", "/apps/reader/targets/..%2f..%2fkeys", 404, "no_such_file"),
        ("GET", "/apps/%2e%2e/artifacts/" + "0" * 64, 404, "no_such_file"),
        ("GET", "/apps/reader/targets/" + "a/" * 500 + "b", 404, "no_such_file"),
    ],
)
def test_errors_of_http_are_problems(client: httpx2.Client, method: str, path: str, status: int, code: str) -> None:
    refused(client.request(method, path), status, code)


def test_bodies_are_bounded_and_typed(published: PublisherWorld) -> None:
    big = {"app": "x" * 300_000}
    answer = published.client.post("/v1/apps", json=big, headers=published.headers)
    refused(answer, 413, "request_entity_too_large")
    refused(published.call("POST", "/bases", json={"base_id": 5}), 422, "malformed")
    refused(published.call("POST", "/bases", content=b"{"), 422, "malformed")
    refused(
        published.call("POST", "/bases", json={"base_id": "kd", "version": "1", "manifest": "%%"}), 422, "malformed"
    )
    refused(published.offer(1, permyriad=20_000), 422, "malformed")
    refused(published.offer(1, policy={"max_fialed": 3}), 422, "malformed")
    assert refused(published.offer(1, permyriad=20_000), 422, "malformed")["detail"].endswith("must be at most 10000.")
    told = refused(published.call("GET", "/rollouts/nope"), 422, "malformed")["detail"]
    assert told == "The request is malformed: $.rollout must be an id of 16 hex digits."
    told = refused(published.call("GET", "/search?state=foo"), 422, "malformed")["detail"]
    assert "$.state must be one of registered, live," in told
    told = refused(published.call("GET", "/search?name=Bad%20Name"), 422, "malformed")["detail"]
    assert "should" not in told
    refused(published.post_role("heads-kd", b"x" * 2_000_000), 413, "request_entity_too_large")


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "a\\udfffb"], ids=["NUL", "surrogate", "inside"])
def test_text_that_no_database_stores(published: PublisherWorld, text: str) -> None:
    json_type = {"Content-Type": "application/json"}
    body = f'{{"scopes":["read"],"note":"{text}"}}'
    refused(published.call("POST", "/tokens", content=body, headers=json_type), 422, "malformed")
    body = f'{{"release":1,"permyriad":1,"pins":["{text}"]}}'
    path = "/channels/stable/kd/offers/topic"
    refused(published.call("PUT", path, content=body, headers=json_type), 422, "malformed")
    body = f'{{"base_id":"kd","version":"9","manifest":"","provenance":{{"{text}":1}}}}'
    refused(published.call("POST", "/bases", content=body, headers=json_type), 422, "malformed")


def test_a_bomb_as_outcomes(published: PublisherWorld) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 60_000
    answer = published.client.post("/v1/outcomes", content=bomb, headers={"Content-Encoding": "gzip"})
    refused(answer, 413, "too_large")
    answer = published.client.post("/v1/outcomes", content=bomb[:1000], headers={"Content-Encoding": "gzip"})
    assert answer.status_code in (413, 422)
    answer = published.client.post("/v1/outcomes", content=b"no gzip", headers={"Content-Encoding": "gzip"})
    refused(answer, 422, "malformed")


def test_request_ids(client: httpx2.Client) -> None:
    mine = client.get("/nowhere", headers={"X-Request-Id": "abc-123"})
    assert mine.headers["x-request-id"] == "abc-123"
    assert mine.json()["instance"] == "urn:headway:request:abc-123"
    bad = client.get("/nowhere", headers={"X-Request-Id": "a b\tc"})
    assert bad.headers["x-request-id"] != "a b\tc"


def test_bases_must_be_registered_before_they_are_signed(reader: PublisherWorld) -> None:
    answer = reader.register_base()
    from headway.contract.targets import BaseTarget
    from headway.trust.roles import base_entry

    target = replace(BaseTarget.from_json(answer.json()["custom"]), bytes=1)
    signed = sign_bases(reader.role("bases"), [base_entry(target, b"{}")], [reader.publisher], now=reader.now)
    refused(reader.post_role("bases", signed), 422, "unregistered_release")

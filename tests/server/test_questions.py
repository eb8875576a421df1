"""Questions a release manager asks: who would get it, what did the channel say then, what if we ship another base?"""

from __future__ import annotations

from typing import Any

from .test_bad_input import refused
from .world import CONTRACT, FakeClock, PublisherWorld


def profile(world: PublisherWorld, number: int, **changes: Any) -> dict[str, Any]:
    return {
        "base": world.packages["kd"],
        "contract": CONTRACT.digest,
        "os": "17.2",
        "app_build": 10,
        "install_id": f"device-{number}",
        **changes,
    }


def test_preview_says_who_and_why_not(published: PublisherWorld) -> None:
    published.offer(1, permyriad=2_500)
    profiles = [profile(published, n) for n in range(200)]
    profiles += [profile(published, 1, os="16"), profile(published, 1, base=CONTRACT.digest)]
    path = "/channels/stable/kd/preview/topic"
    choices = published.call("POST", path, json={"profiles": profiles}).json()["choices"]
    inside = [choice for choice in choices[:200] if choice["release"] == 1]
    assert 30 < len(inside) < 70
    outside = next(choice for choice in choices[:200] if choice["release"] is None)
    assert [reason["reason"] for reason in outside["reasons"]] == ["held_by_rollout"]
    assert outside["reasons"][0]["zh"]
    old, other = choices[200:]
    assert "os_too_old" in [reason["reason"] for reason in old["reasons"]]
    assert "base_not_proven" in [reason["reason"] for reason in other["reasons"]]
    refused(published.call("POST", path, json={"profiles": [{}]}), 422, "malformed")


def test_history_answers_what_a_channel_said_then(published: PublisherWorld, clock: FakeClock) -> None:
    published.offer(1, permyriad=100)
    then = clock.now
    clock.forward(3_600)
    published.offer(1, permyriad=5_000)
    said = published.call("GET", "/channels/stable/kd/history").json()["history"]
    assert [entry["document"]["epoch"] for entry in said] == [1, 2]
    (entry,) = published.call("GET", f"/channels/stable/kd/history?at={then + 60}").json()["history"]
    assert entry["signed_at"] == then
    assert entry["document"]["offers"][0]["rollout"]["permyriad"] == 100
    assert published.call("GET", f"/channels/stable/kd/history?at={then - 1}").json()["history"] == []


def test_impact_of_another_base(published: PublisherWorld) -> None:
    published.offer(1)
    published.report(published.event(published.draft_head(1), "confirmed", 1))
    first = published.packages["kd"]
    second = published.publish_base("2").package
    today = published.call("GET", f"/impact?base={first}").json()
    assert today["lost"] == []
    assert today["confirmations_by_base"] == {first: 1}
    tomorrow = published.call("GET", f"/impact?base={second}").json()
    assert tomorrow["lost"] == ["topic"]
    assert tomorrow["heads"][0]["reasons"] == ["base_not_proven"]
    refused(published.call("GET", f"/impact?base={CONTRACT.digest}"), 404, "unknown_base")


def test_a_head_is_proven_on_a_second_base(published: PublisherWorld) -> None:
    """The same bytes, registered again with one more base: the edge is added, and then the role may name it."""
    from dataclasses import replace

    from headway.contract.targets import ProvenBase

    from .world import proof_of

    draft = published.draft_head(1)
    second = published.publish_base("2").package
    golden = draft.manifest.file("golden.safetensors").digest
    proof = proof_of(draft.target.head, second, golden, CONTRACT.digest)
    both = replace(draft.target, bases=(*draft.target.bases, ProvenBase(second, proof.digest)))
    wider = replace(draft, target=both, proofs=(*draft.proofs, proof))
    refused(published.post_role("heads-kd", published.head_role(wider)), 422, "unregistered_proof")
    assert published.register_head(wider).status_code == 201
    assert published.register_head(wider).status_code == 200
    assert published.post_role("heads-kd", published.head_role(wider)).status_code == 200
    assert published.call("GET", f"/impact?base={second}").json()["lost"] == []
    edges = [e for e in published.call("GET", "/lineage").json()["edges"] if e["kind"] == "runs_on"]
    assert {edge["to"] for edge in edges} == {published.packages["kd"], draft.target.bases[0].digest} | {second}

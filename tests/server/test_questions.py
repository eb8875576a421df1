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
    assert inside[0]["sentence"]["en"] == "It takes topic@1 in place of its embedded head."
    assert outside["sentence"]["zh"].endswith("设备尚未进入灰度范围。")
    assert outside["verdicts"][0]["why"]["en"] == "The device is not yet in the rollout."
    refused(published.call("POST", path, json={"profiles": [{}]}), 422, "malformed")


def test_preview_of_a_device_with_a_history(published: PublisherWorld) -> None:
    published.publish_head(2)
    published.offer(1)
    published.offer(2)
    head = published.draft_head(2).target.head

    def asked(**changes: Any) -> dict[str, Any]:
        known = profile(published, 1, **changes)
        del known["contract"]  # a registered base brings its own
        answer = published.call("POST", "/channels/stable/kd/preview/topic", json={"profiles": [known]})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["choices"][0])

    assert asked(current_release=1)["sentence"]["en"] == "It takes topic@2 in place of topic@1."
    failed = asked(current_release=1, quarantined=[head])
    assert failed["sentence"]["en"].endswith("The release failed on this device and is in quarantine.")
    assert asked(current_release=1, clock_behind=True)["verdicts"][0]["reasons"] == ["clock"]
    assert asked(current_release=1, metadata_expired=True)["verdicts"][0]["reasons"] == ["expired_metadata"]
    assert [v["reasons"] for v in asked(floor_release=3)["verdicts"]] == [["below_floor"]] * 2
    revoked = published.draft_head(2, status="revoked")
    assert published.post_role("heads-kd", published.head_role(revoked)).status_code == 200
    gone = asked(current_release=2, floor_release=2, floor_head=head)
    assert gone["sentence"]["en"] == "It takes topic@1; topic@2 is to be left: The publisher revoked the release."
    assert (gone["release"], gone["verdicts"][0]["reasons"]) == (1, ["revoked"])


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
    assert (today["shares_by_base"], today["lost_permyriad"]) == ({first: 10_000}, 0)
    tomorrow = published.call("GET", f"/impact?base={second}").json()
    assert (tomorrow["lost"], tomorrow["lost_permyriad"]) == (["topic"], 10_000)
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

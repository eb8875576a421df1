"""Proofs run again on request, and the gate of a release with its waivers: by API, in the console, in Chinese."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway_server.app import Server
from headway_server.catalog import reproving, tokens
from headway_server.console.reasons import reason
from headway_server.delivery.decide import Counts, Policy, RolloutState, Stage, decide
from headway_server.ports import Actor

from .test_bad_input import refused
from .test_console import Tags, sign_in
from .world import FakeClock, HeadDraft, PublisherWorld, head_files, manifest_of, proof_of

ORIGIN = {"Origin": "http://registry.test"}
GATE = [
    {"metric": "accuracy", "limit": "> 0.92", "found": "0.931", "verdict": "passed"},
    {"metric": "latency", "limit": "< 20 ms", "found": "no phone took part", "verdict": "not evidenced"},
]
CARD = {"gate": GATE, "waivers": [{"metric": "latency", "reason": "<b>measured by nobody</b> yet"}]}


def edge_of(draft: HeadDraft) -> dict[str, object]:
    target = draft.target
    return {"base_id": "kd", "name": target.name, "release": target.release, "base": target.bases[0].digest}


def head_with_card(world: PublisherWorld, release: int, card: bytes) -> HeadDraft:
    """A registered head whose card is this."""
    from dataclasses import replace

    from headway.contract.targets import ProvenBase

    files = {**head_files(f"reader/topic/{release}"), "card.json": card}
    manifest = manifest_of("head", "reader", "topic", str(release), files)
    draft = world.draft_head(release)
    proof = proof_of(
        draft.target.head, world.packages["kd"], manifest.file("golden.safetensors").digest, draft.target.contract
    )
    target = replace(draft.target, bases=(ProvenBase(world.packages["kd"], proof.digest),), bytes=manifest.total_bytes)
    made = HeadDraft(target, manifest, files, (proof,))
    answer = world.register_head(made)
    assert answer.status_code == 201, answer.text
    return made


def test_a_proof_is_run_again_and_dated(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    edge = edge_of(published.draft_head(1))
    before = published.call("GET", "/proofs").json()
    first = published.call("POST", "/proofs/runs", json=edge)
    assert first.status_code == 201, first.text
    # This server has nothing to open models with, and says so instead of claiming anything.
    assert (first.json()["result"], first.json()["proof"]) == ("not_run", None)
    clock.forward(60)
    second = published.call("POST", "/proofs/runs", json=edge).json()
    runs = published.call("GET", "/proofs/runs").json()["runs"]
    assert [run["at"] for run in runs] == [second["at"], first.json()["at"]]
    assert second["at"] == first.json()["at"] + 60
    assert published.call("GET", "/proofs").json() == before
    shown = published.call("GET", "/heads/topic/1").json()["heads"][0]
    assert [run["id"] for run in shown["proof_runs"]] == [second["id"], first.json()["id"]]
    assert "proof.rerun" in {event["action"] for event in published.call("GET", "/audit").json()["events"]}


def test_only_registered_edges_are_run(published: PublisherWorld) -> None:
    edge = edge_of(published.draft_head(1))
    for wrong in ({"release": 2}, {"base": "sha256:" + "0" * 64}, {"name": "other"}, {"base_id": "other"}):
        refused(published.call("POST", "/proofs/runs", json={**edge, **wrong}), 404, "unknown_edge")
    assert published.call("GET", "/heads/topic/9").status_code == 404
    assert published.call("GET", "/bases/kd/9").status_code == 404


def test_one_run_at_a_time(published: PublisherWorld) -> None:
    edge = edge_of(published.draft_head(1))
    with reproving._one_at_a_time:
        answer = published.call("POST", "/proofs/runs", json=edge)
        refused(answer, 429, "busy")
        assert answer.headers["retry-after"] == "5"
    assert published.call("POST", "/proofs/runs", json=edge).status_code == 201


def test_who_may_run_a_proof(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    PublisherWorld(published.client, published.headers["Authorization"].split()[1], "other", clock).create()
    edge = edge_of(published.draft_head(1))
    for scope, status in (("read", 403), ("release", 403), ("publish", 201)):
        token = tokens.create(server.ports, Actor("test", "-"), app="reader", scopes=(scope,))[1]
        headers = {"Authorization": f"Bearer {token}"}
        assert published.call("POST", "/proofs/runs", json=edge, headers=headers).status_code == status
    stranger = tokens.create(server.ports, Actor("test", "-"), app="other", scopes=("admin",))[1]
    headers = {"Authorization": f"Bearer {stranger}"}
    for path in ("/proofs/runs", "/heads/topic/1", "/bases/kd/1"):
        assert published.call("GET", path, headers=headers).status_code in (403, 404)


def test_the_gate_of_a_release(published: PublisherWorld) -> None:
    head_with_card(published, 2, json.dumps(CARD).encode())
    (head,) = published.call("GET", "/heads/topic/2").json()["heads"]
    assert [line["verdict"] for line in head["gate"]] == ["passed", "not evidenced"]
    assert [line["waived"] for line in head["gate"]] == [None, "<b>measured by nobody</b> yet"]
    assert published.call("GET", "/bases/kd/1").json()["gate"] == []


@pytest.mark.parametrize(
    "card",
    [
        b"not json",
        b"[1]",
        b'{"gate": 7, "waivers": "x"}',
        b'{"gate": [1, {"metric": {"a": 1}}]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_hostile_card_shows_nothing_and_breaks_nothing(published: PublisherWorld, card: bytes) -> None:
    head_with_card(published, 2, card)
    answer = published.call("GET", "/heads/topic/2")
    assert answer.status_code == 200, answer.text
    assert all(
        set(line) == {"metric", "limit", "found", "verdict", "waived"} for line in answer.json()["heads"][0]["gate"]
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_of_a_release(published: PublisherWorld, language: str) -> None:
    head_with_card(published, 2, json.dumps(CARD).encode())
    sign_in(published.client, published.headers["Authorization"].split()[1])
    page = f"/console/reader/heads/kd/topic/2?lang={language}"
    text = published.client.get(page).text
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "&lt;b&gt;measured by nobody" in text
    assert ("豁免理由" if language == "zh" else "Waived because") in text
    assert page.split("?")[0] in html.unescape(published.client.get(f"/console/reader?lang={language}").text)
    form = re.search(r'action="([^"]+/prove[^"]*)">\s*<input type="hidden" name="base" value="([^"]+)"', text)
    assert form is not None
    action, base = html.unescape(form.group(1)), form.group(2)
    answer = published.client.post(action, data={"base": base}, headers=ORIGIN)
    assert answer.status_code == 302, answer.text
    after = published.client.get(answer.headers["location"]).text
    assert ("未运行" if language == "zh" else "not run") in after
    assert ("未运行" if language == "zh" else "not run") in published.client.get(
        f"/console/reader?lang={language}"
    ).text
    base_page = published.client.get(f"/console/reader/bases/kd/1?lang={language}")
    assert base_page.status_code == 200
    assert "/prove" not in base_page.text


def test_a_form_from_elsewhere_runs_nothing(server: Server, published: PublisherWorld) -> None:
    sign_in(published.client, published.headers["Authorization"].split()[1])
    edge = edge_of(published.draft_head(1))
    path = "/console/reader/heads/kd/topic/1/prove"
    for headers in ({}, {"Origin": "http://elsewhere.test"}, {"Origin": "null"}):
        assert published.client.post(path, data={"base": str(edge["base"])}, headers=headers).status_code == 404
    assert published.client.post(path, data={"base": "x"}, headers=ORIGIN).status_code == 404
    reader = tokens.create(server.ports, Actor("test", "-"), app="reader", scopes=("read",))[1]
    sign_in(published.client, reader)
    assert published.client.post(path, data={"base": str(edge["base"])}, headers=ORIGIN).status_code == 404
    assert "/prove" not in published.client.get("/console/reader/heads/kd/topic/1").text
    assert reproving.listed(server.ports, "reader") == ()


def test_decisions_are_told_in_chinese(published: PublisherWorld) -> None:
    rollout = published.offer(1).json()["id"]
    draft = published.draft_head(1)
    published.report(*(published.event(draft, "confirmed", n) for n in range(3)))
    published.call("POST", f"/rollouts/{rollout}/tick")
    sign_in(published.client, published.headers["Authorization"].split()[1])
    page = published.client.get(f"/console/reader/rollouts/{rollout}?lang=zh").text
    assert "3 台设备已在最后阶段确认。" in page
    assert "3 devices confirmed it in the last stage." not in page


numbers = st.integers(0, 300)


@given(
    state=st.sampled_from(["running", "held", "halted", "complete", "yanked"]),
    held_by=st.sampled_from([None, "operator", "health"]),
    counts=st.builds(Counts, numbers, numbers, numbers, numbers),
    stage=st.integers(0, 1),
    waited=numbers,
    release=st.sampled_from(["live", "revoked", "recalled", "unlisted"]),
)
def test_every_reason_of_a_decision_is_told_in_chinese(
    state: str, held_by: str | None, counts: Counts, stage: int, waited: int, release: str
) -> None:
    stages = (Stage(500, 100, 5), Stage(10_000, 100, 5))
    decision = decide(RolloutState(state, held_by, stages, stage, 0, Policy(), release), counts, waited)
    told = reason(decision.reason, "zh")
    assert not re.search("[a-zA-Z]{3}", told), told
    assert sorted(re.findall(r"\d+", told)) == sorted(re.findall(r"\d+", decision.reason))
    assert reason(decision.reason, "en") == decision.reason


def test_what_is_not_ours_is_shown_as_it_was_written() -> None:
    assert reason("Some sentence of an older version.", "zh") == "Some sentence of an older version."

"""Channels, rollouts and outcomes through the API, with a clock that we hold."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from headway.contract.channel import ChannelDocument
from headway.contract.digests import digest_of
from headway_server.app import Server

from .conftest import MakeServer, connect
from .test_bad_input import refused
from .world import FakeClock, HeadDraft, PublisherWorld

SCHEDULE = [
    {"permyriad": 500, "soak_s": 600, "min_confirmed": 3},
    {"permyriad": 10_000, "soak_s": 600, "min_confirmed": 5},
]


def signed_document(world: PublisherWorld, channel: str = "stable") -> ChannelDocument:
    """What devices read: the newest channel document in the public tree."""
    stamp = world.client.get(f"/apps/{world.app}/metadata/timestamp.json").json()["signed"]
    number = stamp["meta"]["snapshot.json"]["version"]
    meta = world.client.get(f"/apps/{world.app}/metadata/{number}.snapshot.json").json()["signed"]["meta"]
    version = meta["channels.json"]["version"]
    targets = world.client.get(f"/apps/{world.app}/metadata/{version}.channels.json").json()["signed"]["targets"]
    digest = targets[f"channels/{channel}/kd.json"]["hashes"]["sha256"]
    data = world.client.get(f"/apps/{world.app}/targets/channels/{channel}/{digest}.kd.json").content
    return ChannelDocument.from_bytes(data)


def offer_states(world: PublisherWorld) -> dict[int, tuple[str, int]]:
    return {o.release: (o.state, o.rollout.permyriad) for o in signed_document(world).offers}


@pytest.fixture
def draft(published: PublisherWorld) -> HeadDraft:
    """``topic@2``, offered in two stages."""
    made = published.publish_head(2)
    answer = published.offer(2, schedule=SCHEDULE)
    assert answer.status_code == 201, answer.text
    return made


def rollout_id(world: PublisherWorld) -> str:
    return str(world.call("GET", "/rollouts").json()["rollouts"][-1]["id"])


def tick(world: PublisherWorld) -> dict[str, Any]:
    answer = world.call("POST", f"/rollouts/{rollout_id(world)}/tick")
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()["decision"]
    return decision


def send(world: PublisherWorld, draft: HeadDraft, kind: str, numbers: range) -> None:
    answer = world.report(*(world.event(draft, kind, n) for n in numbers))
    assert answer.status_code == 202, answer.text
    assert answer.json()["ignored"] == 0


def test_a_healthy_rollout_goes_all_the_way(published: PublisherWorld, draft: HeadDraft, clock: FakeClock) -> None:
    assert offer_states(published) == {2: ("active", 500)}
    send(published, draft, "installed", range(5))
    send(published, draft, "confirmed", range(10, 13))
    assert tick(published)["action"] == "wait"
    clock.forward(600)
    assert tick(published)["action"] == "advance"
    assert offer_states(published) == {2: ("active", 10_000)}
    assert tick(published)["action"] == "wait"
    send(published, draft, "confirmed", range(20, 30))
    clock.forward(600)
    assert tick(published)["action"] == "complete"
    logged = published.call("GET", f"/rollouts/{rollout_id(published)}/decisions").json()["decisions"]
    assert [d["action"] for d in logged] == ["offer", "wait", "advance", "wait", "complete"]
    assert logged[2]["inputs"]["confirmed"] == 3
    assert logged[2]["inputs"]["waited_s"] == 600


def test_a_bad_release_halts_itself(published: PublisherWorld, draft: HeadDraft) -> None:
    before = signed_document(published)
    send(published, draft, "installed", range(4))
    send(published, draft, "rolled_back", range(10, 11))
    assert tick(published)["action"] == "hold"
    assert offer_states(published) == {2: ("held", 500)}
    send(published, draft, "rolled_back", range(11, 14))
    assert tick(published)["action"] == "halt"
    assert offer_states(published) == {2: ("halted", 500)}
    assert signed_document(published).epoch == before.epoch + 2
    refused(published.offer(2), 409, "halted")
    refused(published.call("POST", f"/rollouts/{rollout_id(published)}/advance"), 409, "halted")
    assert published.call("POST", f"/rollouts/{rollout_id(published)}/halt").status_code == 200


def test_silence_holds(published: PublisherWorld, draft: HeadDraft, clock: FakeClock) -> None:
    send(published, draft, "installed", range(20))
    send(published, draft, "confirmed", range(100, 104))
    clock.forward(90_000)
    decision = tick(published)
    assert decision["action"] == "hold"
    assert "silent" in decision["reason"]


def test_installing_alone_never_advances(published: PublisherWorld, draft: HeadDraft, clock: FakeClock) -> None:
    send(published, draft, "installed", range(50))
    clock.forward(3_600)
    assert tick(published)["action"] == "wait"


def test_events_count_once(published: PublisherWorld, draft: HeadDraft) -> None:
    events = [published.event(draft, "confirmed", n) for n in range(3)]
    assert published.report(*events).json() == {"accepted": 3, "duplicate": 0, "ignored": 0}
    assert published.report(*events, events[0]).json() == {"accepted": 0, "duplicate": 4, "ignored": 0}
    assert published.call("GET", "/rollouts").json()["rollouts"][-1]["counts"] == {"confirmed": 3}


def test_compressed_reports(published: PublisherWorld, draft: HeadDraft) -> None:
    body = json.dumps({"app": "reader", "events": [published.event(draft, "confirmed", 1)]}).encode()
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = published.client.post("/v1/outcomes", content=gzip.compress(body), headers=headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def test_stuffing_with_what_was_never_offered(published: PublisherWorld, draft: HeadDraft) -> None:
    wrong = [
        published.event(draft, "rolled_back", 1, head=digest_of(b"x")),
        published.event(draft, "rolled_back", 2, base=digest_of(b"x")),
        published.event(draft, "rolled_back", 3, channel="beta"),
        published.event(draft, "rolled_back", 4, release=9),
    ]
    assert published.report(*wrong).json() == {"accepted": 0, "duplicate": 0, "ignored": 4}
    embedded = published.event(draft, "personalised", 5, release=0, gain="1-5")
    assert published.report(embedded).json()["accepted"] == 1
    assert published.call("GET", "/rollouts").json()["rollouts"][-1]["counts"] == {}


def test_reports_are_bounded_and_strict(published: PublisherWorld, draft: HeadDraft) -> None:
    many = [published.event(draft, "confirmed", n) for n in range(501)]
    refused(published.report(*many), 413, "too_many_events")
    refused(published.report(published.event(draft, "confirmed", 1, detail="hello")), 422, "malformed")
    refused(published.report(published.event(draft, "rolled_back", 1, detail="我说的话")), 422, "malformed")
    refused(published.client.post("/v1/outcomes", json={"app": "nobody", "events": []}), 404, "unknown_app")


def test_rate_limit_over_http(server: Server, published: PublisherWorld, make_server: MakeServer) -> None:
    settings = server.ports.settings.model_copy(update={"outcomes_burst": 3, "outcomes_per_s": 0.001})
    published.client = connect(make_server(settings))
    answers = [published.report() for _ in range(4)]
    assert [answer.status_code for answer in answers[:3]] == [202] * 3
    problem = refused(answers[3], 429, "rate_limited")
    assert int(answers[3].headers["retry-after"]) == problem["data"]["retry_after_s"] >= 1


def test_offering_again_changes_nothing(published: PublisherWorld, draft: HeadDraft) -> None:
    before = published.client.get("/apps/reader/metadata/timestamp.json").content
    assert published.offer(2, schedule=SCHEDULE).status_code == 200
    assert published.client.get("/apps/reader/metadata/timestamp.json").content == before


def test_a_share_only_grows(published: PublisherWorld, draft: HeadDraft) -> None:
    salt = signed_document(published).offers[0].rollout.salt
    refused(published.offer(2, permyriad=100), 409, "lowered")
    assert published.offer(2, permyriad=2_000).status_code == 200
    rollout = signed_document(published).offers[0].rollout
    assert (rollout.permyriad, rollout.salt) == (2_000, salt)


def test_a_schedule_must_grow(published: PublisherWorld) -> None:
    refused(published.offer(1, schedule=[SCHEDULE[1], SCHEDULE[0]]), 422, "bad_schedule")
    refused(published.offer(1, permyriad=1, schedule=SCHEDULE), 422, "bad_schedule")
    refused(published.call("PUT", "/channels/stable/kd/offers/topic", json={"release": 1}), 422, "bad_schedule")


def test_only_signed_releases_are_offered(published: PublisherWorld) -> None:
    refused(published.offer(7), 404, "unknown_head")
    published.register_head(published.draft_head(2))
    assert refused(published.offer(2), 409, "not_signed")["data"]["state"] == "registered"


def test_operators_hold_resume_and_halt(published: PublisherWorld, draft: HeadDraft, clock: FakeClock) -> None:
    rollout = f"/rollouts/{rollout_id(published)}"
    assert published.call("POST", f"{rollout}/hold").json()["held_by"] == "operator"
    assert offer_states(published)[2] == ("held", 500)
    send(published, draft, "confirmed", range(10))
    clock.forward(600)
    assert tick(published)["action"] == "wait"
    assert published.call("POST", f"{rollout}/advance").json()["state"] == "running"
    assert published.call("POST", f"{rollout}/advance").json()["permyriad"] == 10_000
    refused(published.call("POST", f"{rollout}/advance"), 409, "finished")
    assert published.call("POST", f"{rollout}/halt").json()["state"] == "halted"
    refused(published.call("POST", "/rollouts/0123456789abcdef/halt"), 404, "unknown_rollout")


def test_yanking(published: PublisherWorld, draft: HeadDraft) -> None:
    assert published.call("DELETE", "/channels/stable/kd/offers/topic/2").json()["state"] == "yanked"
    assert offer_states(published) == {}
    assert published.offer(2).status_code == 201
    assert offer_states(published) == {2: ("active", 10_000)}


def test_recalling(published: PublisherWorld, draft: HeadDraft) -> None:
    body = {"digest": draft.target.head, "reason": "wrong labels"}
    assert published.call("POST", "/channels/stable/kd/recalls", json=body).status_code == 201
    assert published.call("POST", "/channels/stable/kd/recalls", json=body).status_code == 200
    document = signed_document(published)
    assert [(r.digest, r.reason) for r in document.recalls] == [(draft.target.head, "wrong labels")]
    assert offer_states(published) == {2: ("halted", 500)}
    refused(published.offer(2), 409, "recalled")
    body = {"digest": digest_of(b"nothing"), "reason": "x"}
    refused(published.call("POST", "/channels/stable/kd/recalls", json=body), 404, "unknown_head")
    body = {"digest": draft.target.head, "reason": "标签错了"}
    refused(published.call("POST", "/channels/beta/kd/recalls", json=body), 422, "malformed")


def test_stopping_personalisation(published: PublisherWorld, draft: HeadDraft) -> None:
    path = "/channels/stable/kd/personalise/topic"
    assert published.call("PUT", path, json={"directive": "discard"}).status_code == 200
    assert signed_document(published).directive("topic") == "discard"
    refused(published.call("PUT", path, json={"directive": "stop"}), 422, "unknown_directive")


def test_at_most_three_offers_of_a_name(published: PublisherWorld) -> None:
    for release in range(2, 6):
        published.publish_head(release)
        assert published.offer(release).status_code == 201
    assert sorted(offer_states(published)) == [3, 4, 5]


def test_poll_interval(published: PublisherWorld, draft: HeadDraft) -> None:
    assert published.call("PUT", "/channels/stable/kd", json={"poll_after_s": 60}).json()["poll_after_s"] == 60
    assert signed_document(published).poll_after_s == 60


def test_outcome_totals_and_audit(published: PublisherWorld, draft: HeadDraft) -> None:
    send(published, draft, "rolled_back", range(2))
    rows = published.call("GET", "/outcomes").json()["outcomes"]
    assert rows == [
        {
            "channel": "stable",
            "name": "topic",
            "release": 2,
            "kind": "rolled_back",
            "detail": "golden_mismatch",
            "count": 2,
        }
    ]
    events = published.call("GET", "/audit?limit=500").json()["events"]
    actions = [event["action"] for event in events]
    assert actions[0] == "offer.put"
    assert {"trust.establish", "artifact.add", "base.register", "head.register", "role.publish"} <= set(actions)
    page = published.call("GET", f"/audit?limit=2&before={events[1]['id']}").json()["events"]
    assert [event["id"] for event in page] == [event["id"] for event in events[2:4]]


def test_channel_of_nothing(reader: PublisherWorld, server: Server) -> None:
    refused(reader.call("GET", "/channels/stable/kd"), 404, "unknown_channel")

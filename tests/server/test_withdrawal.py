"""What is taken back is rolled out no more: halted, logged and signed in the transaction that takes it back."""

from __future__ import annotations

from typing import Any

from headway.contract.digests import digest_of
from headway_server.app import Server

from .test_console import sign_in
from .test_rollouts import SCHEDULE, offer_states, signed_document
from .world import HeadDraft, PublisherWorld


def rollouts(world: PublisherWorld) -> dict[tuple[str, int], dict[str, Any]]:
    listed = world.call("GET", "/rollouts").json()["rollouts"]
    return {(rollout["channel"], rollout["release"]): rollout for rollout in listed}


def last_decision(world: PublisherWorld, rollout: dict[str, Any]) -> dict[str, Any]:
    decision: dict[str, Any] = world.call("GET", f"/rollouts/{rollout['id']}/decisions").json()["decisions"][-1]
    return decision


def timestamp(world: PublisherWorld) -> int:
    return int(world.client.get(f"/apps/{world.app}/metadata/timestamp.json").json()["signed"]["version"])


def offered(world: PublisherWorld) -> HeadDraft:
    """``topic@2``, on its way in two stages on two channels."""
    draft = world.publish_head(2)
    for channel in ("stable", "beta"):
        assert world.offer(2, channel=channel, schedule=SCHEDULE).status_code == 201
    assert world.offer(1).status_code == 201
    return draft


def test_a_revoked_release_is_rolled_out_no_more_on_any_channel(published: PublisherWorld) -> None:
    draft = offered(published)
    world = published
    assert world.report(*(world.event(draft, "confirmed", n) for n in range(2))).status_code == 202
    assert world.call("POST", f"/rollouts/{rollouts(world)['beta', 2]['id']}/hold").status_code == 200
    before = timestamp(world)
    assert world.revoke(draft).status_code == 200
    assert timestamp(world) == before + 1, "devices see the revocation and the end of the rollout together"
    found = rollouts(world)
    assert {key: rollout["state"] for key, rollout in found.items()} == {
        ("stable", 2): "halted",
        ("beta", 2): "halted",
        ("stable", 1): "running",
    }
    assert offer_states(world) == {2: ("halted", 500), 1: ("active", 10_000)}
    assert [offer.state for offer in signed_document(world, "beta").offers] == ["halted"]
    decision = last_decision(world, found["stable", 2])
    assert (decision["action"], decision["reason"]) == ("halt", "The publisher revoked the release.")
    assert decision["inputs"]["release_state"] == "revoked"
    assert decision["inputs"]["confirmed"] == 2
    assert last_decision(world, found["stable", 1])["action"] == "offer"
    assert world.offer(2).status_code == 409
    again = world.call("POST", f"/rollouts/{found['stable', 2]['id']}/tick").json()["decision"]
    assert again["action"] == "wait"


def test_a_recall_is_a_logged_decision_too(published: PublisherWorld) -> None:
    draft = offered(published)
    body = {"digest": draft.target.head, "reason": "wrong labels"}
    before = timestamp(published)
    assert published.call("POST", "/channels/stable/kd/recalls", json=body).status_code == 201
    assert timestamp(published) == before + 1
    found = rollouts(published)
    assert (found["stable", 2]["state"], found["beta", 2]["state"]) == ("halted", "running")
    decision = last_decision(published, found["stable", 2])
    assert (decision["action"], decision["reason"]) == ("halt", "The release was recalled on this channel.")
    assert decision["inputs"]["release_state"] == "recalled"
    events = [event["action"] for event in published.call("GET", "/audit?limit=2").json()["events"]]
    assert events == ["rollout.halt", "head.recall"]


def test_what_newer_releases_push_out_goes_no_further(published: PublisherWorld) -> None:
    assert published.offer(1, schedule=SCHEDULE).status_code == 201
    for release in (2, 3):
        published.publish_head(release)
    assert rollouts(published)["stable", 1]["state"] == "running"
    published.publish_head(4)
    found = rollouts(published)["stable", 1]
    assert found["state"] == "halted"
    assert last_decision(published, found)["inputs"]["release_state"] == "unlisted"


def test_a_finished_rollout_of_an_old_release_stays_finished(published: PublisherWorld) -> None:
    assert published.offer(1).status_code == 201
    draft = published.draft_head(1)
    assert published.report(*(published.event(draft, "confirmed", n) for n in range(3))).status_code == 202
    published.call("POST", f"/rollouts/{rollouts(published)['stable', 1]['id']}/tick")
    for release in (2, 3, 4):
        published.publish_head(release)
    assert rollouts(published)["stable", 1]["state"] == "complete"


def test_a_rollout_from_before_is_halted_by_the_next_tick(server: Server, published: PublisherWorld) -> None:
    """A registry that took the revocation before it knew this rule: its regular job mends it."""
    draft = offered(published)
    with server.ports.database.write("reader") as tx:
        custom = {**draft.target.to_json(), "status": "revoked"}
        tx.releases.set_head_state("reader", "kd", "topic", 2, "revoked", custom)
    found = rollouts(published)["stable", 2]
    assert found["state"] == "running"
    assert published.call("POST", f"/rollouts/{found['id']}/tick").json()["decision"]["action"] == "halt"
    assert offer_states(published)[2] == ("halted", 500)


def test_the_console_and_why_not_say_it(published: PublisherWorld) -> None:
    draft = offered(published)
    assert published.revoke(draft).status_code == 200
    rollout = rollouts(published)["stable", 2]["id"]
    sign_in(published.client, published.headers["Authorization"].split()[1])
    assert "The publisher revoked the release." in published.client.get(f"/console/reader/rollouts/{rollout}").text
    assert "发布者已撤销这个版本。" in published.client.get(f"/console/reader/rollouts/{rollout}?lang=zh").text
    profile = {"base": published.packages["kd"], "os": "17.0", "app_build": 1, "install_id": digest_of(b"x")}
    asked = published.call("POST", "/channels/stable/kd/preview/topic", json={"profiles": [profile]}).json()
    verdicts = {verdict["release"]: verdict["reasons"] for verdict in asked["choices"][0]["verdicts"]}
    assert "revoked" in verdicts[2]

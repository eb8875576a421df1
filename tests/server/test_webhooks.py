"""Webhooks against a real receiver: signed, tried again, dead, sent again; and nothing lost when a process dies."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.contract.errors import RefusedError
from headway.contract.webhooks import EVENTS, WebhookEvent, verify_webhook
from headway_server.app import Server, make_ports
from headway_server.delivery import rollouts
from headway_server.delivery.channels import ChannelKey
from headway_server.delivery.rollouts import OfferRequest
from headway_server.examining import AbsentExaminer
from headway_server.maintenance.doctor import diagnose
from headway_server.maintenance.tick import tick
from headway_server.notifying import hooks, sending
from headway_server.notifying.sending import Sent, send_due
from headway_server.ports import Actor, Ports
from headway_server.signing.secret import FileSecret

from .conftest import Prepared
from .mortal import points_of
from .receiver import Receiver
from .test_bad_input import refused
from .test_crash import in_child, open_ports
from .world import FakeClock, PublisherWorld

ACTOR = Actor("test", "-")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def ports(server: Server) -> Ports:
    """The server's ports, with leave to reach loopback; the server itself uses them too."""
    settings = server.ports.settings.model_copy(update={"webhook_private_networks": True, "webhook_timeout_s": 60.0})
    opened = replace(server.ports, settings=settings)
    server.app.extensions["headway"] = opened
    return opened


def add(world: PublisherWorld, receiver: Receiver, *events: str) -> dict[str, Any]:
    answer = world.call("POST", "/webhooks", json={"url": receiver.url, "events": list(events or EVENTS)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def events(receiver: Receiver, secret: str, now: int) -> list[WebhookEvent]:
    return [verify_webhook(secret, headers, body, now=now) for headers, body in receiver.got]


def listed(world: PublisherWorld, hook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    return list(world.call("GET", f"/webhooks/{hook['id']}/deliveries{query}").json()["deliveries"])


def test_the_life_of_a_release_is_told(
    ports: Ports, reader: PublisherWorld, receiver: Receiver, clock: FakeClock
) -> None:
    hook = add(reader, receiver)
    reader.publish_base()
    reader.publish_head(1)
    rollout = reader.offer(1, schedule=[{"permyriad": 500}, {"permyriad": 10_000}]).json()["id"]
    for order in ("hold", "advance", "advance"):
        reader.call("POST", f"/rollouts/{rollout}/{order}")
    head = reader.call("GET", "/heads/topic").json()["heads"][0]["head"]
    reader.call("POST", "/channels/stable/kd/recalls", json={"digest": head, "reason": "mixes labels up"})
    send_due(ports)
    told = sorted(events(receiver, hook["secret"], clock()), key=lambda event: event.message)
    assert sorted(event.type for event in told) == sorted(
        ["release.published"] * 2 + ["rollout.offered", "rollout.held", "rollout.advanced", "rollout.advanced"]
        + ["recall.issued", "rollout.halted"]
    )  # fmt: skip
    recall = next(event for event in told if event.type == "recall.issued")
    assert (recall.data["app"], recall.data["digest"]) == ("reader", head)
    held = next(event for event in told if event.type == "rollout.held")
    assert (held.data["rollout"], held.data["name"], held.data["release"]) == (rollout, "topic", 1)
    published = {event.data["subject"] for event in told if event.type == "release.published"}
    assert published == {"kd@1", "topic@1"}
    assert send_due(ports) == Sent()


def test_the_decision_of_the_server_is_told(
    ports: Ports, published: PublisherWorld, receiver: Receiver, clock: FakeClock
) -> None:
    hook = add(published, receiver, "rollout.halted", "rollout.completed")
    published.offer(1)
    draft = published.draft_head(1)
    published.report(*(published.event(draft, "rolled_back", n) for n in range(12)))
    tick(ports, ACTOR)
    (event,) = events(receiver, hook["secret"], clock())
    assert event.type == "rollout.halted"
    assert "rolled back" in event.data["reason"]


def test_only_what_was_asked_for_and_only_of_this_app(
    ports: Ports, published: PublisherWorld, receiver: Receiver, clock: FakeClock
) -> None:
    add(published, receiver, "recall.issued")
    published.offer(1)
    other = PublisherWorld(published.client, published.headers["Authorization"].split()[1], "other", clock)
    other.establish()
    assert send_due(ports) == Sent()


def test_failure_retry_success(ports: Ports, published: PublisherWorld, receiver: Receiver, clock: FakeClock) -> None:
    hook = add(published, receiver, "rollout.offered")
    receiver.answers.extend([500, 302])
    published.offer(1)
    assert send_due(ports) == Sent(failed=1)
    assert send_due(ports) == Sent()  # not before its time
    clock.forward(ports.settings.webhook_first_wait_s)
    assert send_due(ports) == Sent(failed=1)
    (row,) = listed(published, hook)
    assert (row["state"], row["attempts"], row["status"]) == ("pending", 2, 302)
    assert ports.settings.webhook_first_wait_s < row["next_at"] - clock() <= 3 * ports.settings.webhook_first_wait_s
    clock.forward(3 * ports.settings.webhook_first_wait_s)
    assert send_due(ports) == Sent(delivered=1)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.got}) == 3
    last = receiver.got[-1]
    assert verify_webhook(hook["secret"], last[0], last[1], now=clock()).type == "rollout.offered"
    assert listed(published, hook)[0]["state"] == "delivered"


def figures(world: PublisherWorld) -> dict[str, int]:
    """What Prometheus sees of messages that did not arrive."""
    text = world.client.get("/metrics").text
    found = re.findall(r'^headway_webhook_messages\{state="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
    return {state: int(float(number)) for state, number in found}


def doctor(ports: Ports) -> tuple[bool, str]:
    """The doctor's line about webhooks."""
    (check,) = [c for c in diagnose(ports, schema="x", wanted="x") if c.name == "reader: webhooks"]
    return check.ok, check.detail


def test_dead_after_the_last_attempt_and_sent_again(
    ports: Ports, published: PublisherWorld, receiver: Receiver, clock: FakeClock
) -> None:
    hook = add(published, receiver, "rollout.offered")
    receiver.answers.extend([503] * ports.settings.webhook_attempts)
    published.offer(1)
    for _ in range(ports.settings.webhook_attempts):
        send_due(ports)
        clock.forward(ports.settings.webhook_most_wait_s)
    assert send_due(ports) == Sent()
    (dead,) = listed(published, hook, "?state=dead")
    assert (dead["attempts"], dead["error"]) == (ports.settings.webhook_attempts, "answered 503")
    assert figures(published) == {"pending": 0, "dead": 1}
    # The last wait was a quarter of a day.
    assert doctor(ports) == (False, "1 given up, 1 of them within a day, 0 waiting")
    clock.forward(86_400)
    assert doctor(ports) == (True, "1 given up, 0 of them within a day, 0 waiting")
    path = f"/webhooks/{hook['id']}/deliveries/{dead['message']}/resend"
    assert published.call("POST", path).status_code == 202
    assert send_due(ports) == Sent(delivered=1)
    assert receiver.got[-1][0]["webhook-id"] == dead["message"]
    assert listed(published, hook, "?state=dead") == []
    assert figures(published) == {"pending": 0, "dead": 0}
    clock.forward(ports.settings.webhook_keep_s + 1)
    tick(ports, ACTOR)
    assert listed(published, hook) == []


def test_gone_is_final(ports: Ports, published: PublisherWorld, receiver: Receiver) -> None:
    add(published, receiver, "rollout.offered")
    receiver.answers.append(410)
    published.offer(1)
    assert send_due(ports) == Sent(dead=1)


def test_what_was_rolled_back_is_not_told(ports: Ports, published: PublisherWorld, receiver: Receiver) -> None:
    hook = add(published, receiver)
    published.offer(1)
    send_due(ports)
    count = len(receiver.got)
    assert published.offer(99).status_code == 404
    assert published.offer(1).status_code == 200  # the same again changes nothing
    assert send_due(ports) == Sent()
    assert len(receiver.got) == count
    assert len(listed(published, hook)) == count


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_killed_while_sending(
    ports: Ports, published: PublisherWorld, receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process claims a message and dies before, or after, the receiver has it: another one sends it again."""
    hook = add(published, receiver, "rollout.offered", "recall.issued")
    published.offer(1)
    ports.database.close()  # type: ignore[attr-defined]
    real = sending.post

    def die_before(*_: Any, **__: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_after(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    for dying, came in ((die_before, 0), (die_after, 1)):
        child = os.fork()
        if child == 0:
            sending.post = dying  # type: ignore[assignment]
            try:
                send_due(make_ports(ports.settings, clock=clock, examiner=AbsentExaminer()))
            finally:
                os._exit(0)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert len(receiver.got) == came
        assert send_due(ports) == Sent()  # the dead process still holds its claim
        clock.forward(3600)
    assert send_due(ports) == Sent(delivered=1)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [listed(published, hook)[0]["message"]] * 2
    assert listed(published, hook)[0]["attempts"] == 3


def test_many_senders_send_each_message_once(ports: Ports, reader: PublisherWorld, receiver: Receiver) -> None:
    hook = add(reader, receiver)
    for _ in range(20):
        reader.call("POST", f"/webhooks/{hook['id']}/ping")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: send_due(ports), range(4)))
    assert sum(sent.delivered for sent in done) == 20
    assert len(receiver.got) == len({headers["webhook-id"] for headers, _ in receiver.got}) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_killed_at_any_point_of_a_change(prepared: dict[bool, Prepared], tmp_path: Path) -> None:
    """A change that is there has its message in the outbox, and one that is not there has none."""
    start = tmp_path / "start"
    shutil.copytree(prepared[True].folder, start)
    ports = open_ports(start)
    hook, _ = hooks.add(ports, ACTOR, "reader", "https://example.net/hook", ["rollout.offered"])
    ports.database.close()  # type: ignore[attr-defined]
    key, offer = ChannelKey("reader", "stable", "kd"), OfferRequest("topic", 1, 10_000, salt="s")

    def change(ports: Ports) -> object:
        return rollouts.offer(ports, ACTOR, key, offer)

    def live(at: int) -> int | None:
        return in_child(Path(shutil.copytree(start, tmp_path / f"killed-{at}")), change, at)

    seen = set()
    for at, point in points_of(live, least=2):
        assert live(at) is None, point
        folder = tmp_path / f"killed-{at}"
        ports = open_ports(folder)
        with ports.database.read() as tx:
            there = len(tx.rollouts.all("reader"))
            told = tx.webhooks.deliveries("reader", hook.id, state="pending", limit=9, before=None)
        ports.database.close()  # type: ignore[attr-defined]
        assert len(told) == there
        seen.add(there)
    assert seen == {0, 1}


def test_ping_and_rotation(ports: Ports, reader: PublisherWorld, receiver: Receiver, clock: FakeClock) -> None:
    hook = add(reader, receiver, "token.changed")
    assert reader.call("POST", f"/webhooks/{hook['id']}/ping").status_code == 202
    newer = reader.call("POST", f"/webhooks/{hook['id']}/secret").json()["secret"]
    assert newer != hook["secret"]
    send_due(ports)
    for secret in (newer, hook["secret"]):
        assert [event.type for event in events(receiver, secret, clock())] == ["webhook.ping"]
    clock.forward(86_400)
    reader.call("POST", f"/webhooks/{hook['id']}/ping")
    send_due(ports)
    assert " " not in receiver.got[-1][0]["webhook-signature"]
    assert verify_webhook(newer, *receiver.got[-1], now=clock()).type == "webhook.ping"


def test_a_late_timestamp_is_told_once(
    ports: Ports, published: PublisherWorld, receiver: Receiver, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    hook = add(published, receiver, "timestamp.late")
    clock.forward(2 * ports.settings.resign_after_s)
    caplog.set_level(logging.ERROR)
    tick(ports, ACTOR)
    tick(ports, ACTOR)
    (event,) = events(receiver, hook["secret"], clock())
    assert event.data["age_s"] >= 2 * ports.settings.resign_after_s
    assert [record.message for record in caplog.records].count("timestamp is late") == 1


def test_listing_paging_and_removing(ports: Ports, reader: PublisherWorld, receiver: Receiver) -> None:
    hook = add(reader, receiver)
    for _ in range(3):
        reader.call("POST", f"/webhooks/{hook['id']}/ping")
    first = listed(reader, hook, "?limit=2")
    rest = listed(reader, hook, f"?limit=2&before={first[-1]['seq']}")
    assert len({row["message"] for row in (*first, *rest)}) == 3
    (shown,) = reader.call("GET", "/webhooks").json()["webhooks"]
    assert "secret" not in shown
    assert shown["events"] == list(EVENTS)
    assert reader.call("DELETE", f"/webhooks/{hook['id']}").status_code == 200
    assert reader.call("GET", "/webhooks").json() == {"webhooks": []}
    refused(reader.call("DELETE", f"/webhooks/{hook['id']}"), 404, "unknown_webhook")
    assert send_due(ports) == Sent()


def test_what_cannot_be_added(ports: Ports, reader: PublisherWorld, receiver: Receiver) -> None:
    body = {"url": receiver.url, "events": ["rollout.halted"]}
    refused(reader.call("POST", "/webhooks", json={**body, "events": ["rollout.hlated"]}), 422, "unknown_event")
    refused(reader.call("POST", "/webhooks", json={**body, "url": "ftp://example.net"}), 422, "bad_url")
    for _ in range(20):
        assert reader.call("POST", "/webhooks", json=body).status_code == 201
    refused(reader.call("POST", "/webhooks", json=body), 409, "too_many_webhooks")


def test_one_secret_for_all_processes(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        derived = set(pool.map(lambda _: FileSecret(tmp_path / "keys").derive("webhook", "a", "b"), range(16)))
    assert len(derived) == 1
    one = FileSecret(tmp_path / "keys")
    assert len({one.derive("webhook", "a", "b"), one.derive("webhook", "ab", ""), one.derive("webhook", "a")}) == 3
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["server.key"]
    (tmp_path / "keys" / "server.key").write_bytes(b"half")
    with pytest.raises(RefusedError, match="damaged"):
        FileSecret(tmp_path / "keys").derive("webhook")


def test_secrets_stand_nowhere(
    server: Server, ports: Ports, reader: PublisherWorld, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook = add(reader, receiver)
    secret = hook["secret"].removeprefix("whsec_")
    receiver.answers.append(500)
    reader.call("POST", f"/webhooks/{hook['id']}/ping")
    send_due(ports)
    key = ports.settings.keys_dir / "server.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    said = caplog.text + str([vars(record) for record in caplog.records])
    with ports.database.read() as tx:
        kept = str(tx.webhooks.all("reader")) + str(tx.audit.all(None)) + json.dumps(listed(reader, hook))
    assert secret not in said + kept
    assert "token=x" not in said  # the address may hold a secret of the receiver

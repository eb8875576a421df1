"""Aliases, labels, search and webhooks from the command line, against a real registry over loopback HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from headway.cli.main import run
from headway.cli.moments import moment
from headway.contract.errors import RefusedError
from headway_server.app import Server
from headway_server.watch import Watch

from .receiver import Receiver
from .world import FakeClock, PublisherWorld

Told = Callable[..., Any]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop(
    server: Server, published: PublisherWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[PublisherWorld]:
    """A registry on a port of its own with ``topic@1`` and ``topic@2``, and the settings to reach it."""
    published.publish_head(2)
    with make_server("127.0.0.1", 0, server.wsgi, handler_class=Quiet) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setenv("HEADWAY_URL", f"http://127.0.0.1:{http.server_port}")
        monkeypatch.setenv("HEADWAY_TOKEN", published.headers["Authorization"].split()[1])
        monkeypatch.setenv("HEADWAY_APP", "reader")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
        monkeypatch.chdir(tmp_path)
        yield published
        http.shutdown()
        thread.join()


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Run a command with ``--json``; what it printed."""

    def tell(*arguments: str) -> Any:
        capsys.readouterr()
        assert run([*arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return tell


def test_what_did_stable_point_to(
    shop: PublisherWorld, clock: FakeClock, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["heads", "alias", "set", "topic@1", "stable", "--expect", ""]) == 0  # 1 March 2026
    clock.forward(3 * 86_400)
    assert run(["heads", "alias", "set", "topic@2", "stable", "--expect", "2"]) == 6
    assert run(["heads", "alias", "set", "topic@2", "stable", "--expect", "1", "--note", "better on music"]) == 0
    capsys.readouterr()
    assert run(["heads", "alias", "show", "topic", "stable", "--at", "2026-03-03"]) == 0
    assert capsys.readouterr().out == "topic@1\n"
    assert told("heads", "alias", "show", "topic", "stable")["release"] == "2"
    assert run(["heads", "alias", "show", "topic", "stable", "--at", "2026-02-28"]) == 5
    history = told("heads", "alias", "history", "topic", "stable")["history"]
    assert [(mark["release"], mark["note"]) for mark in history] == [("1", ""), ("2", "better on music")]
    assert run(["bases", "alias", "set", "kd@1", "stable"]) == 0
    assert [mark["release"] for mark in told("bases", "alias", "list")["aliases"]] == ["1"]
    assert [mark["name"] for mark in told("heads", "alias", "list", "topic")["aliases"]] == ["topic"]
    assert run(["heads", "alias", "remove", "topic", "stable"]) == 0
    assert run(["heads", "alias", "show", "topic", "stable"]) == 5
    assert run(["heads", "alias", "set", "topic", "stable"]) == 2
    for table in (["heads", "alias", "list"], ["heads", "alias", "history", "topic", "stable"]):
        assert run(table) == 0


def test_labels_and_search(shop: PublisherWorld, told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["heads", "label", "set", "topic@2", "quality=good"]) == 0
    assert run(["heads", "label", "set", "topic@2", "quality"]) == 2
    assert run(["bases", "label", "set", "kd@1", "phone=measured"]) == 0
    assert [mark["value"] for mark in told("heads", "label", "list", "topic@2")["labels"]] == ["good"]
    found = told("search", "topic", "--label", "quality=good")
    assert [(item["release"], item["labels"]) for item in found["found"]] == [("2", {"quality": "good"})]
    assert [item["kind"] for item in told("search", "--label", "phone")["found"]] == ["base"]
    assert told("search", "--limit", "2")["more"] is True
    assert len(told("search", "--since", "2026-03-01", "--until", "2026-03-01")["found"]) == 3
    assert told("search", "--until", "2026-02-28")["found"] == []
    assert run(["heads", "label", "set", "topic@2", "quality="]) == 0
    history = told("heads", "label", "history", "topic@2", "quality")["history"]
    assert [mark["value"] for mark in history] == ["good", None]
    for table in (["search"], ["heads", "label", "list"], ["heads", "label", "history", "topic@2", "quality"]):
        assert run(table) == 0
    assert run(["search", "--state", "lost"]) == 2
    assert run(["search", "--since", "May"]) == 2


def test_webhooks(
    server: Server, shop: PublisherWorld, told: Told, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Added, pinged through the thread that serving processes run, verified, resent, removed."""
    settings = server.ports.settings.model_copy(update={"webhook_private_networks": True, "webhook_every_s": 0.05})
    ports = server.app.extensions["headway"] = replace(server.ports, settings=settings)
    receiver, watch = Receiver(), Watch(ports)
    try:
        hook = told("webhooks", "add", receiver.url, "--event", "rollout.offered", "--note", "for a test")
        watch.start()
        # The registry's clock stands still in March 2026, so the message is old; its signature is right all the same.
        assert run(["webhooks", "ping", hook["id"], "--wait", "60"]) == 0
        (headers, body), secret = receiver.got[0], tmp_path / "secret"
        (tmp_path / "body").write_bytes(body)
        secret.write_text(hook["secret"] + "\n")
        signed = [f"--header={name}: {value}" for name, value in headers.items() if name.startswith("webhook-")]
        check = ["webhooks", "verify", str(tmp_path / "body"), *signed, "--secret-file", str(secret)]
        assert run(check) == 3
        capsys.readouterr()
        assert run([*check, "--any-age"]) == 0
        assert json.loads(capsys.readouterr().out)["type"] == "webhook.ping"
        secret.write_text("whsec_" + "A" * 44)
        assert run([*check, "--any-age"]) == 3
        shop.offer(1)
        receiver.wait_for(2)
        sent = told("webhooks", "deliveries", hook["id"])["deliveries"]
        assert [delivery["event"] for delivery in sent] == ["rollout.offered", "webhook.ping"]
        assert run(["webhooks", "resend", hook["id"], sent[0]["message"]]) == 0
        receiver.wait_for(3)
        receiver.stop()
        assert run(["webhooks", "ping", hook["id"], "--wait", "60"]) == 7
    finally:
        watch.stop()
    assert run(["webhooks", "resend", hook["id"]]) == 2
    assert run(["webhooks", "resend", hook["id"], "--dead"]) == 0
    capsys.readouterr()
    assert run(["webhooks", "rotate-secret", hook["id"]]) == 0
    assert capsys.readouterr().out.startswith("whsec_")
    for table in (["webhooks", "list"], ["webhooks", "deliveries", hook["id"]], ["webhooks", "events"]):
        assert run(table) == 0
    assert run(["webhooks", "remove", hook["id"]]) == 0
    assert told("webhooks", "list")["webhooks"] == []
    assert run(["webhooks", "remove", "0" * 16]) == 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 2 * 86_400 - 1),
        ("19700102", 19_700_102),
        ("1970-01-02T00:00", 86_400),
        ("1970-01-02T01:00+01:00", 86_400),
        ("1970-01-01T00:00:59Z", 59),
        ("42", 42),
    ],
)
def test_moments(text: str, seconds: int) -> None:
    assert moment(text) == seconds


@pytest.mark.parametrize("text", ["", "3 May", "2026-13-01", "-5", "now"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(RefusedError, match="no day and no time"):
        moment(text)

"""The real process under a crowd of reports, over each store: killed at any moment, what it acknowledged is there."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from headway.contract.digests import digest_of
from headway_server.db.engine import SqlDatabase
from headway_server.records import BaseRecord

from .backends import Backend
from .test_process import Process

DEVICES = 12
ENOUGH = 40
"""So many answers of each device before the kill."""
BASE, HEAD = digest_of(b"package"), digest_of(b"embedded")


@pytest.fixture
def process(backend: Backend, tmp_path: Path) -> Iterator[Process]:
    """A server behind a proxy, with an app ``reader`` that has a base."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADWAY_SERVER_TRUSTED_PROXIES", "1")
        patch.setenv("HEADWAY_SERVER_DATABASE_URL", backend.settings.resolved_database_url)
        backend.settings.data_dir.mkdir(parents=True, exist_ok=True)
        made = Process(tmp_path / "process")
        with closing(made.start()) as client:
            bearer = {"Authorization": f"Bearer {made.tokens[0]}"}
            assert client.post("/v1/apps", json={"app": "reader"}, headers=bearer).status_code == 201
        database = SqlDatabase(backend.settings.resolved_database_url)
        base = BaseRecord("reader", "kd", "1", BASE, BASE, {}, BASE, 1, {}, None, "test", "registered", 1)
        with database.write("reader") as tx:
            tx.releases.add_base(base)
        database.close()
        yield made
        if made.process is not None:
            made.stop(signal.SIGKILL)


class Device:
    """Reports one event of its own and one that all devices report, again and again, until the server is gone."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent: list[tuple[str, str]] = []
        self.tallies: list[dict[str, int]] = []

    def live(self, port: int) -> None:
        """Report until the connection breaks."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                while True:
                    step = len(self.sent)
                    self.sent.append((f"{self.number + 1:016x}{step:016x}", f"{step:032x}"))
                    self.tallies.append(report(connection, self.number, self.sent[-1]))
        except OSError:
            return


def report(connection: socket.socket, device: int, events: tuple[str, ...]) -> dict[str, int]:
    """Send one report; its tally. Raises OSError if the server is gone."""
    about = {"schema": 1, "kind": "installed", "channel": "stable", "base": BASE, "name": "topic", "release": 0}
    value = {"app": "reader", "events": [{**about, "head": HEAD, "event": event} for event in events]}
    body = json.dumps(value).encode()
    head = f"POST /v1/outcomes HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.{device}.{events[0][-2:]}\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = b""
    while not answer.endswith(b"}\n"):
        more = connection.recv(4096)
        if not more:
            raise ConnectionResetError
        answer += more
    assert answer.startswith(b"HTTP/1.1 202 "), answer
    tally: dict[str, int] = json.loads(answer.split(b"\r\n\r\n", 1)[1])
    return tally


def test_what_was_acknowledged_survives_a_kill(process: Process, backend: Backend) -> None:
    devices = [Device(number) for number in range(DEVICES)]
    threads = [Thread(target=device.live, args=(process.port,)) for device in devices]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 120
    while min(len(device.tallies) for device in devices) < ENOUGH:
        assert all(thread.is_alive() for thread in threads)
        assert time.monotonic() < until
        time.sleep(0.01)
    process.stop(signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    tallies = [tally for device in devices for tally in device.tallies]
    assert all(tally["accepted"] + tally["duplicate"] == 2 and tally["ignored"] == 0 for tally in tallies)
    sent = {event for device in devices for events in device.sent for event in events}
    acknowledged = {event for d in devices for events in d.sent[: len(d.tallies)] for event in events}
    accepted = sum(tally["accepted"] for tally in tallies)
    assert accepted <= kept(backend) <= len(sent)  # what was not acknowledged may be there, or not
    assert len(acknowledged) <= kept(backend)

    with (
        closing(process.start()),
        socket.create_connection(("127.0.0.1", process.port), timeout=60) as connection,
    ):
        for device in devices:
            told = [report(connection, device.number, events) for events in device.sent]
            again = {"accepted": 0, "duplicate": 2, "ignored": 0}
            assert told[: len(device.tallies)] == [again] * len(device.tallies)
            accepted += sum(tally["accepted"] for tally in told)
    assert kept(backend) == len(sent)
    assert accepted <= len(sent)
    assert process.stop() == 0


def kept(backend: Backend) -> int:
    """How many events there are; the counters say the same."""
    database = SqlDatabase(backend.settings.resolved_database_url)
    with database.read() as tx:
        rows, sums = tx.outcomes.older_than("reader", 2**40), sum(row[5] for row in tx.outcomes.totals("reader"))
    database.close()
    assert rows == sums
    return rows

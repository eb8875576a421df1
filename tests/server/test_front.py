"""The real process in front of real sockets: slow clients lose, polls and everything else share a connection."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway_server.pace import Pace

from .test_process import Process
from .world import PublisherWorld

PAUSE_S = 3.0
"""Long enough that an honest client of a busy machine is never taken for a slow one."""
TIMESTAMP = "/apps/reader/metadata/timestamp.json"
POLL = f"GET {TIMESTAMP} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
REPORT = b'{"app":"reader","events":[]}'
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, PublisherWorld]]:
    """A server with two threads and little patience."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"CLIENT_PAUSE_S": PAUSE_S, "CLIENT_BYTES_PER_S": 50_000, "THREADS": 2}.items():
            patch.setenv(f"HEADWAY_SERVER_{name}", str(value))
        process = Process(tmp_path_factory.mktemp("front") / "data")
        client = process.start()
        world = PublisherWorld(client, process.tokens[0], "reader", lambda: int(time.time()))
        assert world.establish().status_code == 201
        yield process, world
        client.close()
        assert process.stop() == 0


@contextlib.contextmanager
def connected(process: Process) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", process.port), timeout=60) as connection:
        yield connection


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """One whole answer: its status and its body; status 0 if the server closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # byte by byte: the next answer may have come already
        more = connection.recv(1)
        if not more:
            return 0, head
        head += more
    found = re.search(rb"content-length: (\d+)", head.lower())
    body = connection.recv(int(found[1]), socket.MSG_WAITALL) if found else b""
    return int(head.split()[1]), body


def put(token: str, data: bytes, size: int) -> bytes:
    head = f"PUT /v1/apps/reader/artifacts/{digest_of(data)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Length: {size}\r\n\r\n".encode()


def report(body: bytes = REPORT, more: str = "") -> bytes:
    return f"POST /v1/outcomes HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def ended(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return connection.recv(1) == b""
    return True


def test_the_pace() -> None:
    pace = Pace(pause_s=20, bytes_per_s=1_000)
    assert pace.left_s(0, 0) == pace.left_s(10_000, 5) == 20
    assert pace.left_s(10_000, 25) == 5
    assert pace.left_s(10_000, 31) < 0


def test_a_stalled_upload_is_told_so_and_frees_its_thread(running: tuple[Process, PublisherWorld]) -> None:
    process, world = running
    data = b"x" * 200_000
    with contextlib.ExitStack() as stack:
        # As many as there are threads, so that the next answer proves that they are free again.
        stalled = [stack.enter_context(connected(process)) for _ in range(2)]
        for connection in stalled:
            connection.sendall(put(process.tokens[0], data, len(data)) + data[:100_000])
        for connection in stalled:
            status, body = answer(connection)
            problem = json.loads(body)
            assert (status, problem["code"], problem["status"]) == (408, "client_too_slow", 408)
            assert problem["hint"]
            assert ended(connection)
    assert world.client.get("/healthz").status_code == 200
    assert world.call("HEAD", f"/artifacts/{digest_of(data)}").status_code == 404
    assert world.upload(data).status_code == 201


def test_a_trickle_is_too_slow_though_it_never_pauses(running: tuple[Process, PublisherWorld]) -> None:
    process, _ = running
    data = b"y" * 200_000
    with connected(process) as connection:
        began = time.monotonic()
        connection.sendall(put(process.tokens[0], data, len(data)))
        connection.settimeout(0.1)
        for index in range(400):
            try:
                connection.sendall(data[index : index + 1])
                first = connection.recv(12)
            except TimeoutError:
                continue
            assert first == b"HTTP/1.1 408"
            break
        else:
            raise AssertionError("the server went on waiting")
        assert time.monotonic() - began > PAUSE_S


def test_json_too(running: tuple[Process, PublisherWorld]) -> None:
    process, _ = running
    with connected(process) as connection:
        head = f"POST /v1/apps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {process.tokens[0]}\r\n"
        kind = "Content-Type: application/json\r\n"
        connection.sendall(f'{head}{kind}Content-Length: 20\r\n\r\n{{"app"'.encode())
        assert answer(connection)[0] == 408
    with connected(process) as connection:
        connection.sendall(f'{head}{kind}Transfer-Encoding: chunked\r\n\r\n6\r\n{{"app"\r\n'.encode())
        assert answer(connection)[0] == 408


def test_a_head_that_never_ends_costs_no_thread(running: tuple[Process, PublisherWorld]) -> None:
    process, world = running
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(process)) for _ in range(40)]
        for connection in slow:
            connection.sendall(HEALTH[:-5])
        began = time.monotonic()
        assert world.client.get("/healthz").status_code == 200
        assert all(ended(connection) for connection in slow)
        assert time.monotonic() - began < 25
    with connected(process) as connection:
        connection.sendall(HEALTH[:-2] + b"X: " + b"y" * 100_000)
        assert answer(connection)[0] == 431


def test_a_reader_that_stops_loses_its_connection(running: tuple[Process, PublisherWorld]) -> None:
    process, world = running
    data = bytes(range(256)) * 80_000
    assert world.upload(data).status_code == 201
    path = f"/apps/reader/artifacts/{hex_of(digest_of(data))}"
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(connected(process))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(1)
        assert world.client.get("/healthz").status_code == 200
    assert world.client.get(path).content == data
    assert world.client.get(path, headers={"Range": "bytes=256-260"}).content == data[256:261]


def test_polls_and_others_share_a_connection(running: tuple[Process, PublisherWorld]) -> None:
    process, world = running
    public = (process.data / "public" / TIMESTAMP[1:]).read_bytes()
    with connected(process) as connection:
        for request, body in ((POLL, public), (HEALTH, None), (POLL, public), (POLL, public)):
            for piece in (request[:20], request[20:]):
                connection.sendall(piece)
                time.sleep(0.02)
            status, got = answer(connection)
            assert (status, body if body is None else got) == (200, body)
    with connected(process) as connection:
        # Without waiting for an answer: what came early is not lost.
        connection.sendall(HEALTH + POLL)
        assert answer(connection)[0] == 200
        assert answer(connection) == (200, public)
        connection.sendall(b"nonsense\r\n\r\n")
        assert answer(connection)[0] == 400
        assert ended(connection)
    until = time.monotonic() + 60  # polls are counted once a second
    while not re.search(r'headway_polls_total\{status="200"\} [4-9]', world.client.get("/metrics").text):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_reports_and_others_share_a_connection(running: tuple[Process, PublisherWorld]) -> None:
    process, _ = running
    head = len(report()) - len(REPORT)
    counts = {"accepted": 0, "duplicate": 0, "ignored": 0}
    with connected(process) as connection:
        for cut in (0, 30, head - 2, head, head + 9, len(report())):
            for piece in (report()[:cut], report()[cut:]):
                connection.sendall(piece)
                time.sleep(0.02)
            status, body = answer(connection)
            assert (status, json.loads(body)) == (202, counts)
        connection.sendall(HEALTH)
        assert answer(connection)[0] == 200
        # The same by way of a thread: what has no length, is packed too well, or comes together with the next request.
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(REPORT), REPORT)
        chunked = report().replace(b"Content-Length: 28", b"Transfer-Encoding: chunked")[: -len(REPORT)] + chunks
        packed = report(gzip.compress(REPORT + b" " * 200_000), "Content-Encoding: gzip\r\n")
        for request in (chunked, packed, report() + POLL):
            connection.sendall(request)
            status, body = answer(connection)
            assert (status, json.loads(body)) == (202, counts)
        assert answer(connection)[0] == 200


def test_a_report_that_is_refused_leaves_the_connection(running: tuple[Process, PublisherWorld]) -> None:
    process, _ = running
    with connected(process) as connection:
        for body, status, code in (
            (b'{"app":"nobody","events":[]}', 404, "unknown_app"),
            (b'{"app":"reader","events":[{}]}', 422, "malformed"),
            (b'{"app":"reader"', 422, "malformed"),
            (b'{"app":"reader","events":[' + b" " * 2_000_000 + b"]}", 413, None),
        ):
            connection.sendall(report(body, "X-Request-Id: this-one\r\n"))
            told, problem = answer(connection)
            assert told == status
            assert code is None or json.loads(problem)["code"] == code
            assert json.loads(problem)["instance"] == "urn:headway:request:this-one"
            if status != 413:
                connection.sendall(report())
                assert answer(connection)[0] == 202


def test_a_report_that_comes_too_slowly(running: tuple[Process, PublisherWorld]) -> None:
    process, world = running
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(connected(process)) for _ in range(4)]
        for connection in stalled:
            connection.sendall(report()[:-9])
        assert world.client.get("/healthz").status_code == 200
        for connection in stalled:
            status, body = answer(connection)
            assert (status, json.loads(body)["code"]) == (408, "client_too_slow")
            assert ended(connection)


def test_who_does_not_wait_for_the_answer_is_counted(running: tuple[Process, PublisherWorld]) -> None:
    process, world = running
    for _ in range(20):
        with connected(process) as connection:
            connection.sendall(report())
    assert world.client.post("/v1/outcomes", content=REPORT).status_code == 202
    with connected(process) as connection:
        connection.sendall(report())
        connection.shutdown(socket.SHUT_WR)
        assert answer(connection)[0] == 202


def test_the_answer_says_when_it_was_given(running: tuple[Process, PublisherWorld]) -> None:
    _, world = running
    first = world.client.get(TIMESTAMP)
    again = world.client.get(TIMESTAMP, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert {"date", "etag", "cache-control"} <= set(again.headers)
    assert again.content == b""


def test_stopping_finishes_what_is_open(tmp_path: Path) -> None:
    process = Process(tmp_path / "data")
    client = process.start()
    world = PublisherWorld(client, process.tokens[0], "reader", lambda: int(time.time()))
    assert world.establish().status_code == 201
    data = b"z" * 300_000
    with connected(process) as idle, connected(process) as busy, connected(process) as half:
        idle.sendall(POLL)
        assert answer(idle)[0] == 200
        busy.sendall(put(process.tokens[0], data, len(data)) + data[:100_000])
        half.sendall(report()[:-9])
        process.wait_for_upload()
        for _ in range(3):  # turns of the loop: one accepts, one reads what has come, one is over
            idle.sendall(POLL)
            assert answer(idle)[0] == 200
        assert process.process is not None
        process.process.terminate()
        assert ended(idle)
        busy.sendall(data[100_000:])
        assert answer(busy)[0] == 201
        half.sendall(report()[-9:])
        assert answer(half)[0] == 202
        assert process.process.wait(timeout=120) == 0
        process.process = None
    assert (process.data / "public/apps/reader/artifacts" / hex_of(digest_of(data))).read_bytes() == data
    with pytest.raises(httpx2.TransportError):
        client.get("/healthz")

"""The trusted client over the devices' real fetcher, against servers that cheat on the wire.

Each server is a real socket on loopback: endless, dripping, silent, cut short, compressed beyond belief, redirecting.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from headway.contract.errors import TransferError, UntrustedError
from headway.device.fetcher import FetchLimits, HttpFetcher
from headway.trust.client import TrustedClient
from headway.trust.simulator import RepositorySimulator
from headway.trust.storage import MemoryStorage

from .parts import APP, BASE_ID, NOW

Answer = Callable[[socket.socket], None]
QUICK = FetchLimits(connect_s=5.0, idle_s=0.5, deadline_s=1.0)
PATIENT = FetchLimits(connect_s=60.0, idle_s=60.0, deadline_s=300.0)


class HostileServer:
    """Serves a repository honestly, except for the paths in ``cheats``."""

    def __init__(self) -> None:
        self.repo = RepositorySimulator(APP, (BASE_ID,), now=lambda: NOW, url="http://honest/apps")
        self.cheats: dict[str, Answer] = {}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._accept, daemon=True)
        self._main.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _accept(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._socket.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            request = connection.recv(65536).decode()
            path = request.split(" ")[1]
            name = path.rsplit("/", 1)[1]
            if name in self.cheats:
                self.cheats[name](connection)
                return
            body = self.repo.files.get(f"http://honest{path}")
            send(connection, b"" if body is None else body, status="404 Not Found" if body is None else "200 OK")

    def client(self, limits: FetchLimits = PATIENT) -> TrustedClient:
        base = f"{self.url}/apps/{APP}"
        return TrustedClient(
            None,
            f"{base}/metadata",
            f"{base}/targets",
            self.repo.root_bytes,
            HttpFetcher(limits),
            lambda: NOW,
            storage=MemoryStorage(),
        )

    def close(self) -> None:
        self._stop.set()
        self._main.join()
        self._socket.close()
        for thread in self._threads:
            thread.join()


def send(
    connection: socket.socket, body: bytes, status: str = "200 OK", *headers: str, length: int | None = None
) -> None:
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers]
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    hostile = HostileServer()
    yield hostile
    hostile.close()


def endless(connection: socket.socket) -> None:
    """A body without an end, as fast as the client takes it."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _ in range(1_000_000):
        connection.sendall(b"[" * 65536)


def endless_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(1_000_000):
        connection.sendall(b"10000\r\n" + b"[" * 65536 + b"\r\n")


BOMB = gzip.compress(b"[" * 30_000_000, 1)


def bomb(connection: socket.socket) -> None:
    """A few kilobytes that unpack to 30 MB."""
    send(connection, BOMB, "200 OK", "Content-Encoding: gzip")


def dripping(connection: socket.socket) -> None:
    """A byte at a time, each within the idle limit, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n")
    for _ in range(40_000):
        connection.sendall(b"{")
        time.sleep(0.1)


def dripping_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(40_000):
        connection.sendall(b"a")
        time.sleep(0.1)


def silent(connection: socket.socket) -> None:
    connection.recv(1)  # until the client has gone


def cut_short(connection: socket.socket) -> None:
    send(connection, b'{"signed": {', length=1000)


def cut_gzip(connection: socket.socket) -> None:
    """The length is right, the compressed stream in it has no end."""
    send(connection, gzip.compress(b"{" * 1000)[:-12], "200 OK", "Content-Encoding: gzip")


def redirecting(connection: socket.socket) -> None:
    send(connection, b"", "302 Found", "Location: http://127.0.0.1:9/elsewhere")


def portal(connection: socket.socket) -> None:
    send(connection, b"<html>Please sign in</html>", "200 OK", "Content-Type: text/html")


def busy(connection: socket.socket) -> None:
    send(connection, b"", "503 Service Unavailable", "Retry-After: 120")


def nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 20)


@pytest.mark.parametrize("cheat", [endless, endless_chunks, bomb])
@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json", "1.snapshot.json"])
def test_endless_bodies_are_cut_at_their_cap(server, name, cheat):
    server.cheats[name] = cheat
    with pytest.raises(UntrustedError) as caught:
        server.client().refresh()
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("cheat", "code"),
    [
        (dripping, "timeout"),
        (dripping_headers, "timeout"),
        (silent, "timeout"),
        (cut_short, "broken_off"),
        (cut_gzip, "broken_off"),
        (nonsense, "broken_off"),
        (redirecting, "redirected"),
        (busy, "server_error"),
    ],
)
def test_a_bad_transfer_is_told_within_its_deadline(server, cheat, code):
    server.cheats["timestamp.json"] = cheat
    with pytest.raises(TransferError) as caught:
        # The servers that drip go on for an hour: it ends because the whole transfer has a deadline.
        server.client(QUICK if code == "timeout" else PATIENT).refresh()
    assert caught.value.code == code
    if cheat is busy:
        assert caught.value.retry_after_s == 120


def test_captive_portal_is_not_metadata(server):
    server.cheats["timestamp.json"] = portal
    with pytest.raises(UntrustedError) as caught:
        server.client().refresh()
    assert caught.value.code == "malformed_metadata"


def test_registry_that_is_not_there(server):
    client = server.client()
    server.close()
    with pytest.raises(TransferError) as caught:
        client.refresh()
    assert caught.value.code == "unreachable"


def test_honest_server_over_the_same_wire(server):
    client = server.client()
    assert client.refresh().requests == 4
    assert client.heads(BASE_ID) == ()

"""The load of ``benchmarks/registry.py``, and how processor time is read: of other processes, by the kernel's clock."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
CONNECTIONS = 8
MANY = 64
"""So many connections that a server never sleeps: what a request costs once it is busy."""
NUMBER = b"00000000"
"""Where this stands in a request, its number is put in, so that no two are alike."""


@dataclass(frozen=True, slots=True)
class Target:
    """One request to one server: a row of the table."""

    name: str
    port: int
    pids: Sequence[int]
    request: bytes
    count: int
    connections: int = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the rounds of one request."""

    name: str
    per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Reported:
    """What a load of reports came to. ``accepted`` events were acknowledged; times are of one report.

    ``cpu_s`` is the processor time of the load itself.
    """

    devices: int
    accepted: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        """Devices per second."""
        return self.devices / self.seconds


@dataclass(frozen=True, slots=True)
class Kept:
    """A load of reports, the processor time of server and database in µs per device, and how many events were lost."""

    load: Reported
    server_us: float
    database_us: float | None
    lost: int


def cpu_s(pids: Sequence[int]) -> float:
    """Processor time, user and system, of these processes so far, with all their threads, dead ones too."""
    # The kernel's number for another process's clock: see CPUCLOCK_SCHED in its posix-timers.h.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def rss_bytes(pids: Sequence[int]) -> int:
    """Resident memory of the largest of these processes."""
    return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == pid:
                found += family(int(entry.name))
    return found


def get(path: str, *headers: str) -> bytes:
    """The bytes of a GET request."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode()


def measure(targets: Sequence[Target], rounds: int) -> list[Figure]:
    """Rate and processor time per request, medians over ``rounds``; in every round each target has its turn."""
    rates: dict[str, list[float]] = {target.name: [] for target in targets}
    costs: dict[str, list[float]] = {target.name: [] for target in targets}
    for target in targets:
        hammer(target.port, target.request, min(400, target.count), target.connections)
    for _ in range(rounds):
        for target in targets:
            before, started = cpu_s(target.pids), time.perf_counter()
            apart(hammer, target.port, target.request, target.count, target.connections)
            rates[target.name].append(target.count / (time.perf_counter() - started))
            costs[target.name].append((cpu_s(target.pids) - before) / target.count * 1e6)
    return [Figure(name, statistics.median(rates[name]), statistics.median(costs[name])) for name in rates]


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Run ``work`` in a process of its own: the load must not share an interpreter with what counts it."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit("the load failed")


def hammer(port: int, request: bytes, count: int, connections: int) -> None:
    """Send one request ``count`` times over open connections, reading each answer to its end.

    Every connection is sent a request before the first answer is read, so a server finds as many at once as there are
    connections; the next ones come when all were answered.
    """
    alike, number = NUMBER not in request, 0
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    size = 0
    for connection in sockets:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        size = _read_answer(connection)
    for _ in range(max(0, count // len(sockets) - 1)):
        for connection in sockets:
            number += 1
            connection.sendall(request if alike else request.replace(NUMBER, b"%08d" % number))
        for connection in sockets:
            left = size
            while left > 0:
                got = len(connection.recv(min(left, 1 << 20)))
                if got == 0:
                    raise ConnectionError("the server closed the connection")
                left -= got
    for connection in sockets:
        connection.close()


def _read_answer(connection: socket.socket) -> int:
    """Read one whole answer; its size. Every further answer to the same request has the same size."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, body = data.split(b"\r\n\r\n", 1)
    status = int(head.split(b" ")[1])
    if status not in (200, 304):
        raise ConnectionError(f"the server answered {status}")
    found = re.search(rb"content-length: (\d+)", head.lower())
    length = int(found.group(1)) if found and status != 304 else 0
    while len(body) < length:
        body += connection.recv(65536)
    return len(head) + 4 + length


def devices(port: int, report: Callable[[], bytes], seconds: float, connections: int) -> Reported:
    """Report outcomes for a while: each request is one device, and each connection sends when it was answered."""
    selector, times = selectors.DefaultSelector(), []
    accepted = 0
    started, cpu = time.monotonic(), time.process_time()
    stop = started + seconds
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _send(connection, report())
        selector.register(connection, selectors.EVENT_READ, [time.monotonic()])
    while selector.get_map():
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            accepted += _accepted(key.fileobj)
            now = time.monotonic()
            times.append(now - key.data[0])
            if now < stop:
                key.data[0] = now
                _send(key.fileobj, report())
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()
    times.sort()
    middle, high = times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3
    return Reported(len(times), accepted, time.monotonic() - started, middle, high, cpu_s=time.process_time() - cpu)


def _send(connection: socket.socket, body: bytes) -> None:
    # Each device has an address of its own, as behind a reverse proxy.
    head = b"POST /v1/outcomes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    more = b"X-Forwarded-For: 10.%d.%d.%d\r\nContent-Length: %d\r\n\r\n" % (*os.urandom(3), len(body))
    connection.sendall(head + more + body)


def _accepted(connection: socket.socket) -> int:
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data or not data.rstrip().endswith(b"}"):
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    if b" 202 " not in head.split(b"\r\n", 1)[0] + b" ":
        raise ConnectionError(f"the server answered {data[:300]!r}")
    return int(json.loads(body)["accepted"])

"""What a request costs the registry: requests per second, and processor time of the server per request.

Starts ``headway server run`` on loopback over a fresh folder, asks it a bounded number of times over a few connections
that stay open, and reads from the kernel how much processor time the server's processes used meanwhile. Processor time
per request is the steady figure; requests per second depend on what else the machine does (the load itself too).
nginx serving the same file is measured in the same run where it is installed.

Run: ``python benchmarks/registry.py`` (about a minute). Writes ``benchmarks/results/registry.md``. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "registry.md"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CONNECTIONS = 8
TIMESTAMP = "/apps/bench/metadata/timestamp.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians over the runs of one request."""

    name: str
    per_s: float
    cpu_us: float


def cpu_s(pids: list[int]) -> float:
    """Processor time, user and system, of these processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def rss_bytes(pids: list[int]) -> int:
    """Resident memory of the largest of these processes."""
    return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * PAGE


def family(pid: int) -> list[int]:
    """A process and its children."""
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


def hammer(port: int, request: bytes, count: int) -> None:
    """Send one request ``count`` times over open connections, reading each answer to its end."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    size = 0
    for connection in sockets:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        size = read_answer(connection)
    for _ in range(max(0, count // CONNECTIONS - 1)):
        for connection in sockets:
            connection.sendall(request)
        for connection in sockets:
            left = size
            while left > 0:
                got = len(connection.recv(min(left, 1 << 20)))
                if got == 0:
                    raise ConnectionError("the server closed the connection")
                left -= got
    for connection in sockets:
        connection.close()


def read_answer(connection: socket.socket) -> int:
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


def measure(name: str, port: int, pids: list[int], request: bytes, count: int, runs: int) -> Figure:
    """Median rate and processor time per request over ``runs`` runs of ``count`` requests."""
    rates, costs = [], []
    hammer(port, request, 400)
    for _ in range(runs):
        before, started = cpu_s(pids), time.perf_counter()
        load = multiprocessing.get_context("fork").Process(target=hammer, args=(port, request, count))
        load.start()
        load.join()
        if load.exitcode != 0:
            raise SystemExit(f"the load for {name} failed")
        rates.append(count / (time.perf_counter() - started))
        costs.append((cpu_s(pids) - before) / count * 1e6)
    return Figure(name, statistics.median(rates), statistics.median(costs))


def get(path: str, *headers: str) -> bytes:
    """The bytes of a GET request."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode()


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def registry(data: Path) -> Iterator[tuple[int, list[int], str]]:
    """A server over ``data``: its port, its processes and the admin token."""
    port, log = free_port(), data.with_suffix(".log")
    environment = {**os.environ, "HEADWAY_SERVER_OUTCOMES_BURST": "10000000", "HEADWAY_SERVER_THREADS": "4"}
    command = [sys.executable, "-c", "from headway.cli.main import main; main()", "server", "run"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--data-dir", str(data), "--port", str(port)], stdout=out, stderr=out, env=environment
        )
    try:
        wait_for(port)
        token = re.search(r"hw_live_\S+", log.read_text())
        yield port, family(server.pid), token.group() if token else ""
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


@contextmanager
def nginx(public: Path, folder: Path) -> Iterator[tuple[int, list[int]] | None]:
    """nginx with one worker over the same tree; None where it is not installed."""
    program = shutil.which("nginx")
    if program is None:
        yield None
        return
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; sendfile on; keepalive_requests 1000000; server {{ listen 127.0.0.1:{port}; "
        f"root {public}; location / {{ add_header Cache-Control no-cache; }} }} }}\n"
    )
    server = subprocess.Popen([program, "-c", str(config), "-p", str(folder)])
    try:
        wait_for(port)
        yield port, family(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)


def wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


def etag_of(port: int, path: str) -> str:
    """The entity tag of a path."""
    return httpx2.get(f"http://127.0.0.1:{port}{path}").headers["etag"]


def publish(port: int, token: str, size: int) -> tuple[float, float]:
    """Seconds to upload a file of ``size`` bytes, and seconds to hash and copy it here (with fsync)."""
    data = os.urandom(size)
    digest = hashlib.sha256(data).hexdigest()
    started = time.perf_counter()
    answer = httpx2.put(
        f"http://127.0.0.1:{port}/v1/apps/bench/artifacts/sha256:{digest}",
        content=data,
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )
    upload_s = time.perf_counter() - started
    answer.raise_for_status()
    with tempfile.TemporaryFile() as copy:
        started = time.perf_counter()
        hashlib.sha256(data).hexdigest()
        copy.write(data)
        copy.flush()
        os.fsync(copy.fileno())
    return upload_s, time.perf_counter() - started


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8_000, help="requests per run")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from registry_world import Figures, fill, seed

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        figures = Figures()
        with registry(data) as (port, pids, token):
            artifact = seed(port, token)
            etag = etag_of(port, TIMESTAMP)
            cases = [
                ("poll, 304", get(TIMESTAMP, f"If-None-Match: {etag}")),
                ("poll, 200", get(TIMESTAMP)),
                ("artifact of 6 kB, 200 (Flask)", get(artifact)),
                ("artifact of 6 kB, 304 (Flask)", get(artifact, f"If-None-Match: {etag_of(port, artifact)}")),
                ("list heads (token, SELECT)", get("/v1/apps/bench/heads", f"Authorization: Bearer {token}")),
            ]
            for label, request in cases:
                count = options.requests if label.startswith("poll") else options.requests // 4
                figures.rows.append(measure(label, port, pids, request, count, options.runs))
            figures.idle_rss = rss_bytes(pids)
            figures.outcomes = fill(port, token, seconds=5.0, pids=pids)
            figures.publish = publish(port, token, 20_000_000)
            figures.publish_rss = rss_bytes(pids)
        figures.many_heads = many_heads(data, options.requests, options.runs)
        with nginx(data / "public", folder) as found:
            if found is not None:
                port, pids = found
                tag = etag_of(port, TIMESTAMP)
                for label, request in (
                    ("nginx, poll, 304", get(TIMESTAMP, f"If-None-Match: {tag}")),
                    ("nginx, poll, 200", get(TIMESTAMP)),
                ):
                    figures.rows.append(measure(label, port, pids, request, options.requests, options.runs))
    text = figures.render(options.requests, options.runs, platform.python_version())
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def many_heads(data: Path, requests: int, runs: int) -> list[Figure]:
    """The poll with 10 and with 10,000 head releases in the database."""
    from registry_world import add_heads

    found = []
    for total in (10, 10_000):
        add_heads(data, total)
        with registry(data) as (port, pids, _):
            request = get(TIMESTAMP, f"If-None-Match: {etag_of(port, TIMESTAMP)}")
            found.append(measure(f"poll, 304, {total:,} heads", port, pids, request, requests, runs))
    return found


if __name__ == "__main__":
    main()

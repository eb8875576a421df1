"""What a request costs the registry: requests per second, and processor time of the server per request.

Starts ``headway server run`` on loopback over fresh folders, asks it a bounded number of times over a few connections
that stay open, and reads from the kernel how much processor time the server's processes used meanwhile. Processor time
per request is the steady figure; requests per second depend on what else the machine does (the load itself too).
nginx with the same file, a registry with 10,000 heads and MLflow take their turns in the same rounds, where they are
installed; each of ours and nginx's also over one connection (a server that sleeps and wakes for every request) and over
many (one that never sleeps). Outcomes are reported to SQLite and to PostgreSQL.

Run: ``python benchmarks/registry.py`` (about three minutes; see ``registry_mlflow.py`` for ``--mlflow``). Writes
``benchmarks/results/registry.md``. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx2
from registry_load import MANY, NUMBER, Kept, Target, cpu_s, devices, family, get, measure, rss_bytes
from registry_mlflow import ALIAS, publish_headway, publish_mlflow, seed_mlflow
from registry_servers import ROOT, Running, mlflow, nginx, postgres, registry
from registry_table import Figures
from registry_world import add_base, add_heads, counted, reports, seed

RESULT = ROOT / "benchmarks" / "results" / "registry.md"
TIMESTAMP = "/apps/bench/metadata/timestamp.json"
UPLOAD_BYTES = 20_000_000


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000, help="requests per row and round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long outcomes are reported to each database")
    parser.add_argument("--mlflow", type=Path, help="Python of an environment with MLflow")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        polls_and_uploads(folder, options, figures)
        outcomes(folder, options.seconds, figures)
    text = figures.render(options.requests, options.rounds, platform.python_version())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def polls_and_uploads(folder: Path, options: argparse.Namespace, figures: Figures) -> None:
    """Everything that is asked of servers which run side by side."""
    with ExitStack() as stack:
        few = stack.enter_context(registry(folder / "few", threads="4"))
        many = stack.enter_context(registry(folder / "many", threads="4"))
        artifact = seed(few.port, few.token)
        seed(many.port, many.token)
        add_heads(sqlite(folder / "few"), 10)
        add_heads(sqlite(folder / "many"), 10_000)
        compared = _beside(stack, folder, options.requests)
        ml = None
        if options.mlflow is not None:
            ml = stack.enter_context(mlflow(options.mlflow, folder / "mlflow"))
            figures.mlflow_version = seed_mlflow(ml.port)
            compared.append(Target("MLflow, alias", ml.port, family(ml.pids[0]), get(ALIAS), 40))
        figures.polls = measure([*_polls(few, many, options.requests), *compared], options.rounds)
        figures.others = measure(_others(few, artifact, options.requests), 3)
        figures.idle_rss = rss_bytes(few.pids)
        figures.upload_s, figures.copy_s = upload(few, folder)
        file = folder / "base.bin"
        file.write_bytes(os.urandom(UPLOAD_BYTES))
        figures.published["Headway"] = publish_headway(few.port, few.token, file)
        if ml is not None:
            figures.published[f"MLflow {figures.mlflow_version}"] = publish_mlflow(options.mlflow, ml.port, file)
        figures.worked_rss = rss_bytes(few.pids)


def _polls(few: Running, many: Running, count: int) -> list[Target]:
    many_heads = _unchanged("poll, 304, 10,000 heads", many, count)
    new = _unchanged("poll, 304, each request new", few, count, f"X-Number: {NUMBER.decode()}")
    return [*_both("poll", few, count), _unchanged("poll, 304, 10 heads", few, count), many_heads, new]


def _beside(stack: ExitStack, folder: Path, count: int) -> list[Target]:
    """What a poll is compared with: the same of nginx."""
    web = stack.enter_context(nginx(folder / "few" / "public", folder))
    return [] if web is None else _both("nginx", web, count)


def _both(name: str, server: Running, count: int) -> list[Target]:
    unchanged, changed = _unchanged(f"{name}, 304", server, count), _changed(f"{name}, 200", server, count)
    loads = [(f"{name}, 304, {MANY} connections", MANY), (f"{name}, 304, 1 connection", 1)]
    return [unchanged, changed, *(replace(unchanged, name=told, connections=of) for told, of in loads)]


def _changed(name: str, server: Running, count: int) -> Target:
    return Target(name, server.port, server.pids, get(TIMESTAMP), count)


def _unchanged(name: str, server: Running, count: int, *more: str) -> Target:
    tag = httpx2.get(f"http://127.0.0.1:{server.port}{TIMESTAMP}").raise_for_status().headers["etag"]
    return Target(name, server.port, server.pids, get(TIMESTAMP, f"If-None-Match: {tag}", *more), count)


def _others(server: Running, artifact: str, requests: int) -> list[Target]:
    bearer = f"Authorization: Bearer {server.token}"
    rows = [
        ("artifact of 6 kB, 200", get(artifact), requests // 4),
        ("list heads (token, SELECT)", get("/v1/apps/bench/heads", bearer), requests // 20),
    ]
    return [Target(name, server.port, server.pids, request, count) for name, request, count in rows]


def upload(server: Running, folder: Path) -> tuple[float, float]:
    """Seconds to upload a file in one request, and seconds to hash and copy it beside the registry's (with fsync).

    Medians of nine of each in turn, over one connection that stays open, as a publisher's does.
    """
    url, headers = (
        f"http://127.0.0.1:{server.port}/v1/apps/bench/artifacts/",
        {"Authorization": f"Bearer {server.token}"},
    )
    sent, copied = [], []
    with httpx2.Client(headers=headers, timeout=120) as client:
        client.get(url + "sha256:" + "0" * 64)
        for _ in range(9):
            data = os.urandom(UPLOAD_BYTES)
            address = f"{url}sha256:{hashlib.sha256(data).hexdigest()}"
            started = time.perf_counter()
            client.put(address, content=data).raise_for_status()
            sent.append(time.perf_counter() - started)
            with tempfile.TemporaryFile(dir=folder) as copy:
                started = time.perf_counter()
                hashlib.sha256(data).hexdigest()
                copy.write(data)
                copy.flush()
                os.fsync(copy.fileno())
                copied.append(time.perf_counter() - started)
    return statistics.median(sent), statistics.median(copied)


def outcomes(folder: Path, seconds: float, figures: Figures) -> None:
    """Report outcomes to a registry on SQLite, then to one on PostgreSQL; count what is there afterwards."""
    data = folder / "reports"
    with registry(data, trusted_proxies="1") as server:
        figures.outcomes["SQLite"] = _reported(server, sqlite(data), None, seconds)
    with postgres(folder) as found:
        if found is not None:
            url, pids = found
            with registry(folder / "reports-pg", trusted_proxies="1", database_url=url) as server:
                figures.outcomes["PostgreSQL"] = _reported(server, url, pids[0], seconds)


def _reported(server: Running, url: str, database: int | None, seconds: float) -> Kept:
    """Load a registry with reports; ``database`` is the first process of a database that is not in the server."""
    seed(server.port, server.token)
    add_base(url)
    report = reports()
    warm = devices(server.port, report, 1.0, MANY)
    databases = [] if database is None else family(database)
    before, before_there = cpu_s(server.pids), cpu_s(databases)
    load = devices(server.port, report, seconds, MANY)
    server_us = (cpu_s(server.pids) - before) / load.devices * 1e6
    there_us = (cpu_s(databases) - before_there) / load.devices * 1e6
    rows, sums = counted(url)
    acknowledged = warm.accepted + load.accepted
    return Kept(load, server_us, there_us if databases else None, max(acknowledged - rows, acknowledged - sums))


def sqlite(data: Path) -> str:
    """The address of a data folder's database."""
    return f"sqlite:///{data / 'headway.db'}"


if __name__ == "__main__":
    main()

"""What ``benchmarks/registry.py`` fills a registry with, and how it writes its table."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from headway.contract.digests import digest_of
from headway.contract.features import FeatureContract
from headway.trust.keys import SigningKey
from headway.trust.online import OnlineKeys
from headway.trust.repository import Holders, TrustPlan, create_trust

if TYPE_CHECKING:
    from registry import Figure

CONTRACT = FeatureContract("features", (512,), "float32", "bench/1", digest_of(b"vocabulary"), 64)


@dataclass
class Figures:
    """All that was measured."""

    rows: list[Figure] = field(default_factory=list)
    many_heads: list[Figure] = field(default_factory=list)
    outcomes: tuple[float, float] = (0.0, 0.0)
    publish: tuple[float, float] = (0.0, 0.0)
    idle_rss: int = 0
    publish_rss: int = 0

    def render(self, requests: int, runs: int, python: str) -> str:
        """The page."""
        cores = os.cpu_count()
        lines = [
            "# Registry: what a request costs",
            "",
            f"`python benchmarks/registry.py`, Python {python}, {cores} cores shared with other work (load average"
            f" {os.getloadavg()[2]:.0f}, virtual machine, x86-64), one worker, {requests} requests a run over 8 open"
            f" loopback connections, median of {runs} runs. The load runs on the same cores; processor time is the"
            " server's alone.",
            "",
            "| request | requests/s | processor time, µs/request |",
            "|---|---:|---:|",
        ]
        lines += [f"| {r.name} | {r.per_s:,.0f} | {r.cpu_us:.1f} |" for r in self.rows + self.many_heads]
        cost = {r.name: r.cpu_us for r in self.rows}
        for status in ("304", "200"):
            if f"nginx, poll, {status}" in cost:
                ratio = cost[f"nginx, poll, {status}"] / cost[f"poll, {status}"]
                lines += ["", f"Poll {status}: {ratio * 100:.0f} % of nginx by processor time per request."]
        events_s, cpu_us = self.outcomes
        upload_s, copy_s = self.publish
        lines += [
            "",
            f"Outcomes on SQLite: {events_s:,.0f} events/s accepted in batches of 10 over 4 connections, none lost, "
            f"{cpu_us:.0f} µs/event.",
            "",
            f"Upload of a 20 MB file: {upload_s * 1000:.0f} ms; hashing and copying it with fsync:"
            f" {copy_s * 1000:.0f} ms (ratio {upload_s / copy_s:.2f}).",
            "",
            f"Memory of the largest process: {self.idle_rss / 1e6:.0f} MB before,"
            f" {self.publish_rss / 1e6:.0f} MB after the outcomes and the upload.",
            "",
        ]
        return "\n".join(lines)


def seed(port: int, token: str) -> str:
    """An app ``bench`` with trust and one 6 kB artifact; that artifact's address."""
    client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"})
    online = OnlineKeys.from_json(
        client.post("/v1/apps", json={"app": "bench"}).raise_for_status().json()["online_keys"]
    )
    keys = tuple(SigningKey.generate() for _ in range(3))
    holders = Holders(tuple(key.public for key in keys), 2)
    one = Holders((keys[0].public,))
    files = create_trust(TrustPlan("bench", holders, holders, one, {"kd": one}, online), keys, now=datetime.now(UTC))
    client.post("/v1/apps/bench/trust", json=_trust(files)).raise_for_status()
    data = os.urandom(6_000)
    client.put(f"/v1/apps/bench/artifacts/{digest_of(data)}", content=data).raise_for_status()
    return f"/apps/bench/artifacts/{digest_of(data)[7:]}"


def _trust(files: Any) -> dict[str, Any]:
    import base64

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    delegated = {role: text(data) for role, data in files.delegated.items()}
    return {"root": text(files.root), "targets": text(files.targets), "delegated": delegated}


def fill(port: int, token: str, seconds: float, pids: list[int]) -> tuple[float, float]:
    """Report outcomes of an embedded head for a while: events per second, and processor time per event in µs."""
    from registry import cpu_s

    base = _register_base(port, token)
    accepted, stop = [0] * 4, time.monotonic() + seconds

    def device(index: int) -> None:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while time.monotonic() < stop:
                events = [_event(base) for _ in range(10)]
                answer = client.post("/v1/outcomes", json={"app": "bench", "events": events}).raise_for_status()
                accepted[index] += answer.json()["accepted"]

    before = cpu_s(pids)
    threads = [threading.Thread(target=device, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    headers = {"Authorization": f"Bearer {token}"}
    counted = httpx2.get(f"http://127.0.0.1:{port}/v1/apps/bench/outcomes", headers=headers).json()["outcomes"]
    if sum(row["count"] for row in counted) != sum(accepted):
        raise SystemExit("events were lost")
    return sum(accepted) / seconds, (cpu_s(pids) - before) / sum(accepted) * 1e6


def _event(base: str) -> dict[str, Any]:
    head = digest_of(b"embedded")
    return {
        "schema": 1,
        "event": os.urandom(16).hex(),
        "kind": "personalised",
        "channel": "stable",
        "base": base,
        "name": "topic",
        "release": 0,
        "head": head,
        "gain": "1-5",
    }


def _register_base(port: int, token: str) -> str:
    """A base record without its model: the benchmark is about reports, not about examining models."""
    from headway_server.db.engine import SqlDatabase
    from headway_server.records import BaseRecord

    data = Path(_data_dir(port))
    package = digest_of(b"package")
    database = SqlDatabase(f"sqlite:///{data / 'headway.db'}")
    with database.write("bench") as tx:
        tx.releases.add_base(
            BaseRecord(
                "bench",
                "kd",
                "1",
                package,
                CONTRACT.digest,
                CONTRACT.to_json(),
                digest_of(b"m"),
                1,
                {},
                None,
                "benchmark",
                "registered",
                int(time.time()),
            )
        )
    database.close()
    return package


def _data_dir(port: int) -> str:
    """The data folder of the server that listens on ``port``, from its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "--data-dir" in words and str(port) in words:
                return words[words.index("--data-dir") + 1]
    raise SystemExit("no server found")


def add_heads(data: Path, total: int) -> None:
    """Bring the number of head releases in the database up to ``total``."""
    from headway_server.db.engine import SqlDatabase
    from headway_server.records import HeadRecord

    database = SqlDatabase(f"sqlite:///{data / 'headway.db'}")
    with database.write("bench") as tx:
        present = len(tx.releases.heads("bench"))
        for release in range(present + 1, total + 1):
            digest = digest_of(str(release).encode())
            tx.releases.add_head(
                HeadRecord(
                    "bench", "kd", "topic", release, digest, None, CONTRACT.digest, digest, ("a", "b"), digest, 6_000,
                    {}, None, "benchmark", "registered", int(time.time()),
                ),
                (),
            )  # fmt: skip
    database.close()

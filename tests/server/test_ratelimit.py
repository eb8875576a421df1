"""Limits that hold over all workers: in one database by many threads, and by real worker processes over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from headway.contract.problems import MEDIA_TYPE
from headway_server.app import Server, make_ports
from headway_server.catalog import tokens
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate
from headway_server.delivery.ratelimit import RateLimiter, forget_full, source_of
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor

from .backends import Backend, free_ports
from .world import PublisherWorld

SOURCES = text("SELECT key FROM rate_limits WHERE key NOT LIKE 'api/%'")


class Time:
    """Seconds that only move when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def limiter(server: Server, clock: Time, per_s: float = 10.0, burst: int = 40) -> RateLimiter:
    return RateLimiter(server.ports.database, server.ports.secret, "test", per_s, burst, clock=clock)


def granted(*limiters: RateLimiter, tries: int, source: str = "a") -> int:
    return sum(limiters[n % len(limiters)].wait_s(source) == 0 for n in range(tries))


def test_two_workers_share_one_bucket(server: Server) -> None:
    clock = Time()
    workers = [limiter(server, clock) for _ in range(2)]
    assert granted(*workers, tries=200) == 40
    assert 0 < workers[0].wait_s("a") <= 0.5
    assert granted(workers[0], tries=10, source="b") == 10  # another source has its own
    clock.now += 2.0
    assert granted(*workers, tries=200) == 20
    clock.now += 3600
    assert granted(*workers, tries=200) == 40


def test_many_threads_never_get_more(server: Server) -> None:
    clock = Time()
    workers = [limiter(server, clock, burst=100) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: workers[n % 4].wait_s("a") == 0, range(400)))
    assert 90 <= sum(done) <= 100  # a worker may end with units that it took and did not spend


def test_a_quiet_source_is_never_refused(server: Server) -> None:
    """A worker takes several units at once; what it does not spend must not add up against a slow source."""
    clock = Time()
    workers = [limiter(server, clock, per_s=10, burst=40) for _ in range(8)]
    for n in range(200):
        assert workers[n % 8].wait_s("a") == 0
        clock.now += 0.25


def test_a_hot_source_costs_few_writes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, writes = Time(), []
    one = RateLimiter(server.ports.database, server.ports.secret, "test", 50, 1000, clock=clock)
    real = server.ports.database.write
    monkeypatch.setattr(server.ports.database, "write", lambda *a: writes.append(1) or real(*a))
    assert granted(one, tries=1200) == 1000
    assert len(writes) <= 1000 / 25 + 2  # and the 200 refusals cost nothing more


def test_many_quiet_sources_cost_no_write(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, writes = Time(), []
    write = server.ports.database.write
    monkeypatch.setattr(server.ports.database, "write", lambda *a: (writes.append(1), write(*a))[1])
    one = RateLimiter(server.ports.database, server.ports.secret, "test", 50, 1000, unshared=20, clock=clock)
    assert not any(one.wait_s(f"source {n}") for n in range(500) for _ in range(3))
    assert writes == []
    # A busy one gets its own share, then what the shared bucket holds, and is then refused.
    granted = sum(one.wait_s("busy") == 0 for _ in range(1200))
    assert granted == 1020
    assert 0 < len(writes) < 70
    clock.now += 1000
    assert one.wait_s("busy") == 0


def test_no_address_is_stored_and_full_buckets_go(server: Server) -> None:
    clock = Time()
    one = limiter(server, clock)
    one.wait_s("203.0.113.7")
    engine = server.ports.database.engine  # type: ignore[attr-defined]
    with engine.connect() as connection:
        rows = connection.execute(SOURCES).all()
    assert len(rows) == 1
    assert "203.0.113.7" not in str(rows)
    forget_full(server.ports, clock.now + 120)
    with engine.connect() as connection:
        assert connection.execute(SOURCES).all() == []


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_what_counts_as_one_source(address: str, source: str) -> None:
    assert source_of(address) == source


def test_wrong_tokens_are_slowed_down_and_right_ones_are_not(server: Server, reader: PublisherWorld) -> None:
    wrong = {"Authorization": "Bearer hw_live_0000000000000000_" + "0" * 64}
    burst = server.ports.settings.login_failures_burst
    statuses = [reader.client.get("/v1/apps", headers=wrong).status_code for _ in range(burst + 5)]
    assert statuses == [401] * burst + [429] * 5
    refused = reader.client.get("/v1/apps", headers=wrong)
    assert refused.headers["content-type"] == MEDIA_TYPE
    assert 1 <= int(refused.headers["retry-after"]) <= 6
    assert refused.json()["code"] == "rate_limited"
    # Whoever shares the address and has a good token is not shut out.
    assert reader.client.get("/v1/apps", headers=reader.headers).status_code == 200
    # The sign-in page is no way around it.
    assert reader.client.post("/console/sign-in", data={"token": "x"}).status_code == 429


@pytest.fixture
def workers(backend: Backend, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two real worker processes over one database; their address, and a token."""
    settings = backend.settings
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = SqlDatabase(settings.resolved_database_url)
    migrate(database.engine)
    ports = make_ports(settings, database=database, examiner=AbsentExaminer())
    token = tokens.create(ports, Actor("test", "-"), app=None, scopes=("admin",))[1]
    database.close()
    secret = settings.s3_secret_access_key.get_secret_value()
    given = json.loads(settings.model_dump_json(exclude={"s3_secret_access_key"}))
    limits = {"api_per_s": 0.5, "api_burst": 40, "login_failures_burst": 10, "webhook_every_s": 0}
    values = {**given, **limits, "s3_secret_access_key": secret}
    environment = {f"HEADWAY_SERVER_{name.upper()}": str(value) for name, value in values.items()}
    (port,) = free_ports(1)
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-c", "from headway.cli.main import main; main()", "server", "run", "--data-dir",
         str(settings.data_dir), "--port", str(port), "--workers", "2"],
        env={**os.environ, **environment}, stdout=log, stderr=log,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while not _up(url):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield url, token
    finally:
        process.terminate()
        process.wait(timeout=120)


def _up(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/healthz", timeout=60).status == 200
    except (OSError, urllib.error.URLError):
        return False


def test_two_real_processes_share_the_limit(workers: tuple[str, str]) -> None:
    url, token = workers
    headers = {"Authorization": f"Bearer {token}"}
    began = time.time()

    def ask(_: int) -> tuple[int, dict[str, str]]:
        # A connection of its own each time, so that the kernel spreads them over the workers.
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        try:
            connection.request("GET", "/v1/apps", headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(120)))
    took_s = time.time() - began
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 429}
    # One process alone would grant this many; two that each counted for themselves would grant twice the burst.
    assert 40 <= statuses.count(200) <= 40 + 0.5 * (took_s + 1)
    refused = next(given for status, given in answers if status == 429)
    assert refused["content-type"] == MEDIA_TYPE
    assert int(refused["retry-after"]) >= 1

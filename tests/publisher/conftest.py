"""A real registry in this process, and a publisher with real keys. Needs the extra ``server``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("flask_openapi", reason="needs the extra server")
pytest.importorskip("stamina", reason="needs the extra publish")

import httpx2

from headway.publisher.http import Retries
from headway.publisher.registry import Registry
from headway_server.app import create_app, make_ports
from headway_server.catalog import tokens
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor
from headway_server.settings import Settings

APP = "reader"
BASE_ID = "kd"
FAST = Retries(attempts=3, wait_initial_s=0.0, wait_max_s=0.0, timeout_s=5.0)


class Clock:
    """A clock that server and publisher share."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> int:
        return int(self.now.timestamp())

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Flaky(httpx2.BaseTransport):
    """A network that can lose requests before they arrive, or answers on their way back."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner
        self.lose_request: Callable[[httpx2.Request], bool] = lambda request: False
        self.lose_answer: Callable[[httpx2.Request], bool] = lambda request: False
        self.sent: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.lose_request(request):
            raise httpx2.ConnectError("lost", request=request)
        self.sent.append(f"{request.method} {request.url.path}")
        response = self._inner.handle_request(request)
        if self.lose_answer(request):
            response.close()
            raise httpx2.ReadError("lost", request=request)
        return response


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def network(tmp_path: Path, clock: Clock) -> Iterator[Flaky]:
    """A fresh registry behind a network."""
    settings = Settings(data_dir=tmp_path / "data")
    database = SqlDatabase(settings.resolved_database_url)
    migrate(database.engine)
    ports = make_ports(settings, clock=clock.seconds, database=database, examiner=AbsentExaminer())
    _, token = tokens.create(ports, Actor("test", "test"), app=None, scopes=["read", "publish", "release", "admin"])
    flaky = Flaky(httpx2.WSGITransport(app=create_app(ports).wsgi))
    flaky.token = token  # type: ignore[attr-defined]
    yield flaky
    database.close()


@pytest.fixture
def registry(network: Flaky) -> Iterator[Registry]:
    """An administrator's client of an app that does not exist yet."""
    token: str = network.token  # type: ignore[attr-defined]
    with Registry("http://registry.invalid", token, app=APP, transport=network, retries=FAST) as client:
        yield client

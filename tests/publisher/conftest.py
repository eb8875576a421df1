"""A real registry in this process, and a publisher with real keys. Needs the extra ``server``."""

from __future__ import annotations

import shutil
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
FAST = Retries(attempts=3, wait_initial_s=0.0, wait_max_s=0.0, timeout_s=300.0)


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
    """A network that can lose requests before they arrive, or answers on their way back, or put forged ones in."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner
        self.lose_request: Callable[[httpx2.Request], bool] = lambda request: False
        self.lose_answer: Callable[[httpx2.Request], bool] = lambda request: False
        self.forged: dict[str, bytes] = {}
        self.sent: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.lose_request(request):
            raise httpx2.ConnectError("lost", request=request)
        if request.url.path in self.forged:
            return httpx2.Response(200, stream=httpx2.ByteStream(self.forged[request.url.path]))
        self.sent.append(f"{request.method} {request.url.path}")
        response = self._inner.handle_request(request)
        if self.lose_answer(request):
            response.close()
            raise httpx2.ReadError("lost", request=request)
        return response


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database, made once and copied by each test."""
    path = tmp_path_factory.mktemp("database") / "headway.db"
    database = SqlDatabase(f"sqlite:///{path}")
    migrate(database.engine)
    database.close()
    return path


@pytest.fixture
def network(tmp_path: Path, clock: Clock, empty_database: Path) -> Iterator[Flaky]:
    """A fresh registry behind a network."""
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    for file in empty_database.parent.iterdir():
        shutil.copy(file, settings.data_dir)
    database = SqlDatabase(settings.resolved_database_url)
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


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base release folder. Read-only: copy it before changing it."""
    pytest.importorskip("coremltools", reason="needs the extra sim")
    from .releases import base_release

    return base_release(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="session")
def heads(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two head release folders on that base."""
    from .releases import head_release

    folder = tmp_path_factory.mktemp("heads")
    return head_release(folder / "one", base, 1), head_release(folder / "two", base, 2)

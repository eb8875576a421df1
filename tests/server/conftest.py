"""The server under test, in process, over each backend: SQLite + folder always, PostgreSQL + S3 where they exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from headway_server.app import Server, create_app
from headway_server.catalog import tokens
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor, Ports
from headway_server.settings import Settings

from .backends import Backend, LocalBackend, RemoteBackend
from .world import FakeClock, PublisherWorld


@pytest.fixture(scope="session")
def remote_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteBackend]:
    """PostgreSQL and SeaweedFS of our own, started once per session and stopped after it."""
    backend = RemoteBackend(tmp_path_factory.mktemp("services"))
    try:
        backend.start()
        yield backend
    finally:
        backend.stop()


@pytest.fixture(
    params=[
        pytest.param("sqlite+filesystem"),
        pytest.param("postgresql+s3", marks=pytest.mark.slow),
    ]
)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Where the server keeps its things."""
    if request.param == "sqlite+filesystem":
        return LocalBackend(tmp_path)
    remote: RemoteBackend = request.getfixturevalue("remote_backend")
    return remote.fresh(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make_server(clock: FakeClock) -> Iterator[Callable[[Settings], Server]]:
    """Start servers over given settings; their databases are closed at the end."""
    opened: list[Ports] = []

    def make(settings: Settings) -> Server:
        from headway_server.app import make_ports
        from headway_server.db.engine import SqlDatabase
        from headway_server.db.migrate import migrate

        database = SqlDatabase(settings.resolved_database_url)
        migrate(database.engine)
        ports = make_ports(settings, clock=clock, database=database, examiner=AbsentExaminer())
        opened.append(ports)
        return create_app(ports)

    yield make
    for ports in opened:
        ports.database.close()  # type: ignore[attr-defined]


@pytest.fixture
def server(backend: Backend, make_server: Callable[[Settings], Server]) -> Server:
    """A fresh, empty server."""
    return make_server(backend.settings)


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """An HTTP client of the server, in process."""
    transport = httpx2.WSGITransport(app=server.wsgi)
    with httpx2.Client(transport=transport, base_url="http://registry.test") as opened:
        yield opened


@pytest.fixture
def admin(server: Server) -> str:
    """An admin token of the whole server."""
    return tokens.create(server.ports, Actor("test", "-"), app=None, scopes=("admin",))[1]


@pytest.fixture
def reader(client: httpx2.Client, admin: str, clock: FakeClock) -> PublisherWorld:
    """The publisher of an app ``reader`` whose trust is established."""
    world = PublisherWorld(client, admin, "reader", clock)
    answer = world.establish()
    assert answer.status_code == 201, answer.text
    return world


@pytest.fixture
def published(reader: PublisherWorld) -> PublisherWorld:
    """The same with a base and ``topic@1`` published."""
    reader.publish_base()
    reader.publish_head(1)
    return reader

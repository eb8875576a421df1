"""The server under test, in process, over each backend: SQLite + folder always, PostgreSQL + S3 where they exist.

A local server starts as a copy of one that was prepared once per session; a remote one is prepared by the same calls.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from headway_server.app import Server, create_app, make_ports
from headway_server.catalog import tokens
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor
from headway_server.settings import Settings

from .backends import Backend, RemoteBackend, local_backend
from .world import FakeClock, PublisherWorld

MakeServer = Callable[..., Server]


@dataclass(frozen=True)
class Prepared:
    """A server at a certain point: its data folder, and what its publisher knows."""

    folder: Path
    admin: str
    world: PublisherWorld


def start(settings: Settings, clock: FakeClock) -> Server:
    """A server over migrated settings, without the means to open models."""
    database = SqlDatabase(settings.resolved_database_url)
    migrate(database.engine)
    return create_app(make_ports(settings, clock=clock, database=database, examiner=AbsentExaminer()))


def connect(server: Server) -> httpx2.Client:
    """An in-process HTTP client."""
    return httpx2.Client(transport=httpx2.WSGITransport(app=server.wsgi), base_url="http://registry.test")


def prepare(server: Server, clock: FakeClock, *, publish: bool) -> tuple[str, PublisherWorld]:
    """Establish the app ``reader``; with ``publish`` also a base and ``topic@1``."""
    admin = tokens.create(server.ports, Actor("test", "-"), app=None, scopes=("admin",))[1]
    world = PublisherWorld(connect(server), admin, "reader", clock)
    answer = world.establish()
    assert answer.status_code == 201, answer.text
    if publish:
        world.publish_base()
        world.publish_head(1)
    return admin, world


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Prepared]:
    """Two local servers, prepared once: with trust only (False), with a base and a head (True)."""
    made = {}
    for publish in (False, True):
        folder = tmp_path_factory.mktemp("prepared") / "data"
        clock = FakeClock()
        server = start(Settings(data_dir=folder), clock)
        admin, world = prepare(server, clock, publish=publish)
        server.ports.database.close()  # type: ignore[attr-defined]
        made[publish] = Prepared(folder, admin, world)
    return made


@pytest.fixture(scope="session")
def remote_backend() -> Iterator[RemoteBackend]:
    """PostgreSQL and SeaweedFS of our own, started once per session and stopped after it."""
    backend = RemoteBackend()
    try:
        backend.start()
        yield backend
    finally:
        backend.stop()


@pytest.fixture(params=["sqlite+filesystem", pytest.param("postgresql+s3", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Where the server keeps its things."""
    if request.param == "sqlite+filesystem":
        return local_backend(tmp_path)
    remote: RemoteBackend = request.getfixturevalue("remote_backend")
    return remote.fresh(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make_server(clock: FakeClock) -> Iterator[MakeServer]:
    """Start servers over given settings; their databases are closed at the end."""
    opened: list[Server] = []

    def make(settings: Settings) -> Server:
        opened.append(start(settings, clock))
        return opened[-1]

    yield make
    for server in opened:
        server.ports.database.close()  # type: ignore[attr-defined]


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    backend: Backend,
    prepared: dict[bool, Prepared],
    make_server: MakeServer,
    clock: FakeClock,
) -> tuple[Server, str, PublisherWorld]:
    """A server, an admin token, and the publisher of ``reader``; published if the test asks for that."""
    publish = "published" in request.fixturenames
    if not backend.local:
        server = make_server(backend.settings)
        admin, world = prepare(server, clock, publish=publish)
        return server, admin, world
    template = prepared[publish]
    shutil.copytree(template.folder, backend.settings.data_dir)
    server = make_server(backend.settings)
    world = PublisherWorld(connect(server), template.admin, "reader", clock)
    world.files, world.packages = template.world.files, dict(template.world.packages)
    return server, template.admin, world


@pytest.fixture
def server(world: tuple[Server, str, PublisherWorld]) -> Server:
    return world[0]


@pytest.fixture
def admin(world: tuple[Server, str, PublisherWorld]) -> str:
    """An admin token of the whole server."""
    return world[1]


@pytest.fixture
def client(world: tuple[Server, str, PublisherWorld]) -> httpx2.Client:
    """An HTTP client of the server, in process."""
    return world[2].client


@pytest.fixture
def reader(world: tuple[Server, str, PublisherWorld]) -> PublisherWorld:
    """The publisher of an app ``reader`` whose trust is established."""
    return world[2]


@pytest.fixture
def published(world: tuple[Server, str, PublisherWorld]) -> PublisherWorld:
    """The same with a base and ``topic@1`` published."""
    return world[2]

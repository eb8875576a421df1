"""Killed at every point of an upload in parts: nothing half is public, and sending the file again finishes it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from headway.contract.digests import digest_of
from headway_server.app import Server, make_ports
from headway_server.catalog import upload_parts, uploads
from headway_server.examining import AbsentExaminer
from headway_server.maintenance.gc import sweep
from headway_server.ports import Actor, Ports
from headway_server.publication.layout import artifact_path
from headway_server.settings import Settings
from headway_server.storage.s3 import S3Store

from . import mortal
from .backends import Backend
from .mortal import Tripwire
from .world import FakeClock, PublisherWorld

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
ACTOR = Actor("test", "-")
CHANGES = frozenset({"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"})


@pytest.fixture
def backend(backend: Backend) -> Backend:
    """Small parts where the storage allows them."""
    part_bytes = 1024 if backend.local else 5 * 2**20
    return Backend(backend.settings.model_copy(update={"upload_part_bytes": part_bytes}), backend.local)


def send(ports: Ports, data: bytes) -> None:
    """What a publisher does, all of it, again from the beginning."""
    digest = digest_of(data)
    state = upload_parts.begin(ports, ACTOR, "reader", digest, len(data))
    for part in state.missing:
        content = data[part.offset : part.offset + part.size]
        halves = (content[: part.size // 2], content[part.size // 2 :])
        upload_parts.receive_part(ports, "reader", digest, part.number, part.size, halves)
    upload_parts.complete(ports, ACTOR, "reader", digest)


def arm(ports: Ports, wire: Tripwire) -> None:
    """Trip before every change of the disk, every request to the bucket and every commit."""
    event.listen(ports.database.engine, "commit", wire)  # type: ignore[attr-defined]
    if isinstance(ports.store, S3Store):
        ports.store.client.meta.events.register("before-call.s3", lambda **_: wire())
        return

    def changing(name: str, arguments: tuple[object, ...]) -> None:
        opens_to_write = name == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if name in CHANGES or opens_to_write:
            wire()

    sys.addaudithook(changing)


def in_child(settings: Settings, data: bytes, at: int) -> int | None:
    """Send ``data`` in a process that dies at point ``at``; how many points there were if it lived."""

    def sent(wire: Tripwire) -> None:
        ports = make_ports(settings, clock=FakeClock(), examiner=AbsentExaminer())
        arm(ports, wire)
        send(ports, data)

    return mortal.in_child(sent, at)


def test_killed_at_every_point(server: Server, backend: Backend, reader: PublisherWorld, clock: FakeClock) -> None:
    ports, size = server.ports, backend.settings.upload_part_bytes + 100
    for at, point in mortal.points_of(lambda at: in_child(backend.settings, os.urandom(size), at), least=8):
        data = os.urandom(size)
        digest, path = digest_of(data), artifact_path("reader", digest_of(data))
        assert in_child(backend.settings, data, at) is None, point
        assert ports.store.read(path) in (None, data), point
        if uploads.find(ports, "reader", digest) is not None:
            assert ports.store.read(path) == data
        send(ports, data)
        assert ports.store.read(path) == data
        stored = uploads.find(ports, "reader", digest)
        assert stored is not None
        assert stored.size == size
    # What the dead processes left behind goes with garbage collection, all of it.
    clock.forward(50 * 365 * 86_400)  # beyond the time at which this really runs
    sweep(ports)
    assert ports.staging.strays(frozenset(), 2**40) == ()
    if backend.local:
        left = [p for p in (Path(backend.settings.data_dir) / "public" / ".incoming").rglob("*") if p.is_file()]
        assert left == []

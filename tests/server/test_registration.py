"""Registering bases: two at once are told apart by the database; and provenance where the registry insists on it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway_server.app import Server, create_app
from headway_server.catalog.bases import BaseUpload, register
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor, Examined, Ports
from headway_server.settings import Settings

from .backends import Backend
from .conftest import MakeServer, connect, prepare
from .world import VOCABULARY, FakeClock, PublisherWorld, base_files, manifest_of

ACTOR = Actor("test", "-")


class Meeting(AbsentExaminer):
    """Lets nobody go on before all have been examined: each has then seen a registry without the other's base."""

    def __init__(self, parties: int) -> None:
        super().__init__()
        self.barrier = Barrier(parties)

    def validate(self, path: Any) -> Examined:
        self.barrier.wait(timeout=60)
        return super().validate(path)


def at_once(server: Server, uploads: list[BaseUpload]) -> list[object]:
    """Register all at the same moment: whether each was new, or the code of its refusal."""
    ports: Ports = replace(server.ports, examiner=Meeting(len(uploads)))

    def one(upload: BaseUpload) -> object:
        try:
            return register(ports, ACTOR, "reader", upload)[1]
        except RefusedError as error:
            return error.code

    with ThreadPoolExecutor(len(uploads)) as pool:
        return [job.result() for job in [pool.submit(one, upload) for upload in uploads]]


def upload_of(reader: PublisherWorld, version: str, files: dict[str, bytes]) -> BaseUpload:
    """A base whose files are in the registry."""
    for data in files.values():
        assert reader.upload(data).status_code in (200, 201)
    manifest = manifest_of("base", "reader", "kd", version, files)
    return BaseUpload("kd", version, manifest.to_bytes(), None)


def test_the_same_base_twice_at_once(server: Server, reader: PublisherWorld) -> None:
    """The same request sent again before the first was answered: one is kept, both are content."""
    upload = upload_of(reader, "1", base_files("a"))
    assert sorted(at_once(server, [upload] * 3), key=str) == [False, False, True]
    assert len(reader.call("GET", "/bases").json()["bases"]) == 1


@pytest.mark.parametrize(
    ("versions", "markers"),
    [(("1", "1"), ("a", "b")), (("1", "2"), ("a", "a"))],
    ids=["two contents under one version", "one package under two versions"],
)
def test_two_bases_that_exclude_each_other(
    server: Server, reader: PublisherWorld, versions: tuple[str, str], markers: tuple[str, str]
) -> None:
    pairs = zip(versions, markers, strict=True)
    uploads = [upload_of(reader, version, base_files(marker)) for version, marker in pairs]
    assert sorted(at_once(server, uploads), key=str) == [True, "immutable_release"]
    (kept,) = reader.call("GET", "/bases").json()["bases"]
    assert kept["manifest"] in {digest_of(upload.manifest) for upload in uploads}
    loser = next(u for u in uploads if digest_of(u.manifest) != kept["manifest"])
    with pytest.raises(RefusedError) as caught:
        register(server.ports, ACTOR, "reader", loser)
    assert caught.value.code == "immutable_release"


@pytest.fixture
def insisting(backend: Backend, make_server: MakeServer, clock: FakeClock) -> PublisherWorld:
    """The publisher of a registry that insists on provenance."""
    server = make_server(Settings(**{**dict(backend.settings), "require_provenance": True}))
    return prepare(server, clock, publish=False)[1]


def test_provenance_where_it_is_required(insisting: PublisherWorld) -> None:
    assert insisting.register_base(provenance=None).json()["code"] == "no_provenance"
    insisting.publish_base()
    assert insisting.register_head(insisting.draft_head(1), provenance=None).json()["code"] == "no_provenance"
    insisting.publish_head(1)


def test_provenance_where_it_is_not(server: Server, reader: PublisherWorld) -> None:
    assert reader.register_base(provenance=None).status_code == 201
    settings = server.ports.settings.model_copy(update={"require_provenance": True})
    stricter = create_app(replace(server.ports, settings=settings))
    world = PublisherWorld(connect(stricter), reader.headers["Authorization"].split()[1], "reader", reader.clock)
    assert world.register_base(version="2", provenance=None).status_code == 422


@pytest.mark.parametrize(
    ("vocabulary", "code"),
    [
        (VOCABULARY + b"##x\n", "contract_mismatch"),
        (VOCABULARY.replace(b"[UNK]\n", b""), "vocabulary"),
        (b"\xff\xfe", "vocabulary"),
        (b"", "vocabulary"),
        (b"x" * (2 * 1024 * 1024 + 1), "too_large"),
    ],
)
def test_a_base_with_another_vocabulary_than_its_contract_names(
    server: Server, reader: PublisherWorld, vocabulary: bytes, code: str
) -> None:
    """Nothing of it is kept, however the publisher came here: not every publisher uses our SDK."""
    files = {**base_files("other"), "vocab.txt": vocabulary}
    assert at_once(server, [upload_of(reader, "1", files)]) == [code]
    lost = {path: data for path, data in files.items() if path != "vocab.txt"}
    assert at_once(server, [upload_of(reader, "1", lost)]) == ["missing_file"]
    assert reader.call("GET", "/bases").json()["bases"] == []
    assert at_once(server, [upload_of(reader, "1", base_files("other"))]) == [True]

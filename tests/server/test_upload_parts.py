"""Large files in parts: continued after whatever broke, public only once their hash was computed here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from headway.contract.digests import Digest, digest_of, hex_of
from headway.contract.errors import RefusedError, TransferError
from headway_server.app import Server
from headway_server.catalog import tokens
from headway_server.maintenance.gc import sweep
from headway_server.ports import Actor
from headway_server.publication.layout import artifact_path
from headway_server.settings import Settings
from headway_server.upload_record import UploadRecord

from .backends import Backend
from .conftest import MakeServer, connect, prepare
from .world import FakeClock, PublisherWorld

MIB = 2**20


class Sender:
    """A publisher who sends one file in parts."""

    def __init__(self, world: PublisherWorld, data: bytes, digest: Digest | None = None) -> None:
        self.world, self.data, self.digest = world, data, digest or digest_of(data)
        self.path = f"/uploads/{self.digest}"

    def begin(self, size: int | None = None) -> httpx2.Response:
        body = {"digest": self.digest, "size": len(self.data) if size is None else size}
        return self.world.call("POST", "/uploads", json=body)

    def missing(self) -> list[int]:
        answer = self.world.call("GET", self.path)
        assert answer.status_code == 200, answer.text
        return [part["number"] for part in answer.json()["missing"]]

    def send(self, part: dict[str, Any], data: bytes | None = None) -> httpx2.Response:
        whole = self.data if data is None else data
        content = whole[part["offset"] : part["offset"] + part["size"]]
        return self.world.call("PUT", f"{self.path}/parts/{part['number']}", content=content)

    def complete(self) -> httpx2.Response:
        return self.world.call("POST", f"{self.path}/complete")

    def public(self) -> httpx2.Response:
        return self.world.client.get(f"/apps/{self.world.app}/artifacts/{hex_of(self.digest)}")


@pytest.fixture
def backend(request: pytest.FixtureRequest, backend: Backend) -> Backend:
    """Small parts where the storage allows them."""
    changed = backend.settings.model_copy(update={"upload_part_bytes": 1024 if backend.local else 5 * MIB})
    return Backend(changed, backend.local)


@pytest.fixture
def sender(reader: PublisherWorld, backend: Backend) -> Sender:
    """A file of four parts, the last one short."""
    part = backend.settings.upload_part_bytes
    return Sender(reader, os.urandom(3 * part + 100))


def left_in(server: Server) -> list[tuple[str, str]]:
    """What the storage keeps of uploads that nobody knows."""
    return list(server.ports.staging.strays(frozenset(), 2**40))


def test_in_parts(server: Server, sender: Sender) -> None:
    begun = sender.begin()
    state = begun.json()
    assert (begun.status_code, state["parts"], state["stored"]) == (201, 4, False)
    assert [part["number"] for part in state["missing"]] == [1, 2, 3, 4]
    for part in reversed(state["missing"]):
        assert sender.public().status_code == 404
        assert sender.send(part).status_code == 200
        assert sender.send(part).status_code == 200
    assert sender.missing() == []
    assert sender.public().status_code == 404
    done = sender.complete()
    assert (done.status_code, done.json()["new"]) == (201, True)
    assert sender.public().content == sender.data
    assert sender.public().headers["cache-control"].endswith("immutable")
    assert (sender.complete().status_code, sender.complete().json()["new"]) == (200, False)
    assert sender.begin().json()["stored"] is True
    assert sender.world.call("HEAD", f"/artifacts/{sender.digest}").status_code == 200
    assert sender.world.call("GET", "/uploads").json() == {"uploads": []}
    assert left_in(server) == []


def test_a_lost_publisher_finds_his_upload_by_digest(sender: Sender) -> None:
    first = sender.begin().json()
    sender.send(first["missing"][1])
    again = sender.begin()
    assert again.status_code == 200
    assert [part["number"] for part in again.json()["missing"]] == [1, 3, 4]
    assert again.json()["part_bytes"] == first["part_bytes"]


def test_two_begin_at_once(server: Server, sender: Sender) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = [job.result() for job in [pool.submit(sender.begin) for _ in range(4)]]
    assert sorted({answer.status_code for answer in answers}) in ([200, 201], [201])
    assert len(sender.world.call("GET", "/uploads").json()["uploads"]) == 1
    assert len(left_in(server)) == 1


def test_two_complete_at_once(sender: Sender) -> None:
    for part in sender.begin().json()["missing"]:
        sender.send(part)
    with ThreadPoolExecutor(3) as pool:
        answers = [job.result() for job in [pool.submit(sender.complete) for _ in range(3)]]
    assert {answer.status_code for answer in answers} <= {200, 201, 404, 503}, [a.text for a in answers]
    assert any(answer.status_code == 201 for answer in answers)
    assert sender.complete().status_code == 200
    assert sender.public().content == sender.data


def test_completed_by_somebody_else_between_two_looks(
    server: Server, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the upload was still there, its parts no more: nothing is missing."""
    for part in sender.begin().json()["missing"]:
        sender.send(part)
    real = server.ports.staging.parts

    def parts(record: UploadRecord) -> Mapping[int, int]:
        monkeypatch.undo()
        assert sender.complete().status_code == 201
        return real(record)

    monkeypatch.setattr(server.ports.staging, "parts", parts)
    done = sender.complete()
    assert (done.status_code, done.json()["new"]) == (200, False)
    assert sender.public().content == sender.data


def test_nobody_writes_while_the_whole_is_hashed(server: Server, sender: Sender, backend: Backend) -> None:
    """A part that is still arriving holds the end up; one that comes after it finds no upload."""
    if not backend.local:
        pytest.skip("a bucket takes no part once they are joined: test_straight_to_the_bucket")
    parts = sender.begin().json()["missing"]
    for part in parts:
        sender.send(part)
    with server.ports.database.read() as tx:
        record = tx.uploads.get("reader", sender.digest)
    assert record is not None
    size = record.bytes_of(1)

    def slow() -> Iterator[bytes]:
        yield bytes(size // 2)
        assert sender.complete().json()["code"] == "parts_missing"
        with pytest.raises(TransferError, match="working on this upload"):
            server.ports.staging.finish(record, artifact_path("reader", sender.digest))
        yield bytes(size - size // 2)

    server.ports.staging.put_part(record, 1, size, slow())
    assert sender.public().status_code == 404
    sender.send(parts[0])
    assert sender.complete().status_code == 201
    with pytest.raises(RefusedError, match="no such upload"):
        server.ports.staging.put_part(record, 1, size, [bytes(size)])
    assert sender.public().content == sender.data


def test_not_before_all_parts_are_there(sender: Sender) -> None:
    state = sender.begin().json()
    for part in state["missing"][:3]:
        sender.send(part)
    refused = sender.complete()
    assert (refused.status_code, refused.json()["code"]) == (409, "parts_missing")
    assert refused.json()["data"]["first"] == 4
    assert sender.public().status_code == 404


def test_wrong_bytes_end_the_upload(server: Server, sender: Sender) -> None:
    wrong = sender.data[:-1] + bytes([sender.data[-1] ^ 1])
    for part in sender.begin().json()["missing"]:
        assert sender.send(part, wrong).status_code == 200
    refused = sender.complete()
    assert (refused.status_code, refused.json()["code"]) == (422, "digest_mismatch")
    assert sender.public().status_code == 404
    assert sender.world.call("GET", sender.path).status_code == 404
    assert left_in(server) == []
    assert [e["action"] for e in sender.world.call("GET", "/audit").json()["events"]][:2] == [
        "upload.refuse",
        "upload.begin",
    ]


@pytest.mark.parametrize("change", [-1, 1])
def test_parts_of_another_length(sender: Sender, change: int) -> None:
    part = sender.begin().json()["missing"][0]
    refused = sender.send({**part, "size": part["size"] + change})
    assert (refused.status_code, refused.json()["code"]) == (422, "size_mismatch")
    assert sender.missing()[0] == 1


def test_part_that_is_no_part(sender: Sender) -> None:
    sender.begin()
    assert sender.world.call("PUT", f"{sender.path}/parts/5", content=b"x").json()["code"] == "no_such_part"
    assert sender.world.call("PUT", f"{sender.path}/parts/0", content=b"x").status_code == 422


def test_what_was_never_begun(sender: Sender) -> None:
    for method, path in (("GET", ""), ("PUT", "/parts/1"), ("POST", "/complete"), ("DELETE", "")):
        answer = sender.world.call(method, sender.path + path, content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_upload"), method


def test_another_size_for_the_same_digest(sender: Sender) -> None:
    sender.begin()
    refused = sender.begin(size=5)
    assert (refused.status_code, refused.json()["code"]) == (409, "size_mismatch")


def test_given_up(server: Server, sender: Sender) -> None:
    sender.send(sender.begin().json()["missing"][0])
    assert sender.world.call("DELETE", sender.path).status_code == 200
    assert sender.world.call("DELETE", sender.path).status_code == 404
    assert left_in(server) == []
    assert [part["number"] for part in sender.begin().json()["missing"]] == [1, 2, 3, 4]


def test_expired_uploads_go(server: Server, sender: Sender, clock: FakeClock) -> None:
    sender.send(sender.begin().json()["missing"][0])
    clock.forward(86_000)
    sender.begin()
    clock.forward(86_000)
    assert sweep(server.ports, dry_run=True)[0].uploads == ()
    clock.forward(1000)
    assert sweep(server.ports, dry_run=True)[0].uploads == (sender.digest,)
    assert sender.missing() == [2, 3, 4]
    assert sweep(server.ports)[0].uploads == (sender.digest,)
    assert left_in(server) == []
    assert sender.world.call("GET", sender.path).status_code == 404


def test_parts_that_nobody_knows_go(server: Server, sender: Sender, clock: FakeClock) -> None:
    """A process died between making room for an upload and writing it down."""
    handle = server.ports.staging.begin("0" * 32)
    sender.send(sender.begin().json()["missing"][0])
    sweep(server.ports)
    assert len(left_in(server)) == 2
    clock.forward(50 * 365 * 86_400)  # beyond the time at which this really runs
    with server.ports.database.write("reader") as tx:
        tx.uploads.extend("reader", sender.digest, clock() + 1000)
    sweep(server.ports)
    assert ("0" * 32, handle) not in left_in(server)
    assert sender.missing() == [2, 3, 4]


def test_bounded(backend: Backend, make_server: MakeServer, clock: FakeClock) -> None:
    """What uploads under way announce is bounded for each app; expired ones make room by themselves."""
    small = {"uploads_max_bytes": 10_000, "artifact_max_bytes": 9_000}
    server = make_server(Settings(**{**dict(backend.settings), **small}))
    _, world = prepare(server, clock, publish=False)
    first, second = (Sender(world, os.urandom(6_000)) for _ in range(2))
    assert Sender(world, bytes(9_001)).begin().json()["code"] == "too_large"
    assert first.begin().status_code == 201
    refused = second.begin()
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_uploads")
    assert first.begin().status_code == 200
    clock.forward(90_000)
    assert second.begin().status_code == 201
    assert len(left_in(server)) == 1


def test_only_publishers_of_the_app(server: Server, sender: Sender, clock: FakeClock) -> None:
    sender.begin()
    reading = tokens.create(server.ports, Actor("test", "-"), app="reader", scopes=("read",))[1]
    for token in (reading,):
        headers = {"Authorization": f"Bearer {token}"}
        answer = sender.world.client.get(f"/v1/apps/reader/uploads/{sender.digest}", headers=headers)
        assert answer.status_code == 403
    other = PublisherWorld(connect(server), sender.world.headers["Authorization"].split()[1], "other", clock)
    other.establish()
    assert other.call("GET", sender.path).status_code == 404


def test_straight_to_the_bucket(server: Server, sender: Sender, backend: Backend) -> None:
    """Parts past the registry by signed addresses; what comes out of the bucket is hashed before it is public."""
    parts = sender.begin().json()["missing"]
    if backend.local:
        assert {part["url"] for part in parts} == {None}
        return
    first = parts[0]
    content = sender.data[first["offset"] : first["offset"] + first["size"]]
    assert httpx2.put(first["url"], content=content + b"x").status_code >= 400
    assert httpx2.put(first["url"].replace("partNumber=1", "partNumber=2"), content=content).status_code == 403
    for part in parts:
        content = sender.data[part["offset"] : part["offset"] + part["size"]]
        sent = httpx2.put(part["url"], content=content)
        assert sent.status_code == 200, sent.text
    assert sender.missing() == []
    assert sender.public().status_code == 404
    assert sender.complete().status_code == 201
    assert sender.public().content == sender.data
    late = httpx2.put(first["url"], content=bytes(first["size"]))
    assert late.status_code >= 400
    assert sender.public().content == sender.data
    assert left_in(server) == []


def test_the_same_part_twice_straight_to_the_bucket(sender: Sender, backend: Backend) -> None:
    """Some buckets lose pieces then: the upload is either whole, or given up with nothing public."""
    if backend.local:
        pytest.skip("a folder has no signed addresses")
    for part in sender.begin().json()["missing"] * 2:
        content = sender.data[part["offset"] : part["offset"] + part["size"]]
        assert httpx2.put(part["url"], content=content).status_code == 200
    done = sender.complete()
    if done.status_code == 503:
        assert done.json()["code"] == "upload_damaged"
        assert sender.public().status_code == 404
        for part in sender.begin().json()["missing"]:
            assert sender.send(part).status_code == 200
        done = sender.complete()
    assert done.status_code == 201, done.text
    assert sender.public().content == sender.data


def test_wrong_bytes_straight_to_the_bucket(server: Server, sender: Sender, backend: Backend) -> None:
    if backend.local:
        pytest.skip("a folder has no signed addresses")
    for part in sender.begin().json()["missing"]:
        assert httpx2.put(part["url"], content=bytes(part["size"])).status_code == 200
    refused = sender.complete()
    assert (refused.status_code, refused.json()["code"]) == (422, "digest_mismatch")
    assert sender.public().status_code == 404
    assert server.ports.store.paths("apps/reader/artifacts/") == ()
    assert left_in(server) == []


def test_without_signed_addresses(backend: Backend, make_server: MakeServer, clock: FakeClock) -> None:
    server = make_server(Settings(**{**dict(backend.settings), "s3_presigned_uploads": False}))
    _, world = prepare(server, clock, publish=False)
    sender = Sender(world, os.urandom(backend.settings.upload_part_bytes + 5))
    for part in sender.begin().json()["missing"]:
        assert part["url"] is None
        assert sender.send(part).status_code == 200
    assert sender.complete().status_code == 201
    assert sender.public().content == sender.data

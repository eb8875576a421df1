"""The publisher's large files: in parts above a size, continued wherever they were cut off, with true progress."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway.contract.errors import RefusedError, TransferError
from headway.publisher import uploads
from headway.publisher.http import ApiClient
from headway.publisher.registry import Registry
from headway.publisher.uploads import Uploader
from headway_server.settings import Settings

from .conftest import APP, FAST, Flaky

PART = 1024
DATA = os.urandom(5 * PART + 100)
DIGEST = digest_of(DATA)
PATH = f"/v1/apps/{APP}/uploads/{DIGEST}"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_SERVER_UPLOAD_PART_BYTES", str(PART))
    assert Settings().upload_part_bytes == PART


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def publisher(network: Flaky) -> Iterator[Registry]:
    """A publisher who sends everything from 2 KiB on in parts."""
    token: str = network.token  # type: ignore[attr-defined]
    with Registry(
        "http://registry.invalid", token, app=APP, transport=network, retries=FAST, resumable_bytes=2048
    ) as client:
        client.create_app()
        yield client


def parts_sent(network: Flaky) -> list[int]:
    """Which parts arrived at the registry, in order."""
    return [int(line.rpartition("/")[2]) for line in network.sent if line.startswith(f"PUT {PATH}/parts/")]


def send(publisher: Registry, file: Path, told: list[int] | None = None) -> bool:
    return publisher.upload_file(DIGEST, len(DATA), file, on_sent=None if told is None else told.append)


def test_in_parts(publisher: Registry, network: Flaky, file: Path) -> None:
    told: list[int] = []
    assert send(publisher, file, told) is True
    assert parts_sent(network) == [1, 2, 3, 4, 5, 6]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, len(DATA))
    assert publisher.has_artifact(DIGEST)
    network.sent.clear()
    assert send(publisher, file, told) is False
    assert parts_sent(network) == []


def test_small_files_go_at_once(publisher: Registry, network: Flaky, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"x" * 2047)
    told: list[int] = []
    assert publisher.upload_file(digest_of(b"x" * 2047), 2047, small, on_sent=told.append) is True
    assert network.sent[-1].startswith(f"PUT /v1/apps/{APP}/artifacts/")
    assert told == [2047]


@pytest.mark.parametrize("at", range(1, 9))
def test_cut_off_at_any_request_and_sent_again(publisher: Registry, network: Flaky, file: Path, at: int) -> None:
    """The connection breaks for good; another process later sends the same file: only what lacks goes again."""
    passed = 0

    def lost(_: httpx2.Request) -> bool:
        nonlocal passed
        passed += 1
        return passed > at

    network.lose_request = lost
    with pytest.raises(TransferError):
        send(publisher, file)
    before = parts_sent(network)
    network.lose_request = lambda request: False
    network.sent.clear()
    told: list[int] = []
    token: str = network.token  # type: ignore[attr-defined]
    with Registry(
        "http://registry.invalid", token, app=APP, transport=network, retries=FAST, resumable_bytes=2048
    ) as again:
        assert again.upload_file(DIGEST, len(DATA), file, on_sent=told.append)
    assert sorted(before + parts_sent(network)) == [1, 2, 3, 4, 5, 6]
    assert told[-1] == len(DATA)


@pytest.mark.parametrize("lose", ["request", "answer"])
def test_every_other_request_is_lost(publisher: Registry, network: Flaky, file: Path, lose: str) -> None:
    count = 0

    def lost(request: httpx2.Request) -> bool:
        nonlocal count
        count += 1
        return count % 2 == 1

    setattr(network, f"lose_{lose}", lost)
    assert send(publisher, file) is True
    network.lose_request = network.lose_answer = lambda request: False
    assert publisher.has_artifact(DIGEST)


def test_a_file_that_changed_meanwhile(publisher: Registry, file: Path) -> None:
    file.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(RefusedError) as caught:
        send(publisher, file)
    assert caught.value.code == "digest_mismatch"
    assert not publisher.has_artifact(DIGEST)
    file.write_bytes(DATA)
    assert send(publisher, file) is True


def test_nothing_arrives_any_more(publisher: Registry, network: Flaky, file: Path) -> None:
    network.lose_request = lambda request: request.url.path.endswith("/parts/3")
    with pytest.raises(TransferError):
        send(publisher, file)
    assert set(parts_sent(network)) == {1, 2}
    tries = len([line for line in network.sent if line == f"POST /v1/apps/{APP}/uploads"])
    assert tries <= uploads.MAX_STALLS + 1


class Bucket(BaseHTTPRequestHandler):
    """Takes parts like a bucket, and remembers who sent what; refuses after ``takes`` of them."""

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        takes = len(self.server.parts) < self.server.takes  # type: ignore[attr-defined]
        if takes:
            self.server.parts[int(self.path.rpartition("/")[2])] = data  # type: ignore[attr-defined]
        self.send_response(200 if takes else 403)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def bucket() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Bucket)
    server.parts, server.seen, server.takes = {}, [], 100  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class Signing(httpx2.BaseTransport):
    """A registry that sends publishers to a bucket: it knows a part when the bucket has it or it came directly."""

    def __init__(self, bucket: HTTPServer) -> None:
        self.bucket, self.direct, self.done = bucket, {}, False  # type: ignore[var-annotated]

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/complete"):
            self.done = True
        elif request.method == "PUT":
            self.direct[int(request.url.path.rpartition("/")[2])] = b"".join(request.stream)  # type: ignore[arg-type]
        have = {**self.bucket.parts, **self.direct}  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{self.bucket.server_port}/parts/"
        missing = [
            {"number": n, "offset": (n - 1) * PART, "size": min(PART, len(DATA) - (n - 1) * PART), "url": f"{url}{n}"}
            for n in range(1, 7)
            if n not in have
        ]
        value = {"stored": self.done, "missing": missing, "missing_count": len(missing), "part_bytes": PART}
        return httpx2.Response(200, json=value)


@pytest.mark.parametrize("takes", [100, 2, 0])
def test_straight_to_the_bucket_or_through_the_registry(bucket: HTTPServer, file: Path, takes: int) -> None:
    """A bucket that stops answering is passed by; the token never goes there."""
    bucket.takes = takes  # type: ignore[attr-defined]
    registry = Signing(bucket)
    api = ApiClient("http://registry.invalid", "hw_test_secret", transport=registry, retries=FAST)
    uploader = Uploader(api, "v1/apps/reader", resumable_bytes=1)
    assert uploader.send(DIGEST, len(DATA), file, lambda _: None) is True
    uploader.close()
    have = {**bucket.parts, **registry.direct}  # type: ignore[attr-defined]
    assert b"".join(have[n] for n in range(1, 7)) == DATA
    assert len(bucket.parts) == min(takes, 6)  # type: ignore[attr-defined]
    for headers in bucket.seen:  # type: ignore[attr-defined]
        assert "authorization" not in {name.lower() for name in headers}
        assert "hw_test_secret" not in str(headers)


def test_hex_address_of_the_stored_file(publisher: Registry, network: Flaky, file: Path) -> None:
    send(publisher, file)
    with httpx2.Client(transport=network, base_url="http://registry.invalid") as device:
        assert device.get(f"/apps/{APP}/artifacts/{hex_of(DIGEST)}").content == DATA

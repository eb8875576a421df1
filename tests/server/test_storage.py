"""One contract for every store: folder, S3, memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.contract.digests import Digest, digest_of
from headway.contract.errors import RefusedError, TransferError
from headway_server.app import make_store
from headway_server.ports import PublicStore
from headway_server.storage.filesystem import FilesystemStore
from headway_server.storage.memory import MemoryStore

DATA = bytes(range(256)) * 1000
DIGEST = digest_of(DATA)
PATH = "apps/reader/artifacts/" + DIGEST[7:]


@pytest.fixture(params=["filesystem", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PublicStore:
    match request.param:
        case "filesystem":
            return FilesystemStore(tmp_path / "public")
        case "memory":
            return MemoryStore()
        case _:
            return make_store(request.getfixturevalue("remote_backend").fresh(tmp_path).settings)


def chunks(data: bytes = DATA, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_put_and_read(store: PublicStore) -> None:
    assert store.put(PATH, DIGEST, len(DATA), chunks()) is True
    assert store.read(PATH) == DATA
    assert store.size(PATH) == len(DATA)


def test_putting_again_reads_nothing(store: PublicStore) -> None:
    store.put(PATH, DIGEST, len(DATA), chunks())

    def untouched() -> Iterator[bytes]:
        raise AssertionError("read again")
        yield b""

    assert store.put(PATH, DIGEST, len(DATA), untouched()) is False


@pytest.mark.parametrize(
    ("data", "size", "digest", "code"),
    [
        (DATA[:-1], len(DATA), DIGEST, "size_mismatch"),
        (DATA + b"x", len(DATA), DIGEST, "size_mismatch"),
        (DATA[:-1] + b"x", len(DATA), DIGEST, "digest_mismatch"),
        (DATA, len(DATA), digest_of(b"other"), "digest_mismatch"),
    ],
    ids=["truncated", "too long", "changed", "another digest"],
)
def test_wrong_bytes_leave_nothing(store: PublicStore, data: bytes, size: int, digest: Digest, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        store.put(PATH, digest, size, chunks(data))
    assert caught.value.code == code
    assert store.size(PATH) is None
    assert store.paths("apps/reader/") == ()


def test_a_broken_upload_leaves_nothing(store: PublicStore) -> None:
    def broken() -> Iterator[bytes]:
        yield DATA[:5000]
        raise ConnectionResetError

    with pytest.raises((ConnectionResetError, TransferError)):
        store.put(PATH, DIGEST, len(DATA), broken())
    assert store.size(PATH) is None


def test_an_endless_upload_is_cut(store: PublicStore) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1000

    with pytest.raises(RefusedError):
        store.put(PATH, DIGEST, 10_000, endless())
    assert sent < 20


def test_replace(store: PublicStore) -> None:
    path = "apps/reader/metadata/timestamp.json"
    store.replace(path, b"one")
    store.replace(path, b"two")
    assert store.read(path) == b"two"


def test_open_seeks(store: PublicStore) -> None:
    store.put(PATH, DIGEST, len(DATA), chunks())
    opened = store.open(PATH)
    assert opened is not None
    reader, size = opened
    with reader:
        assert size == len(DATA)
        reader.seek(300)
        assert reader.read(10) == DATA[300:310]
        reader.seek(size - 5)
        assert reader.read() == DATA[-5:]


def test_what_is_not_there(store: PublicStore) -> None:
    assert store.read(PATH) is None
    assert store.open(PATH) is None
    assert store.size(PATH) is None
    store.delete(PATH)


def test_paths_and_delete(store: PublicStore) -> None:
    for name in ("b", "a"):
        store.replace(f"apps/reader/metadata/1.{name}.json", b"{}")
    store.replace("apps/other/metadata/1.a.json", b"{}")
    assert store.paths("apps/reader/") == ("apps/reader/metadata/1.a.json", "apps/reader/metadata/1.b.json")
    store.delete("apps/reader/metadata/1.a.json")
    assert store.paths("apps/reader/") == ("apps/reader/metadata/1.b.json",)


@pytest.mark.parametrize(
    "path", ["../x", "apps/../../x", "/apps/a/b", "apps/a/.hidden", "apps/a\\b/c", "apps//a/b", ""]
)
def test_paths_stay_inside(store: PublicStore, path: str) -> None:
    with pytest.raises(RefusedError, match="path"):
        store.replace(path, b"x")


def test_a_full_disk_is_a_transfer_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    store = FilesystemStore(tmp_path / "public")
    store.replace("apps/reader/metadata/timestamp.json", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransferError) as caught:
        store.replace("apps/reader/metadata/timestamp.json", b"new")
    monkeypatch.undo()
    assert caught.value.code == "storage_failed"
    assert store.read("apps/reader/metadata/timestamp.json") == b"old"
    assert list((tmp_path / "public" / ".incoming").iterdir()) == []

"""Parts of large uploads on their way: in a folder beside the public tree, or in memory.

What always holds: nothing here is ever served, and only :meth:`finish` makes a public file, after hashing all of it.
In a folder the parts are written into their places in one file, so that nothing is written twice. Whoever writes holds
a shared lock on it, and whoever hashes and moves it an exclusive one, so nobody can change what was hashed; the system
releases the locks of a process that dies. A power cut may lose parts (they are not synced to disk one by one); the hash
finds that out.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headway.contract.errors import TransferError
from headway_server.storage.checking import bounded, checked, storage_failed
from headway_server.storage.filesystem import FilesystemStore, write_early
from headway_server.storage.memory import MemoryStore
from headway_server.upload_record import UploadRecord, gone

_BLOCK_BYTES = 1024 * 1024
_DATA = "data"
_ID = re.compile(r"[0-9a-f]{32}")


class FolderStaging:
    """See :class:`headway_server.ports.Staging`: one folder for each upload, with its file and a mark for each part."""

    min_part_bytes = 1

    def __init__(self, store: FilesystemStore) -> None:
        self._store = store
        self._root = store.incoming / "uploads"
        self._root.mkdir(parents=True, exist_ok=True)

    def begin(self, upload: str) -> str:
        """Make room."""
        (self._root / _checked(upload)).mkdir(exist_ok=True)
        return ""

    def put_part(self, upload: UploadRecord, number: int, size: int, chunks: Iterable[bytes]) -> None:
        """Keep a part."""
        folder = self._folder(upload)
        try:
            with _locked(folder / _DATA, os.O_WRONLY | os.O_CREAT, fcntl.LOCK_SH) as handle:
                (folder / str(number)).unlink(missing_ok=True)
                with os.fdopen(handle, "wb", closefd=False) as file:
                    file.seek(upload.offset(number))
                    write_early(file, bounded(chunks, size))
                (folder / str(number)).touch()
        except FileNotFoundError as error:
            raise gone() from error
        except OSError as error:
            raise storage_failed(error) from error

    def parts(self, upload: UploadRecord) -> Mapping[int, int]:
        """Sizes of the parts that are here."""
        try:
            found = [int(mark.name) for mark in self._folder(upload).iterdir() if mark.name.isdigit()]
        except FileNotFoundError:
            return {}
        return {number: upload.bytes_of(number) for number in found}

    def part_url(self, upload: UploadRecord, number: int, size: int) -> str | None:
        """None: parts come through the registry."""
        return None

    def finish(self, upload: UploadRecord, path: str) -> None:
        """Hash the file and move it to its public place."""
        if self._store.size(path) == upload.size:
            return
        source = self._folder(upload) / _DATA
        try:
            with _locked(source, os.O_RDWR, fcntl.LOCK_EX) as handle:
                with os.fdopen(handle, "rb", closefd=False) as file:
                    for _ in checked(iter(lambda: file.read(_BLOCK_BYTES), b""), upload.digest, upload.size):
                        pass
                self._store.adopt(source, handle, path)
        except FileNotFoundError as error:
            raise gone() from error
        except OSError as error:
            raise storage_failed(error) from error

    def discard(self, upload: str, handle: str) -> None:
        """Remove all parts."""
        shutil.rmtree(self._root / _checked(upload), ignore_errors=True)

    def strays(self, known: frozenset[str], older_than_s: float) -> tuple[tuple[str, str], ...]:
        """Folders of uploads that nobody knows."""
        found = (p for p in self._root.iterdir() if _ID.fullmatch(p.name) and p.name not in known)
        return tuple(sorted((p.name, "") for p in found if p.stat().st_mtime < older_than_s))

    def _folder(self, upload: UploadRecord) -> Path:
        return self._root / _checked(upload.id)


@contextmanager
def _locked(path: Path, flags: int, lock: int) -> Iterator[int]:
    """The file opened and locked; raises ``FileNotFoundError`` if it was moved away meanwhile."""
    handle = os.open(path, flags, 0o600)
    try:
        try:
            fcntl.flock(handle, lock | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransferError(
                "upload_busy",
                "Another request is working on this upload.",
                hint="Try again in a moment.",
                retry_after_s=1,
            ) from error
        if path.stat().st_ino != os.fstat(handle).st_ino:
            raise FileNotFoundError(path.name)
        yield handle
    finally:
        os.close(handle)


class MemoryStaging:
    """See :class:`headway_server.ports.Staging`: for tests and simulations that need no disk."""

    min_part_bytes = 1

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._parts: dict[str, dict[int, bytes]] = {}

    def begin(self, upload: str) -> str:
        """Make room."""
        self._parts.setdefault(upload, {})
        return ""

    def put_part(self, upload: UploadRecord, number: int, size: int, chunks: Iterable[bytes]) -> None:
        """Keep a part."""
        data = b"".join(bounded(chunks, size))
        if upload.id not in self._parts:
            raise gone()
        self._parts[upload.id][number] = data

    def parts(self, upload: UploadRecord) -> Mapping[int, int]:
        """Sizes of the parts that are here."""
        return {number: len(data) for number, data in self._parts.get(upload.id, {}).items()}

    def part_url(self, upload: UploadRecord, number: int, size: int) -> str | None:
        """None: parts come through the registry."""
        return None

    def finish(self, upload: UploadRecord, path: str) -> None:
        """Hash the parts into their public place."""
        parts = self._parts.get(upload.id, {})
        if set(parts) != set(upload.numbers()):
            raise gone()
        self._store.put(path, upload.digest, upload.size, (parts[number] for number in upload.numbers()))

    def discard(self, upload: str, handle: str) -> None:
        """Remove all parts."""
        self._parts.pop(upload, None)

    def strays(self, known: frozenset[str], older_than_s: float) -> tuple[tuple[str, str], ...]:
        """Uploads that nobody knows; memory has no past."""
        return tuple(sorted((upload, "") for upload in self._parts if upload not in known))


def _checked(upload: str) -> str:
    if not _ID.fullmatch(upload):
        raise ValueError("an upload is known by 32 hexadecimal digits")
    return upload

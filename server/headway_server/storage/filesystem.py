"""The public tree in a folder, so that any web server can serve it with this server stopped.

What always holds: a file appears under its name whole or not at all (temporary file in ``.incoming`` on the same
file system, fsync, rename, fsync of the folder), and nothing in ``.incoming`` is ever served.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from headway.contract.digests import Digest
from headway_server.storage.checking import checked, safe_path, storage_failed

_INCOMING = ".incoming"
_EARLY_BYTES = 1024 * 1024
_ADVISE = getattr(os, "posix_fadvise", None)


class FilesystemStore:
    """See :class:`headway_server.ports.PublicStore`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming = root / _INCOMING
        self.incoming.mkdir(parents=True, exist_ok=True)

    def put(self, path: str, digest: Digest, size: int, chunks: Iterable[bytes]) -> bool:
        """Store a file while hashing it; False if it was there."""
        target = self._at(path)
        if self.size(path) == size:
            return False
        self._write(target, checked(chunks, digest, size))
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file atomically."""
        self._write(self._at(path), (data,))

    def read(self, path: str) -> bytes | None:
        """A small file's bytes."""
        try:
            return self._at(path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def open(self, path: str) -> tuple[BinaryIO, int] | None:
        """A seekable reader and the size."""
        try:
            reader = self._at(path).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        return reader, os.fstat(reader.fileno()).st_size

    def size(self, path: str) -> int | None:
        """Size in bytes, or None."""
        target = self._at(path)
        return target.stat().st_size if target.is_file() else None

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._at(path).unlink(missing_ok=True)

    def paths(self, prefix: str) -> tuple[str, ...]:
        """All paths below a prefix, sorted."""
        folder = self.root / prefix
        return tuple(sorted(p.relative_to(self.root).as_posix() for p in folder.rglob("*") if p.is_file()))

    def sweep(self, older_than_s: float) -> int:
        """Remove temporary files last written before this time (seconds since 1970); how many there were."""
        removed = 0
        for stray in self.incoming.iterdir():
            if stray.is_file() and stray.stat().st_mtime < older_than_s:
                stray.unlink(missing_ok=True)
                removed += 1
        return removed

    def adopt(self, source: Path, handle: int, path: str) -> None:
        """Move a checked file of this file system, open as ``handle``, to its public place; raises as :meth:`put`."""
        try:
            os.fsync(handle)
            _place(source, self._at(path))
        except OSError as error:
            raise storage_failed(error) from error

    def _at(self, path: str) -> Path:
        return self.root / safe_path(path)

    def _write(self, target: Path, chunks: Iterable[bytes]) -> None:
        temporary: str | None = None
        try:
            handle, temporary = tempfile.mkstemp(dir=self.incoming)
            with os.fdopen(handle, "wb") as file:
                write_early(file, chunks)
                os.fsync(file.fileno())
            _place(Path(temporary), target)
            temporary = None
        except OSError as error:
            raise storage_failed(error) from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)


def _place(source: Path, target: Path) -> None:
    # Temporary files are private; other web servers must be able to read the tree.
    source.chmod(0o644)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    _sync_folder(target.parent)


def write_early(file: BinaryIO, chunks: Iterable[bytes]) -> None:
    """Write and let the system begin to store it meanwhile, so that the fsync at the end has little left to do.

    On Linux "not needed" starts the writing of dirty pages and drops none of them; elsewhere nothing happens.
    """
    begun = written = file.tell()
    for chunk in chunks:
        written += file.write(chunk)
        if _ADVISE is not None and written - begun >= _EARLY_BYTES:
            file.flush()
            _ADVISE(file.fileno(), begun, written - begun, os.POSIX_FADV_DONTNEED)
            begun = written
    file.flush()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

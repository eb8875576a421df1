"""The public tree in memory: for tests and simulations of a registry that need no disk."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import BinaryIO

from headway.contract.digests import Digest
from headway_server.storage.checking import checked, safe_path


class MemoryStore:
    """See :class:`headway_server.ports.PublicStore`."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def put(self, path: str, digest: Digest, size: int, chunks: Iterable[bytes]) -> bool:
        """Store a file while hashing it; False if it was there."""
        if self.size(path) == size:
            return False
        self._files[safe_path(path)] = b"".join(checked(chunks, digest, size))
        return True

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file atomically."""
        self._files[safe_path(path)] = bytes(data)

    def read(self, path: str) -> bytes | None:
        """A small file's bytes."""
        return self._files.get(safe_path(path))

    def open(self, path: str) -> tuple[BinaryIO, int] | None:
        """A seekable reader and the size."""
        data = self.read(path)
        return None if data is None else (io.BytesIO(data), len(data))

    def size(self, path: str) -> int | None:
        """Size in bytes, or None."""
        data = self.read(path)
        return None if data is None else len(data)

    def delete(self, path: str) -> None:
        """Remove a file."""
        self._files.pop(safe_path(path), None)

    def sweep(self, older_than_s: float) -> int:
        """Nothing is ever left behind here."""
        return 0

    def paths(self, prefix: str) -> tuple[str, ...]:
        """All paths below a prefix, sorted."""
        return tuple(sorted(path for path in self._files if path.startswith(prefix)))

"""Parts of large uploads on their way: in a folder beside the public tree, or in memory.

What always holds: a part appears under its number whole or not at all and never changes the file it is part of, and
nothing here is ever served. Only :meth:`finish` makes a public file, by the store's own ``put``: it is hashed once more
on the way, whatever happened to the parts. A power cut may lose parts (they are not synced to disk one by one); the
hash finds that out.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from headway_server.storage.checking import bounded, storage_failed
from headway_server.storage.filesystem import FilesystemStore
from headway_server.storage.memory import MemoryStore
from headway_server.upload_record import UploadRecord, gone

_BLOCK_BYTES = 1024 * 1024
_ID = re.compile(r"[0-9a-f]{32}")


class FolderStaging:
    """See :class:`headway_server.ports.Staging`: one folder for each upload, one file for each part."""

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
        folder, temporary = self._folder(upload), None
        try:
            handle, temporary = tempfile.mkstemp(dir=folder)
            with os.fdopen(handle, "wb") as file:
                for chunk in bounded(chunks, size):
                    file.write(chunk)
            Path(temporary).replace(folder / str(number))
            temporary = None
        except FileNotFoundError as error:
            raise gone() from error
        except OSError as error:
            raise storage_failed(error) from error
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def parts(self, upload: UploadRecord) -> Mapping[int, int]:
        """Sizes of the parts that are here."""
        try:
            return {int(p.name): p.stat().st_size for p in self._folder(upload).iterdir() if p.name.isdigit()}
        except FileNotFoundError:
            return {}

    def part_url(self, upload: UploadRecord, number: int, size: int) -> str | None:
        """None: parts come through the registry."""
        return None

    def finish(self, upload: UploadRecord, path: str) -> None:
        """Hash the parts into their public place."""
        try:
            self._store.put(path, upload.digest, upload.size, self._joined(upload))
        except FileNotFoundError as error:
            raise gone() from error

    def discard(self, upload: str, handle: str) -> None:
        """Remove all parts."""
        shutil.rmtree(self._root / _checked(upload), ignore_errors=True)

    def strays(self, known: frozenset[str], older_than_s: float) -> tuple[tuple[str, str], ...]:
        """Folders of uploads that nobody knows."""
        found = (p for p in self._root.iterdir() if _ID.fullmatch(p.name) and p.name not in known)
        return tuple(sorted((p.name, "") for p in found if p.stat().st_mtime < older_than_s))

    def _folder(self, upload: UploadRecord) -> Path:
        return self._root / _checked(upload.id)

    def _joined(self, upload: UploadRecord) -> Iterator[bytes]:
        for number in upload.numbers():
            with (self._folder(upload) / str(number)).open("rb") as part:
                while chunk := part.read(_BLOCK_BYTES):
                    yield chunk


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

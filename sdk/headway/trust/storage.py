"""Metadata files in a folder, never half-written: temp file, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
from pathlib import Path

from headway.contract.errors import DeviceStoreError

_TEMP_SUFFIX = ".tmp"


class FolderStorage:
    """A :class:`~headway.trust.ports.MetadataStorage` on the real file system.

    A temp file left by a kill is overwritten by the next write of the same name and never read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes | None:
        """The bytes of ``name``, or None if there is no such file."""
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _store_error("read", name, error) from error

    def write_atomic(self, name: str, data: bytes) -> None:
        """Write ``name`` durably.

        Raises:
            DeviceStoreError: code ``metadata_store``; the old bytes are still there.
        """
        path = self.folder / name
        temp = path.with_name(path.name + _TEMP_SUFFIX)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temp.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temp.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise _store_error("write", name, error) from error

    def remove(self, name: str) -> None:
        """Delete ``name`` if it is there."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _store_error("remove", name, error) from error


class MemoryStorage:
    """The same in memory: for a client that need not survive its process, and for tests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        """The bytes of ``name``, or None."""
        return self.files.get(name)

    def write_atomic(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``."""
        self.files[name] = data

    def remove(self, name: str) -> None:
        """Forget ``name``."""
        self.files.pop(name, None)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _store_error(action: str, name: str, error: OSError) -> DeviceStoreError:
    return DeviceStoreError(
        "metadata_store",
        f"Cannot {action} the metadata file {name[:80]} ({error.strerror}).",
        hint="Free some space or check the permissions of the metadata folder; what is installed keeps running.",
        name=name[:200],
    )

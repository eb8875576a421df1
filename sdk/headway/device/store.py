"""The crash-safe store of one head on one device: its record, the folders of its releases, its personal heads.

Layout under ``heads/<name>/``, all paths relative (an iOS container moves with app updates)::

    record.json               the state (headway.device.record), replaced in one step
    record.unreadable-<n>     records that could not be read, kept for a report (at most three)
    releases/<hex>/…          one folder per release, named by the digest of its manifest
    personal/<hex>.mlmodel    generations, named by digest

A release folder is written only while no slot points at it: the record names it as ``target`` first, which marks it
unusable, and as a slot only when all of it was verified. Nothing that a slot names is ever moved or rewritten.
Whatever no slot names is a stray, removed at start and when a slot lets go.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from typing import TypeVar

from headway.contract.digests import Digest, digest_of, hex_of
from headway.contract.errors import DeviceStoreError
from headway.device import record
from headway.device.files import remove_tree, walk, write_atomic
from headway.device.ports import FileSystem
from headway.device.state import DeviceState

MAX_ARCHIVED = 3
T = TypeVar("T")


def stored(action: str, path: str, work: Callable[[], T]) -> T:
    """``work()``, with ``OSError`` as our own error.

    Raises:
        DeviceStoreError: codes ``disk_full``, ``store_io``.
    """
    try:
        return work()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DeviceStoreError(
                "disk_full",
                f"Cannot {action} {path}: the disk is full.",
                hint="Free some space; what is installed keeps running and the work is tried again later.",
                path=path,
            ) from error
        raise DeviceStoreError(
            "store_io",
            f"Cannot {action} {path}: {error.strerror}.",
            hint="Check the app's folder; what is installed keeps running.",
            path=path,
        ) from error


class DeviceStore:
    """The files of one head. Every method raises ``DeviceStoreError`` (``disk_full``, ``store_io``), nothing else."""

    def __init__(self, files: FileSystem, name: str) -> None:
        self.files = files
        self.folder = f"heads/{name}"
        self.unreadable: DeviceStoreError | None = None

    def load(self) -> DeviceState | None:
        """The state as last saved; None if there is none, or it was unreadable and is now put aside.

        After the latter :attr:`unreadable` says why.
        """
        path = f"{self.folder}/record.json"
        data = stored("read", path, lambda: self.files.read(path))
        if data is None:
            return None
        try:
            return record.from_bytes(data)
        except DeviceStoreError as error:
            self.unreadable = error
            self._archive(path)
            return None

    def save(self, state: DeviceState) -> None:
        """Make ``state`` durable."""
        path = f"{self.folder}/record.json"
        stored("save", path, lambda: write_atomic(self.files, path, record.to_bytes(state)))

    def _archive(self, path: str) -> None:
        for number in range(MAX_ARCHIVED):
            target = f"{self.folder}/record.unreadable-{number}"
            if self.files.size(target) is None or number == MAX_ARCHIVED - 1:
                stored("archive", path, lambda to=target: self.files.rename(path, to))  # type: ignore[misc]
                stored("archive", path, lambda: self.files.sync_folder(self.folder))
                return

    # Releases -------------------------------------------------------------------------------------------------

    def release_folder(self, manifest: Digest) -> str:
        """Relative folder of a release."""
        return f"{self.folder}/releases/{hex_of(manifest)}"

    def write_release_file(self, manifest: Digest, path: str, data: bytes) -> None:
        """Write one file of a release that no slot names yet."""
        full = f"{self.release_folder(manifest)}/{path}"
        stored("write", full, lambda: write_atomic(self.files, full, data))

    def release_file(self, manifest: Digest, path: str) -> bytes | None:
        """One file of a release as it is on disk, unchecked."""
        full = f"{self.release_folder(manifest)}/{path}"
        return stored("read", full, lambda: self.files.read(full))

    def release_paths(self, manifest: Digest) -> tuple[str, ...]:
        """All files in the folder of a release."""
        folder = self.release_folder(manifest)
        return stored("list", folder, lambda: walk(self.files, folder))

    def remove_release(self, manifest: Digest) -> None:
        """Delete the folder of a release that no slot names."""
        folder = self.release_folder(manifest)
        stored("remove", folder, lambda: remove_tree(self.files, folder))

    # Generations ----------------------------------------------------------------------------------------------

    def write_generation(self, data: bytes) -> Digest:
        """Write a personal head; its digest is its name."""
        digest = digest_of(data)
        path = f"{self.folder}/personal/{hex_of(digest)}.mlmodel"
        stored("write", path, lambda: write_atomic(self.files, path, data))
        return digest

    def generation(self, head: Digest) -> bytes | None:
        """The bytes of a personal head; None if they are gone or not what the digest says."""
        path = f"{self.folder}/personal/{hex_of(head)}.mlmodel"
        data = stored("read", path, lambda: self.files.read(path))
        return data if data is not None and digest_of(data) == head else None

    # Strays ---------------------------------------------------------------------------------------------------

    def collect(self, keep: Collection[Digest]) -> int:
        """Remove every release and generation that ``keep`` does not name, and temp files; how many went."""
        names = {hex_of(digest) for digest in keep}
        removed = 0
        releases, personal = f"{self.folder}/releases", f"{self.folder}/personal"
        for name in stored("list", releases, lambda: self.files.names(releases)):
            if name.removesuffix("/") not in names:
                self._remove(f"{releases}/{name}")
                removed += 1
        for name in stored("list", personal, lambda: self.files.names(personal)):
            if name.removesuffix(".mlmodel") not in names or not name.endswith(".mlmodel"):
                self._remove(f"{personal}/{name}")
                removed += 1
        return removed

    def _remove(self, path: str) -> None:
        if path.endswith("/"):
            stored("remove", path, lambda: remove_tree(self.files, path.removesuffix("/")))
        else:
            stored("remove", path, lambda: self.files.remove(path))

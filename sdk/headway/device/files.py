"""The real file system behind the port, and the two composites that everything durable goes through."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from headway.device.ports import FileSystem, Lock

TEMP_SUFFIX = ".tmp"


def write_atomic(files: FileSystem, path: str, data: bytes) -> None:
    """Replace ``path`` so that a crash at any moment leaves the old content or the new one, durably.

    Temp file in the same folder, its content synced, renamed, the folder synced. Raises ``OSError``.
    """
    folder = parent(path)
    if folder:
        files.make_folder(folder)
    temp = path + TEMP_SUFFIX
    files.write(temp, data)
    files.sync(temp)
    files.rename(temp, path)
    files.sync_folder(folder)


def remove_tree(files: FileSystem, folder: str) -> None:
    """Delete a folder with all it holds. Raises ``OSError``."""
    for name in files.names(folder):
        inside = f"{folder}/{name}"
        if name.endswith("/"):
            remove_tree(files, inside.removesuffix("/"))
        else:
            files.remove(inside)
    files.remove_folder(folder)


def walk(files: FileSystem, folder: str, prefix: str = "") -> tuple[str, ...]:
    """Relative paths of all files under ``folder``, sorted by name within each folder."""
    found: list[str] = []
    for name in files.names(folder):
        if name.endswith("/"):
            found.extend(walk(files, f"{folder}/{name[:-1]}", prefix + name))
        else:
            found.append(prefix + name)
    return tuple(found)


def parent(path: str) -> str:
    """The folder of ``path``; ``""`` for the root."""
    return path.rpartition("/")[0]


class _FileLock:
    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class RealFileSystem:
    """A folder on disk. The folder is private to the app (mode 0700)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def read(self, path: str) -> bytes | None:
        """The whole content, or None."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def size(self, path: str) -> int | None:
        """Size in bytes, or None."""
        try:
            return (self.root / path).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> tuple[str, ...]:
        """Sorted names; folders end in ``/``; links are shown as files, so that they are removed, never followed."""
        try:
            with os.scandir(self.root / folder) as entries:
                found = [e.name + "/" if e.is_dir(follow_symlinks=False) else e.name for e in entries]
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(sorted(found))

    def write(self, path: str, data: bytes) -> None:
        """Create or overwrite a file."""
        (self.root / path).write_bytes(data)

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file."""
        with (self.root / path).open("ab") as file:
            file.write(data)

    def sync(self, path: str) -> None:
        """``fsync`` of a file."""
        self._fsync(self.root / path)

    def rename(self, source: str, target: str) -> None:
        """``rename(2)``."""
        (self.root / source).replace(self.root / target)

    def sync_folder(self, folder: str) -> None:
        """``fsync`` of a folder."""
        self._fsync(self.root / folder)

    def make_folder(self, folder: str) -> None:
        """Create a folder and its parents, and make their names durable."""
        missing: list[Path] = []
        path = self.root / folder
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True, mode=0o700)
            self._fsync(new.parent)

    def remove(self, path: str) -> None:
        """Delete a file or link."""
        (self.root / path).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Delete an empty folder."""
        try:
            (self.root / folder).rmdir()
        except FileNotFoundError:
            return

    def free_bytes(self) -> int:
        """Free bytes of the volume."""
        return shutil.disk_usage(self.root).free

    def lock(self, path: str) -> Lock | None:
        """``flock(2)``: the kernel releases it when the process dies."""
        handle = os.open(self.root / path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return _FileLock(handle)

    @staticmethod
    def _fsync(path: Path) -> None:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

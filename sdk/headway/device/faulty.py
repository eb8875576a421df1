"""A file system in memory that forgets what was not synced, and fails where it is told: for fleets and tests.

It models what a phone's file system promises and no more: content is durable after ``sync``, names after
``sync_folder``, a rename is one step. A :class:`Fault` names the n-th change and what happens there. After a crash
the file system refuses everything until :meth:`MemoryFileSystem.restart`, which shows what survived.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

from headway.device.files import parent
from headway.device.ports import Lock

MOMENTS = ("before", "middle", "after")
SURVIVALS = ("synced", "written", "torn")


class Crash(BaseException):
    """The process is gone. Not an ``Exception``: nothing inside the process can catch its own death."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the ``at``-th change (from 0).

    ``moment``: the process dies ``before``, in the ``middle`` of or ``after`` it, or the disk is ``full`` from there
    on. ``survival``: of what was not synced, nothing survives (``synced``), all of it (``written``: the process was
    killed, the system lives on), or names survive with half of their content (``torn``).
    """

    at: int
    moment: str = "before"
    survival: str = "synced"


@dataclass(slots=True)
class _File:
    data: bytes = b""
    synced: bytes = b""


@dataclass(slots=True)
class _Held:
    system: MemoryFileSystem
    path: str

    def release(self) -> None:
        self.system.locks.pop(self.path, None) if self.system.locks.get(self.path) is self else None


@dataclass(slots=True)
class MemoryFileSystem:
    """See the module. ``changes`` counts changes; ``capacity`` is the disk in bytes."""

    capacity: int = 1 << 30
    fault: Fault | None = None
    changes: int = 0
    dead: bool = False
    files: dict[str, _File] = field(default_factory=dict)
    durable: dict[str, _File] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {""})
    durable_folders: set[str] = field(default_factory=lambda: {""})
    locks: dict[str, Lock] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    """What each change was, by number: to name a failing point."""

    def restart(self) -> None:
        """Start the machine again after a crash: what was not durable is gone, as the fault's survival says."""
        survival = self.fault.survival if self.fault is not None else "synced"
        if survival == "synced":
            self.folders = {f for f in self.durable_folders if self._reachable(f)}
            self.files = {p: f for p, f in self.durable.items() if parent(p) in self.folders}
            for file in self.files.values():
                file.data = file.synced
        elif survival == "torn":
            for file in self.files.values():
                if file.data != file.synced:
                    file.data = file.data[: (len(file.data) + 1) // 2]
        self.durable = dict(self.files)
        self.durable_folders = set(self.folders)
        for file in self.files.values():
            file.synced = file.data
        self.fault, self.dead, self.locks = None, False, {}

    def _reachable(self, folder: str) -> bool:
        return not folder or (parent(folder) in self.durable_folders and self._reachable(parent(folder)))

    def read(self, path: str) -> bytes | None:
        """The whole content, or None."""
        self._alive()
        file = self.files.get(path)
        return None if file is None else file.data

    def size(self, path: str) -> int | None:
        """Size in bytes, or None."""
        data = self.read(path)
        return None if data is None else len(data)

    def names(self, folder: str) -> tuple[str, ...]:
        """Sorted names; folders end in ``/``."""
        self._alive()
        prefix = folder + "/" if folder else ""
        found = [path.removeprefix(prefix) for path in self.files if parent(path) == folder]
        found += [f.removeprefix(prefix) + "/" for f in self.folders if f and parent(f) == folder]
        return tuple(sorted(found))

    def write(self, path: str, data: bytes) -> None:
        """Create or overwrite a file."""
        self._need_folder(path)
        if self._change(f"write {path}", len(data)):
            self._put(path, data[: len(data) // 2])
            self._die()
        self._put(path, data)
        self._after()

    def _put(self, path: str, data: bytes) -> None:
        old = self.files.get(path)
        if old is None:
            self.files[path] = _File(data)
        else:
            old.data = data

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file."""
        self._need_folder(path)
        before = self.read(path) or b""
        if self._change(f"append {path}", len(data)):
            self._put(path, before + data[: len(data) // 2])
            self._die()
        self._put(path, before + data)
        self._after()

    def sync(self, path: str) -> None:
        """Make content durable."""
        file = self._file(path)
        if self._change(f"sync {path}"):
            self._die()
        file.synced = file.data
        self._after()

    def rename(self, source: str, target: str) -> None:
        """One step: either name is complete."""
        self._file(source)
        self._need_folder(target)
        if self._change(f"rename {target}"):
            self._die()
        self.files[target] = self.files.pop(source)
        self._after()

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder durable."""
        if self._change(f"sync_folder {folder}"):
            self._die()
        self.durable = {p: f for p, f in self.durable.items() if parent(p) != folder}
        self.durable |= {p: f for p, f in self.files.items() if parent(p) == folder}
        self.durable_folders = {f for f in self.durable_folders if not f or parent(f) != folder}
        self.durable_folders |= {f for f in self.folders if f and parent(f) == folder}
        self._after()

    def make_folder(self, folder: str) -> None:
        """Create a folder and its parents, durably."""
        self._alive()
        parts = folder.split("/")
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            if path in self.folders:
                continue
            if self._change(f"make_folder {path}"):
                self._die()
            self.folders.add(path)
            self.durable_folders.add(path)
            self._after()

    def remove(self, path: str) -> None:
        """Delete a file."""
        self._alive()
        if path not in self.files:
            return
        if self._change(f"remove {path}"):
            self._die()
        del self.files[path]
        self._after()

    def remove_folder(self, folder: str) -> None:
        """Delete an empty folder."""
        self._alive()
        if folder not in self.folders:
            return
        if self.names(folder):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), folder)
        if self._change(f"remove_folder {folder}"):
            self._die()
        self.folders.discard(folder)
        self._after()

    def free_bytes(self) -> int:
        """What the capacity leaves; nothing on a full disk."""
        self._alive()
        if self._full():
            return 0
        return max(self.capacity - sum(len(f.data) for f in self.files.values()), 0)

    def lock(self, path: str) -> Lock | None:
        """Exclusive within this file system; a restart frees it."""
        self._alive()
        if path in self.locks:
            return None
        held = _Held(self, path)
        self.locks[path] = held
        return held

    def _alive(self) -> None:
        if self.dead:
            raise Crash

    def _full(self) -> bool:
        return self.fault is not None and self.fault.moment == "full" and self.changes > self.fault.at

    def _change(self, what: str, grows: int = 0) -> bool:
        """Count a change; die before it, say whether to die in its middle, or refuse it for want of space."""
        self._alive()
        number, fault = self.changes, self.fault
        self.changes += 1
        self.log.append(what)
        if grows and (self._full() or grows > self.free_bytes()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), what)
        if fault is None or number != fault.at:
            return False
        if fault.moment == "before":
            self._die()
        return fault.moment == "middle"

    def _after(self) -> None:
        if self.fault is not None and self.fault.moment == "after" and self.changes == self.fault.at + 1:
            self._die()

    def _die(self) -> None:
        self.dead = True
        raise Crash

    def _file(self, path: str) -> _File:
        self._alive()
        file = self.files.get(path)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return file

    def _need_folder(self, path: str) -> None:
        self._alive()
        if parent(path) not in self.folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

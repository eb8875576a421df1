"""What the device needs from the outside: files, time, chance, and the state of the phone.

Each port has a real implementation and a local twin for rehearsals; none is a mock.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Lock(Protocol):
    """A held lock."""

    def release(self) -> None:
        """Let another process have it. Releasing twice is harmless."""
        ...


class FileSystem(Protocol):
    """The few primitives the device writes with. Paths are relative, parts joined by ``/``; errors are ``OSError``.

    Nothing is durable before ``sync`` (content) and ``sync_folder`` (names): composites that get this right are
    :func:`headway.device.files.write_atomic` and the store.
    """

    def read(self, path: str) -> bytes | None:
        """The whole content, or None if there is no such file."""
        ...

    def size(self, path: str) -> int | None:
        """Size in bytes, or None if there is no such file."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Names in ``folder``, sorted; folders end in ``/``. Empty if there is no such folder."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Create or overwrite a file, without making it durable."""
        ...

    def append(self, path: str, data: bytes) -> None:
        """Add to the end of a file, created if need be, without making it durable."""
        ...

    def sync(self, path: str) -> None:
        """Make the content of a file durable."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Give a file another name, replacing what had it, in one step."""
        ...

    def sync_folder(self, folder: str) -> None:
        """Make the names in ``folder`` durable; ``""`` is the root."""
        ...

    def make_folder(self, folder: str) -> None:
        """Create a folder and its parents; nothing happens if it is there."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file; nothing happens if it is not there."""
        ...

    def remove_folder(self, folder: str) -> None:
        """Delete an empty folder; nothing happens if it is not there."""
        ...

    def free_bytes(self) -> int:
        """Bytes that can still be written."""
        ...

    def lock(self, path: str) -> Lock | None:
        """Take an exclusive lock, or None if another holder has it. A dead process holds nothing."""
        ...


class Clock(Protocol):
    """Wall time and elapsed time, both in seconds."""

    def now(self) -> float:
        """Seconds since 1970; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow, for durations."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()


def as_datetime(now_s: float) -> datetime:
    """``now_s`` as an aware UTC time, kept within what a ``datetime`` can hold (a broken clock may say anything)."""
    return datetime.fromtimestamp(min(max(now_s, 0.0), 253_402_300_000.0), UTC)


class Randomness(Protocol):
    """Chance: for the install id and for jitter."""

    def token(self, length: int) -> bytes:
        """``length`` unpredictable bytes."""
        ...

    def uniform(self) -> float:
        """A number in [0, 1)."""
        ...


class SystemRandomness:
    """The operating system's generator."""

    def token(self, length: int) -> bytes:
        """``length`` unpredictable bytes."""
        return secrets.token_bytes(length)

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbits(53) / 2**53


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the phone is doing now. ``thermal`` is Apple's scale: 0 nominal, 1 fair, 2 serious, 3 critical."""

    idle: bool = True
    charging: bool = True
    thermal: int = 0


class Power(Protocol):
    """Tells whether heavy work is welcome."""

    def conditions(self) -> Conditions:
        """The conditions at this moment."""
        ...


class AlwaysReady:
    """A device on a bench: idle, charging, cool."""

    def conditions(self) -> Conditions:
        """Always the same."""
        return Conditions()

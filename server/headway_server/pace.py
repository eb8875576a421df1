"""How slowly a client may send the body of a request before it is told 408 and its thread is free again.

What always holds: a body is read in bounded time. A pause longer than ``pause_s`` ends it, and so does a body that is
slower on the whole than ``bytes_per_s`` after the first ``pause_s``; only the time in which the server waits for the
client counts, never the time that the server needs itself.
"""

from __future__ import annotations

import io
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headway.contract.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

TOO_SLOW = "client_too_slow"
"""The code of the refusal; answered with 408."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The longest pause in seconds, and the least bytes per second after the first such pause."""

    pause_s: float
    bytes_per_s: float

    def left_s(self, received: int, waited_s: float) -> float:
        """Seconds that the server goes on waiting for a client that has sent so many bytes in so much waiting."""
        return min(self.pause_s, self.pause_s + received / self.bytes_per_s - waited_s)


class PacedSocket:
    """What the server reads a request from in place of its socket: each wait is kept to the pace."""

    def __init__(self, connection: socket.socket, pace: Pace) -> None:
        self._connection, self._pace = connection, pace
        self._received, self._waited_s = 0, 0.0
        self._limit: float | None = None
        self._over = False

    def recv(self, size: int) -> bytes:
        """What has come, at most ``size`` bytes; nothing at the end. Raises as :meth:`recv_into`."""
        piece = bytearray(size)
        return bytes(memoryview(piece)[: self.recv_into(memoryview(piece))])

    def recv_into(self, buffer: memoryview) -> int:
        """How many bytes have come into ``buffer``; 0 at the end.

        Raises:
            RefusedError: code ``client_too_slow``.
            TimeoutError: a limit was set with :meth:`settimeout` and is over; or it was refused before.
        """
        left = self._pace.left_s(self._received, self._waited_s)
        if self._over:
            raise TimeoutError
        if left <= 0:
            raise self._too_slow()
        began = time.monotonic()
        try:
            self._connection.settimeout(left if self._limit is None else min(left, self._limit))
            got = self._connection.recv_into(buffer)
        except TimeoutError as error:
            if self._limit is not None:
                raise
            raise self._too_slow() from error
        finally:
            self._waited_s += time.monotonic() - began
            # The answer is sent over the same socket.
            self._connection.settimeout(self._pace.pause_s)
        self._received += got
        return got

    def gettimeout(self) -> float | None:
        """The limit that the parser has set, or None."""
        return self._limit

    def settimeout(self, seconds: float | None) -> None:
        """Limit each wait further: the parser does so when it skips what nobody read."""
        self._limit = seconds

    def _too_slow(self) -> RefusedError:
        self._over = True
        return RefusedError(
            TOO_SLOW,
            "The request came too slowly.",
            hint="Send it again over a better connection; large files go up in parts, which can be sent one by one.",
        )


class PacedBody(io.RawIOBase):
    """A body of known length, read straight into the caller's buffer; ``begun`` has come already."""

    def __init__(self, source: PacedSocket, begun: bytes, length: int) -> None:
        super().__init__()
        self._source, self._begun, self._left = source, memoryview(begun), length

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` with what has come; 0 at the end of the body, and where the client broke off."""
        room = memoryview(buffer)[: self._left]
        if len(room) == 0:
            return 0
        if self._begun:
            got = min(len(room), len(self._begun))
            room[:got] = self._begun[:got]
            self._begun = self._begun[got:]
        else:
            got = self._source.recv_into(room)
        self._left -= got
        return got

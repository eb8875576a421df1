"""What the trusted client needs from the outside: a bounded fetcher and a crash-safe place for small files.

The caps are part of the contract, not a courtesy: a client that reads "until the end" can be held or filled by
anyone on the network path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer. ``body`` is complete and within the cap; header names are lower-case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str | None:
        """The entity tag, for ``If-None-Match`` next time."""
        return self.headers.get("etag")


class Fetcher(Protocol):
    """Gets one small file over the network."""

    def fetch(self, url: str, *, max_bytes: int, etag: str | None = None) -> Fetched:
        """Fetch ``url``; with ``etag``, conditionally (``If-None-Match``).

        Statuses 200, 304 (only if ``etag`` was given) and 4xx are returned; the implementation enforces a deadline
        for the whole transfer and stops reading at ``max_bytes`` of *decoded* body.

        Raises:
            TransferError: no answer, too slow, broken off, or 5xx and 429 (with ``retry_after_s``).
            UntrustedError: code ``too_large``; the body is longer than ``max_bytes``.
        """
        ...


class MetadataStorage(Protocol):
    """Keeps metadata files. A reader sees the old bytes or the new ones, never a mixture, also after power loss."""

    def read(self, name: str) -> bytes | None:
        """The bytes stored under ``name`` (parts joined by ``/``), or None."""
        ...

    def write_atomic(self, name: str, data: bytes) -> None:
        """Store ``data`` durably before returning.

        Raises:
            DeviceStoreError: the disk is full or broken; what was there before is still there.
        """
        ...

    def remove(self, name: str) -> None:
        """Forget ``name``; nothing happens if it is not there."""
        ...

"""What large uploads ask of the registry's memory; see :mod:`headway_server.repositories`."""

from __future__ import annotations

from typing import Protocol

from headway.contract.digests import Digest
from headway_server.upload_record import UploadRecord


class Uploads(Protocol):
    """Large uploads under way, at most one for each digest of an app."""

    def get(self, app: str, digest: Digest) -> UploadRecord | None:
        """The upload of this digest, or None."""

    def all(self, app: str) -> tuple[UploadRecord, ...]:
        """All uploads of an app, oldest first."""

    def ids(self) -> frozenset[str]:
        """The ids of all uploads of all apps, for garbage collection."""

    def announced_bytes(self, app: str) -> int:
        """How many bytes all uploads of an app announced together."""

    def add(self, record: UploadRecord) -> bool:
        """Add it; False if the app has one of that digest."""

    def extend(self, app: str, digest: Digest, expires_at: int) -> None:
        """Let it live longer."""

    def remove(self, app: str, upload: str) -> bool:
        """Forget it, by its id; False if it was not there."""

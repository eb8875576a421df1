"""Large uploads under way in SQL; see the protocol in :mod:`headway_server.repositories_uploads`."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update

from headway.contract.digests import Digest
from headway_server.db.rows import insert_new, many, one, values_of
from headway_server.db.tables_uploads import uploads
from headway_server.upload_record import UploadRecord


class SqlUploads:
    """Large uploads under way."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, app: str, digest: Digest) -> UploadRecord | None:
        """The upload of this digest."""
        return one(self._c, select(uploads).where(uploads.c.app == app, uploads.c.digest == digest), UploadRecord)

    def all(self, app: str) -> tuple[UploadRecord, ...]:
        """All uploads of an app, oldest first."""
        u = uploads.c
        return many(self._c, select(uploads).where(u.app == app).order_by(u.created_at, u.digest), UploadRecord)

    def ids(self) -> frozenset[str]:
        """The ids of all uploads of all apps."""
        return frozenset(str(row.id) for row in self._c.execute(select(uploads.c.id)))

    def announced_bytes(self, app: str) -> int:
        """How many bytes all uploads of an app announced together."""
        return int(self._c.execute(select(func.sum(uploads.c.size)).where(uploads.c.app == app)).scalar() or 0)

    def add(self, record: UploadRecord) -> bool:
        """Add it; False if the app has one of that digest."""
        return insert_new(self._c, uploads, [values_of(record)]) == 1

    def extend(self, app: str, digest: Digest, expires_at: int) -> None:
        """Let it live longer."""
        u = uploads.c
        self._c.execute(update(uploads).where(u.app == app, u.digest == digest).values(expires_at=expires_at))

    def remove(self, app: str, upload: str) -> bool:
        """Forget it, by its id; False if it was not there."""
        u = uploads.c
        return self._c.execute(delete(uploads).where(u.app == app, u.id == upload)).rowcount == 1

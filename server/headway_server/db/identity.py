"""Apps, tokens and the audit log in SQL; see the protocols in :mod:`headway_server.repositories`."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from headway_server.db import tables as t
from headway_server.db.rows import insert_new, many, one, values_of
from headway_server.records import AppRecord, AuditRecord, TokenRecord


class SqlApps:
    """Apps."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, app: str) -> AppRecord | None:
        """The app, or None."""
        return one(self._c, select(t.apps).where(t.apps.c.app == app), AppRecord)

    def all(self) -> tuple[AppRecord, ...]:
        """All apps by name."""
        return many(self._c, select(t.apps).order_by(t.apps.c.app), AppRecord)

    def add(self, record: AppRecord) -> bool:
        """Add it; False if it was there."""
        return insert_new(self._c, t.apps, [values_of(record)]) == 1

    def set_published(self, app: str, version: int) -> None:
        """Remember which timestamp version the public tree holds."""
        self._c.execute(update(t.apps).where(t.apps.c.app == app).values(published=version))


class SqlTokens:
    """Access tokens."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, token_id: str) -> TokenRecord | None:
        """The token, or None."""
        return one(self._c, select(t.tokens).where(t.tokens.c.id == token_id), TokenRecord)

    def all(self, app: str | None) -> tuple[TokenRecord, ...]:
        """Tokens of one app, or all."""
        query = select(t.tokens).order_by(t.tokens.c.created_at, t.tokens.c.id)
        return many(self._c, query if app is None else query.where(t.tokens.c.app == app), TokenRecord)

    def add(self, record: TokenRecord) -> None:
        """Add it."""
        self._c.execute(insert(t.tokens).values(values_of(record)))

    def revoke(self, token_id: str, at: int) -> None:
        """Mark it revoked."""
        self._c.execute(update(t.tokens).where(t.tokens.c.id == token_id).values(revoked_at=at))

    def used(self, token_id: str, at: int) -> None:
        """Remember its last use."""
        self._c.execute(update(t.tokens).where(t.tokens.c.id == token_id).values(last_used_at=at))


class SqlAudit:
    """The audit log."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def add(self, record: AuditRecord) -> None:
        """Add an event; its id is given here."""
        self._c.execute(insert(t.audit).values(values_of(record, without=("id",))))

    def all(self, app: str | None, limit: int = 200, before: int | None = None) -> tuple[AuditRecord, ...]:
        """The newest events, newest first."""
        query = select(t.audit).order_by(t.audit.c.id.desc()).limit(limit)
        if app is not None:
            query = query.where(t.audit.c.app == app)
        if before is not None:
            query = query.where(t.audit.c.id < before)
        return many(self._c, query, AuditRecord)

    def has(self, app: str, action: str, subject: str) -> bool:
        """Whether such an event was written down."""
        a = t.audit.c
        query = select(a.id).where(a.app == app, a.action == action, a.subject == subject).limit(1)
        return self._c.execute(query).first() is not None

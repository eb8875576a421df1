"""Roles, artifacts and releases in SQL; see the protocols in :mod:`headway_server.repositories`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, delete, func, select, update

from headway.contract.digests import Digest
from headway_server.db import tables as t
from headway_server.db.rows import insert_new, many, one, values_of
from headway_server.records import (
    ArtifactRecord,
    BaseRecord,
    EdgeRecord,
    HeadRecord,
    JsonObject,
    RoleVersion,
    TargetFile,
)


class SqlRoles:
    """Signed role metadata and the files it names."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def current(self, app: str, role: str) -> RoleVersion | None:
        """The newest version."""
        query = select(t.roles).where(t.roles.c.app == app, t.roles.c.role == role)
        return one(self._c, query.order_by(t.roles.c.version.desc()).limit(1), RoleVersion)

    def get(self, app: str, role: str, version: int) -> RoleVersion | None:
        """One version."""
        query = select(t.roles).where(t.roles.c.app == app, t.roles.c.role == role, t.roles.c.version == version)
        return one(self._c, query, RoleVersion)

    def currents(self, app: str) -> tuple[RoleVersion, ...]:
        """The newest version of every role."""
        newest = (
            select(t.roles.c.role, func.max(t.roles.c.version).label("version"))
            .where(t.roles.c.app == app)
            .group_by(t.roles.c.role)
            .subquery()
        )
        same = and_(t.roles.c.role == newest.c.role, t.roles.c.version == newest.c.version)
        query = select(t.roles).join(newest, same).where(t.roles.c.app == app).order_by(t.roles.c.role)
        return many(self._c, query, RoleVersion)

    def versions(self, app: str) -> dict[str, int]:
        """The number of the newest version of every role."""
        r = t.roles.c
        query = select(r.role, func.max(r.version)).where(r.app == app).group_by(r.role).order_by(r.role)
        return {str(role): int(version) for role, version in self._c.execute(query)}

    def history(self, app: str, role: str) -> tuple[RoleVersion, ...]:
        """All versions of one role, oldest first."""
        query = select(t.roles).where(t.roles.c.app == app, t.roles.c.role == role).order_by(t.roles.c.version)
        return many(self._c, query, RoleVersion)

    def add(self, record: RoleVersion) -> bool:
        """Add it; False if that version was there."""
        return insert_new(self._c, t.roles, [values_of(record)]) == 1

    def add_target(self, record: TargetFile) -> None:
        """Keep a file that metadata names."""
        insert_new(self._c, t.targets, [values_of(record)])

    def target(self, app: str, path: str, digest: Digest) -> TargetFile | None:
        """One file that metadata names."""
        query = select(t.targets).where(t.targets.c.app == app, t.targets.c.path == path, t.targets.c.digest == digest)
        return one(self._c, query, TargetFile)

    def targets(self, app: str, path: str) -> tuple[TargetFile, ...]:
        """All contents ever kept under one path."""
        return many(self._c, select(t.targets).where(t.targets.c.app == app, t.targets.c.path == path), TargetFile)


class SqlArtifacts:
    """Which uploaded files an app owns."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, app: str, digest: Digest) -> ArtifactRecord | None:
        """The artifact, or None."""
        query = select(t.artifacts).where(t.artifacts.c.app == app, t.artifacts.c.digest == digest)
        return one(self._c, query, ArtifactRecord)

    def all(self, app: str) -> tuple[ArtifactRecord, ...]:
        """All artifacts of an app."""
        query = select(t.artifacts).where(t.artifacts.c.app == app).order_by(t.artifacts.c.digest)
        return many(self._c, query, ArtifactRecord)

    def add(self, record: ArtifactRecord) -> None:
        """Add it; nothing happens if it is there."""
        insert_new(self._c, t.artifacts, [values_of(record)])

    def remove(self, app: str, digest: Digest) -> None:
        """Forget it."""
        self._c.execute(delete(t.artifacts).where(t.artifacts.c.app == app, t.artifacts.c.digest == digest))


class SqlReleases:
    """Bases, heads and edges."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def base(self, app: str, base_id: str, version: str) -> BaseRecord | None:
        """One base version."""
        b = t.bases.c
        query = select(t.bases).where(b.app == app, b.base_id == base_id, b.version == version)
        return one(self._c, query, BaseRecord)

    def base_by_digest(self, app: str, package: Digest) -> BaseRecord | None:
        """The base whose package has this digest."""
        query = select(t.bases).where(t.bases.c.app == app, t.bases.c.package == package)
        return one(self._c, query, BaseRecord)

    def bases(self, app: str) -> tuple[BaseRecord, ...]:
        """All bases, oldest first."""
        b = t.bases.c
        query = select(t.bases).where(b.app == app).order_by(b.created_at, b.base_id, b.version)
        return many(self._c, query, BaseRecord)

    def add_base(self, record: BaseRecord) -> bool:
        """Add it; False if that version was there."""
        return insert_new(self._c, t.bases, [values_of(record)]) == 1

    def set_base_state(self, app: str, base_id: str, version: str, state: str, custom: JsonObject) -> None:
        """Follow what signed metadata says of it."""
        b = t.bases.c
        where = and_(b.app == app, b.base_id == base_id, b.version == version)
        self._c.execute(update(t.bases).where(where).values(state=state, custom=custom))

    def head(self, app: str, base_id: str, name: str, release: int) -> HeadRecord | None:
        """One head release."""
        h = t.heads.c
        query = select(t.heads).where(h.app == app, h.base_id == base_id, h.name == name, h.release == release)
        return one(self._c, query, HeadRecord)

    def head_by_digest(self, app: str, digest: Digest) -> HeadRecord | None:
        """The newest release with these head bytes."""
        h = t.heads.c
        query = select(t.heads).where(h.app == app, h.head == digest).order_by(h.release.desc()).limit(1)
        return one(self._c, query, HeadRecord)

    def heads(self, app: str, name: str | None = None, base_id: str | None = None) -> tuple[HeadRecord, ...]:
        """All head releases, or those of one name, or of one base id, oldest first."""
        h = t.heads.c
        query = select(t.heads).where(h.app == app).order_by(h.name, h.base_id, h.release)
        return many(self._c, _narrowed(query, t.heads, name, base_id), HeadRecord)

    def add_head(self, record: HeadRecord, edges: Sequence[EdgeRecord]) -> bool:
        """Add a release with its edges; False if that release was there."""
        if insert_new(self._c, t.heads, [values_of(record)]) == 0:
            return False
        return self.add_edges(edges)

    def add_edges(self, edges: Sequence[EdgeRecord]) -> bool:
        """Add edges to a release that is there; False if one of them was there."""
        return insert_new(self._c, t.edges, [values_of(edge) for edge in edges]) == len(edges)

    def set_head_state(self, app: str, base_id: str, name: str, release: int, state: str, custom: JsonObject) -> None:
        """Follow what signed metadata says of it."""
        h = t.heads.c
        where = and_(h.app == app, h.base_id == base_id, h.name == name, h.release == release)
        self._c.execute(update(t.heads).where(where).values(state=state, custom=custom))

    def listed_heads(self, app: str, base_id: str) -> int:
        """How many heads of a base signed metadata lists, live and revoked."""
        h = t.heads.c
        listed = h.state.in_(("live", "revoked"))
        query = select(func.count()).select_from(t.heads).where(h.app == app, h.base_id == base_id, listed)
        return int(self._c.execute(query).scalar_one())

    def edges(self, app: str, name: str | None = None, base_id: str | None = None) -> tuple[EdgeRecord, ...]:
        """All edges, or those of the heads of one name, or of one base id, oldest first."""
        e = t.edges.c
        query = select(t.edges).where(e.app == app).order_by(e.name, e.release, e.base)
        return many(self._c, _narrowed(query, t.edges, name, base_id), EdgeRecord)


def _narrowed(query: Select[Any], table: Table, name: str | None, base_id: str | None) -> Select[Any]:
    # By base id too wherever it is known: the keys of both tables begin with it.
    narrowed = query if base_id is None else query.where(table.c.base_id == base_id)
    return narrowed if name is None else narrowed.where(table.c.name == name)

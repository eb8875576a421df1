"""The search in SQL: heads and bases as one list, narrowed step by step.

See :mod:`headway_server.repositories_marks`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, cast, literal, or_, select, union_all
from sqlalchemy.sql.expression import Subquery

from headway_server.db import tables as t
from headway_server.db.marks import standing
from headway_server.db.rows import many
from headway_server.db.tables_marks import marks
from headway_server.records import FoundRecord
from headway_server.repositories_marks import SearchQuery

Where = ColumnElement[bool]


class SqlSearch:
    """Finding releases."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def find(self, query: SearchQuery) -> tuple[FoundRecord, ...]:
        """Releases that fit, newest first, then by base id, name and release."""
        r = _releases(query.app)
        where: list[Where] = [*_plain(query, r), *_related(query, r)]
        if query.after is not None:
            where.append(_behind(query.after, r))
        rows = select(r).where(*where).order_by(r.c.created_at.desc(), r.c.base_id, r.c.name, r.c.release)
        return many(self._c, rows.limit(query.limit), FoundRecord)


def _releases(app: str) -> Subquery:
    h, b = t.heads.c, t.bases.c
    heads = select(
        h.base_id, h.name, cast(h.release, String).label("release"), h.head.label("digest"), h.state, h.publisher,
        h.created_at,
    ).where(h.app == app)  # fmt: skip
    bases = select(
        b.base_id, literal("").label("name"), b.version.label("release"), b.package.label("digest"), b.state,
        b.publisher, b.created_at,
    ).where(b.app == app)  # fmt: skip
    return union_all(heads, bases).subquery("releases")


def _plain(query: SearchQuery, r: Subquery) -> list[Where]:
    where: list[Where] = []
    if query.kind is not None:
        where.append(r.c.name != "" if query.kind == "head" else r.c.name == "")
    if query.name is not None:
        # A base goes by its id: it has no other name.
        named = r.c.name.startswith(query.name, autoescape=True)
        where.append(or_(named, and_(r.c.name == "", r.c.base_id.startswith(query.name, autoescape=True))))
    if query.digest is not None:
        where.append(r.c.digest.startswith(f"sha256:{query.digest}", autoescape=True))
    if query.base is not None:
        where.append(r.c.base_id == query.base)
    if query.publisher is not None:
        where.append(r.c.publisher == query.publisher)
    if query.since is not None:
        where.append(r.c.created_at >= query.since)
    if query.until is not None:
        where.append(r.c.created_at <= query.until)
    return where


def _related(query: SearchQuery, r: Subquery) -> list[Where]:
    where: list[Where] = []
    same = (marks.c.app == query.app, marks.c.base_id == r.c.base_id, marks.c.name == r.c.name)
    if query.alias is not None:
        alias = standing(*same, marks.c.release == "", marks.c.key == query.alias, marks.c.value == r.c.release)
        where.append(alias.exists())
    if query.label is not None:
        key, value = query.label
        wanted = [marks.c.release == r.c.release, marks.c.key == key]
        wanted += [] if value is None else [marks.c.value == value]
        where.append(standing(*same, *wanted).exists())
    if query.base_digest is not None:
        where.append(_proven_on(query.app, f"sha256:{query.base_digest}", r))
    if query.state is not None:
        where.append(_in_state(query.app, query.state, r))
    return where


def _proven_on(app: str, prefix: str, r: Subquery) -> Where:
    e = t.edges.c
    edge = select(e.base).where(
        e.app == app, e.base_id == r.c.base_id, e.name == r.c.name, cast(e.release, String) == r.c.release,
        e.base.startswith(prefix, autoescape=True),
    )  # fmt: skip
    return or_(edge.exists(), and_(r.c.name == "", r.c.digest.startswith(prefix, autoescape=True)))


def _in_state(app: str, state: str, r: Subquery) -> Where:
    match state:
        case "recalled":
            c = t.recalls.c
            return select(c.digest).where(c.app == app, c.digest == r.c.digest).exists()
        case "yanked":
            o = t.rollouts.c
            same = (o.app == app, o.base_id == r.c.base_id, o.name == r.c.name, cast(o.release, String) == r.c.release)
            return select(o.id).where(*same, o.state == "yanked").exists()
        case _:
            return r.c.state == state


def _behind(after: tuple[Any, ...], r: Subquery) -> Where:
    at, base_id, name, release = after
    rest = or_(
        r.c.base_id > base_id,
        and_(r.c.base_id == base_id, r.c.name > name),
        and_(r.c.base_id == base_id, r.c.name == name, r.c.release > release),
    )
    return or_(r.c.created_at < at, and_(r.c.created_at == at, rest))

"""Aliases and labels in SQL; see the protocols in :mod:`headway_server.repositories_marks`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from headway_server.db.rows import insert_new, many, one, values_of
from headway_server.db.tables_marks import marks
from headway_server.records import MarkRecord
from headway_server.repositories_marks import MarkKey

_KEY = ("app", "base_id", "name", "release", "key")


class SqlMarks:
    """Aliases and labels, every change kept."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def current(self, key: MarkKey, at: int | None = None) -> MarkRecord | None:
        """The newest change, or the newest up to ``at``."""
        query = _of(key).order_by(marks.c.seq.desc()).limit(1)
        return one(self._c, query if at is None else query.where(marks.c.at <= at), MarkRecord)

    def history(self, key: MarkKey) -> tuple[MarkRecord, ...]:
        """Every change, oldest first."""
        return many(self._c, _of(key).order_by(marks.c.seq), MarkRecord)

    def add(self, record: MarkRecord) -> bool:
        """Add a change; False if its ``seq`` was there."""
        return insert_new(self._c, marks, [values_of(record)]) == 1

    def all(
        self,
        app: str,
        *,
        labels: bool,
        base_id: str | None = None,
        name: str | None = None,
        release: str | None = None,
        key: str | None = None,
        at: int | None = None,
        gone: bool = False,
    ) -> tuple[MarkRecord, ...]:
        """The marks that stand (or stood at ``at``); with ``gone`` also those removed by then."""
        m = marks.c
        given = {"base_id": base_id, "name": name, "release": release, "key": key}
        where: list[ColumnElement[bool]] = [m.app == app, m.release != "" if labels else m.release == ""]
        where += [m[column] == value for column, value in given.items() if value is not None]
        if at is not None:
            where.append(m.at <= at)
        newest = select(*(m[column] for column in _KEY), func.max(m.seq).label("seq")).where(*where)
        last = newest.group_by(*(m[column] for column in _KEY)).subquery()
        same = [m[column] == last.c[column] for column in (*_KEY, "seq")]
        query = select(marks).join(last, and_(*same))
        if not gone:
            query = query.where(m.value.is_not(None))
        return many(self._c, query.order_by(m.base_id, m.name, m.release, m.key), MarkRecord)


def standing(*where: ColumnElement[bool]) -> Select[Any]:
    """A subquery of the marks that stand now and fit ``where``: those that no later change follows."""
    later = marks.alias("later")
    followed = select(later.c.seq).where(
        *(later.c[column] == marks.c[column] for column in _KEY), later.c.seq > marks.c.seq
    )
    return select(marks.c.seq).where(*where, marks.c.value.is_not(None), ~followed.exists())


def _of(key: MarkKey) -> Select[Any]:
    return select(marks).where(*(marks.c[column] == getattr(key, column) for column in _KEY))

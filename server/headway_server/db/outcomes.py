"""Outcomes in SQL: each event once, and counters by the hour that grow in the same transaction.

What always holds: for every hour whose events are all there, the counters say what counting the events would say. Old
events can therefore go (:meth:`SqlOutcomes.prune`), and no page or decision counts millions of rows.
See the protocol in :mod:`headway_server.repositories`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from headway_server.db import tables as t
from headway_server.db.rows import values_of
from headway_server.records import OutcomeRecord

HOUR_S = 3600
FOLDED = 0
"""The hour under which the counters of all pruned hours stand together."""

_KEY = tuple(column.name for column in t.outcome_counts.primary_key)


class SqlOutcomes:
    """What devices reported."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def add(self, app: str, records: Sequence[OutcomeRecord]) -> tuple[str, ...]:
        """Add those whose event id is new, and count them; the ids that were new."""
        if not records:
            return ()
        # In one order everywhere: two servers that get the same events must not wait for each other in a circle.
        rows = [values_of(record) for record in sorted(records, key=lambda r: r.event)]
        new = self._c.scalars(_insert_events(self._c.dialect.name), {"rows": json.dumps(rows)})
        added = tuple(str(event) for event in new)
        first = {row["event"]: row for row in reversed(rows)}
        self._bump(Counter(_key(app, first[event]) for event in added))
        return added

    def counts(self, app: str, rollout: str, before: int | None = None) -> Mapping[str, int]:
        """Events per kind of one rollout, received up to ``before`` if given."""
        c = t.outcome_counts.c
        mine = [c.app == app, c.rollout == rollout]
        found: Counter[str] = Counter()
        if before is not None:
            mine.append(c.hour < before // HOUR_S)
            found.update(self._in_part_of_an_hour(app, rollout, before))
        query = select(c.kind, func.sum(c.count)).where(*mine).group_by(c.kind)
        found.update({str(kind): int(count) for kind, count in self._c.execute(query)})
        return dict(found)

    def _in_part_of_an_hour(self, app: str, rollout: str, until: int) -> Mapping[str, int]:
        o = t.outcomes.c
        begin = until // HOUR_S * HOUR_S
        query = select(o.kind, func.count()).where(
            o.app == app, o.rollout == rollout, o.received_at >= begin, o.received_at <= until
        )
        return {str(kind): int(count) for kind, count in self._c.execute(query.group_by(o.kind))}

    def totals(self, app: str) -> tuple[tuple[str, str, int, str, str, int], ...]:
        """Rows ``(channel, name, release, kind, detail or gain, count)`` of an app."""
        c = t.outcome_counts.c
        extra = func.coalesce(func.nullif(c.detail, ""), c.gain)
        query = (
            select(c.channel, c.name, c.release, c.kind, extra, func.sum(c.count))
            .where(c.app == app)
            .group_by(c.channel, c.name, c.release, c.kind, extra)
            .order_by(c.channel, c.name, c.release, c.kind, extra)
        )
        return tuple(
            (str(ch), str(n), int(r), str(k), str(e), int(count)) for ch, n, r, k, e, count in self._c.execute(query)
        )

    def by_base(self, app: str) -> Mapping[str, int]:
        """Confirmations by base digest."""
        c = t.outcome_counts.c
        query = select(c.base, func.sum(c.count)).where(c.app == app, c.kind == "confirmed").group_by(c.base)
        return {str(base): int(count) for base, count in self._c.execute(query)}

    def older_than(self, app: str, before: int) -> int:
        """How many events received before this time are kept one by one."""
        o = t.outcomes.c
        query = select(func.count()).select_from(t.outcomes).where(o.app == app, o.received_at < before)
        return int(self._c.execute(query).scalar_one())

    def prune(self, app: str, before: int, most: int) -> int:
        """Forget up to ``most`` single events received before this time; how many went. The counters stay."""
        o = t.outcomes.c
        old = select(o.event).where(o.app == app, o.received_at < before).limit(most)
        return self._c.execute(delete(t.outcomes).where(o.app == app, o.event.in_(old))).rowcount

    def fold(self, app: str, before: int) -> None:
        """Put the counters of all hours that ended by this time under one."""
        c = t.outcome_counts.c
        old: ColumnElement[bool] = (c.app == app) & (c.hour > FOLDED) & (c.hour < before // HOUR_S)
        columns = [c[name] for name in _KEY if name != "hour"]
        found = self._c.execute(select(*columns, func.sum(c.count).label("n")).where(old).group_by(*columns)).mappings()
        sums = Counter(
            {tuple(FOLDED if name == "hour" else row[name] for name in _KEY): int(row["n"]) for row in found}
        )
        self._c.execute(delete(t.outcome_counts).where(old))
        self._bump(sums)

    def _bump(self, counts: Counter[tuple[Any, ...]]) -> None:
        if counts:
            rows = [{**dict(zip(_KEY, key, strict=True)), "count": counts[key]} for key in sorted(counts)]
            self._c.execute(_grow_counters(self._c.dialect.name), {"rows": json.dumps(rows)})


# Made once, and one text for any number of rows, which are one parameter: psycopg needs longer for a thousand of them
# than PostgreSQL for the rows, and both databases keep what they made of a text that they know.
@cache
def _insert_events(dialect: str) -> ReturningInsert[tuple[str]]:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    new = insert(t.outcomes).from_select(_names(t.outcomes), _rows(t.outcomes, dialect))
    return new.on_conflict_do_nothing().returning(t.outcomes.c.event)


@cache
def _grow_counters(dialect: str) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    new = insert(t.outcome_counts).from_select(_names(t.outcome_counts), _rows(t.outcome_counts, dialect))
    grown = t.outcome_counts.c.count + new.excluded.count
    return new.on_conflict_do_update(index_elements=list(_KEY), set_={"count": grown})


def _rows(table: Table, dialect: str) -> Select[Any]:
    """The rows of this table that stand as JSON objects in the parameter ``rows``, in their order."""
    given = bindparam("rows", type_=Text)
    if dialect == "sqlite":
        each = func.json_each(given).table_valued("value", name="r")
        values = [func.json_extract(each.c.value, literal_column(f"'$.{name}'")) for name in _names(table)]
        # Without a WHERE, SQLite would take the ON of ON CONFLICT for that of a join.
        return select(*values).where(true())
    columns = [column(c.name, c.type) for c in table.c]
    each = func.json_to_recordset(cast(given, postgresql.JSON)).table_valued(*columns)
    return select(*each.render_derived(name="r", with_types=True).c)


def _names(table: Table) -> list[str]:
    return [column.name for column in table.c]


def _key(app: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    found = {**row, "app": app, "hour": row["received_at"] // HOUR_S}
    return tuple("" if found[name] is None else found[name] for name in _KEY)

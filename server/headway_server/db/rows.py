"""Rows to records and back: every record's fields are exactly its table's columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

R = TypeVar("R")


def values_of(record: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The columns of a record (one level deep: JSON values stay as they are)."""
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name not in without}


def one(connection: Connection, statement: Executable, kind: type[R]) -> R | None:
    """The first row as a record, or None."""
    row = connection.execute(statement).mappings().first()
    return None if row is None else kind(**row)


def many(connection: Connection, statement: Executable, kind: type[R]) -> tuple[R, ...]:
    """All rows as records."""
    return tuple(kind(**row) for row in connection.execute(statement).mappings())


def insert_new(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> int:
    """Insert the rows whose key is new, all in one statement; how many were."""
    values = list(rows)
    if not values:
        return 0
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(table).values(values).on_conflict_do_nothing().returning(table.c[0])
        return len(connection.execute(lite).all())
    full = postgresql.insert(table).values(values).on_conflict_do_nothing().returning(table.c[0])
    return len(connection.execute(full).all())


def upsert(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert a row, or replace all its columns where the primary key exists."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in row.items() if name not in keys}
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).values(row).on_conflict_do_update(index_elements=keys, set_=rest))
    else:
        connection.execute(postgresql.insert(table).values(row).on_conflict_do_update(index_elements=keys, set_=rest))

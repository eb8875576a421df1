"""What a migration does to what is there already."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Integer, LargeBinary, MetaData, insert, select, text
from sqlalchemy.types import TypeEngine

from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import _config, migrate, newest
from headway_server.db.tables import metadata

from .backends import Backend

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def test_publishers_are_named_from_the_audit_log(backend: Backend) -> None:
    database = SqlDatabase(backend.settings.resolved_database_url)
    migrate(database.engine, "0001")
    head = (
        "INSERT INTO heads (app, base_id, name, release, head, contract, labels, label_names, manifest, bytes, custom,"
        " checked, state, created_at) VALUES ('reader', :base, 'topic', 1, :head, 'c', 'l', '[]', 'm', 1, '{}', '',"
        " 'live', 1)"
    )
    said = (
        "INSERT INTO audit (app, at, actor, action, subject, request, data)"
        " VALUES ('reader', 1, :actor, :action, :subject, '-', :data)"
    )
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO apps (app, created_at, published) VALUES ('reader', 1, 0)"))
        connection.execute(
            text(
                "INSERT INTO bases (app, base_id, version, package, contract, contract_json, manifest, bytes, custom,"
                " checked, state, created_at) VALUES ('reader', 'kd', '1', :package, 'c', '{}', 'm', 1, '{}', '',"
                " 'live', 1)"
            ),
            {"package": DIGEST},
        )
        # The same name and number on two bases: the digest tells which is which.
        for base, digest in (("kd", DIGEST), ("two", OTHER)):
            connection.execute(text(head), {"base": base, "head": digest})
        for actor, action, subject, data in (
            ("token:one", "base.register", "kd@1", f'{{"package": "{DIGEST}"}}'),
            ("token:two", "head.register", "topic@1", f'{{"head": "{DIGEST}"}}'),
            ("token:four", "offer.put", "topic@1", f'{{"head": "{OTHER}"}}'),
        ):
            connection.execute(text(said), {"actor": actor, "action": action, "subject": subject, "data": data})
    migrate(database.engine)
    with database.engine.connect() as connection:
        bases = connection.execute(text("SELECT publisher FROM bases")).scalars().all()
        heads = connection.execute(text("SELECT publisher FROM heads ORDER BY base_id")).scalars().all()
    database.close()
    assert (bases, heads) == (["token:one"], ["token:two", None])


def revisions() -> list[str]:
    """Every schema there ever was, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def filled(database: SqlDatabase) -> dict[str, dict[str, Any]]:
    """One row in every table that this schema has, each value the simplest of its type; the rows by table."""
    tables = MetaData()
    tables.reflect(database.engine)
    made = {}
    with database.engine.begin() as connection:
        for table in tables.sorted_tables:
            if table.name != "alembic_version":
                row = {column.name: simplest(column.type) for column in table.columns}
                connection.execute(insert(table).values(row))
                made[table.name] = row
    return made


def simplest(kind: TypeEngine[Any]) -> Any:
    if isinstance(kind, JSON):
        return {}
    return 1 if isinstance(kind, Integer) else b"x" if isinstance(kind, LargeBinary) else "x"


@pytest.mark.parametrize("revision", revisions())
def test_what_stood_in_a_past_schema_stands_in_the_newest(backend: Backend, revision: str) -> None:
    """A registry of any version that ever was is migrated in one step, with what it holds."""
    database = SqlDatabase(backend.settings.resolved_database_url)
    migrate(database.engine, revision)
    before = filled(database)
    assert migrate(database.engine) == newest()
    tables = MetaData()
    tables.reflect(database.engine)
    with database.engine.connect() as connection:
        for name, row in before.items():
            (now,) = connection.execute(select(tables.tables[name])).mappings().all()
            assert {column: now[column] for column in row if column in now} == row
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()

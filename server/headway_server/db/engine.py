"""Connections and transactions.

SQLite runs with a write-ahead log, foreign keys on and a busy timeout; a writing transaction takes the write lock at
its start (``BEGIN IMMEDIATE``), so it can never fail half-way for want of it. PostgreSQL locks the app's row instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from headway.contract.errors import RefusedError, TransferError
from headway_server.db import tables
from headway_server.db.delivery import SqlChannels, SqlRollouts
from headway_server.db.identity import SqlApps, SqlAudit, SqlTokens
from headway_server.db.marks import SqlMarks
from headway_server.db.outcomes import SqlOutcomes
from headway_server.db.proofs import SqlProofRuns
from headway_server.db.publishing import SqlArtifacts, SqlReleases, SqlRoles
from headway_server.db.search import SqlSearch
from headway_server.db.uploads import SqlUploads
from headway_server.db.webhooks import SqlLimits, SqlWebhooks

BUSY_TIMEOUT_MS = 15_000


class SqlTransaction:
    """All repositories over one connection; see :class:`headway_server.ports.Transaction`."""

    def __init__(self, connection: Connection) -> None:
        self.apps = SqlApps(connection)
        self.tokens = SqlTokens(connection)
        self.roles = SqlRoles(connection)
        self.artifacts = SqlArtifacts(connection)
        self.uploads = SqlUploads(connection)
        self.releases = SqlReleases(connection)
        self.proof_runs = SqlProofRuns(connection)
        self.channels = SqlChannels(connection)
        self.rollouts = SqlRollouts(connection)
        self.outcomes = SqlOutcomes(connection)
        self.audit = SqlAudit(connection)
        self.marks = SqlMarks(connection)
        self.search = SqlSearch(connection)
        self.webhooks = SqlWebhooks(connection)
        self.limits = SqlLimits(connection)


class SqlDatabase:
    """An engine; see :class:`headway_server.ports.Database`."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """A read-only view, the same from its first query to its last."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield SqlTransaction(connection)

    @contextmanager
    def write(self, app: str | None = None) -> Iterator[SqlTransaction]:
        """A writing transaction, exclusive for ``app``."""
        with self.engine.connect().execution_options(headway_write=True) as connection, connection.begin():
            if app is not None and connection.dialect.name != "sqlite":
                connection.execute(select(tables.apps.c.app).where(tables.apps.c.app == app).with_for_update())
            yield SqlTransaction(connection)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """An engine for ``url``, with SQLite's pragmas where it is SQLite.

    Raises:
        RefusedError: code ``bad_database_url``; the sentence never repeats it, for it may hold a password.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=20)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def reach(engine: Engine) -> None:
    """Connect once, so that a command says in one sentence what is wrong with its database.

    Raises:
        TransferError: code ``database_unreachable``.
    """
    try:
        with engine.connect():
            pass
    except DBAPIError as error:
        why = str(error.orig).splitlines()[0]
        raise TransferError(
            "database_unreachable",
            f"The database cannot be used ({why}).",
            hint="Check that it runs, and HEADWAY_SERVER_DATABASE_URL or --data-dir; nothing was changed.",
        ) from error


def missing_file(url: str) -> Path | None:
    """The file that would hold the SQLite database of ``url``, where it is not there yet."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).is_file():
        return None
    return Path(parsed.database)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        raise RefusedError(
            "bad_database_url",
            "The setting database_url is no address of a database.",
            hint="Write postgresql+psycopg://USER:PASSWORD@HOST/NAME, or leave it out: SQLite in the data folder.",
        ) from error


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction handling would begin too late; _begin_sqlite does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("headway_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

"""The tables of webhooks: where to send, and the outbox of what is still to be sent.

What always holds: a delivery is added in the transaction of the change that it tells, and its body never changes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Table, Text

from headway_server.db.tables import metadata
from headway_server.db.types import JsonTuple

webhooks = Table(
    "webhooks",
    metadata,
    Column("app", String(63), ForeignKey("apps.app"), primary_key=True),
    Column("id", String(16), primary_key=True),
    Column("url", String(2048), nullable=False),
    Column("events", JsonTuple, nullable=False),
    Column("note", String(200), nullable=False),
    Column("secret_version", Integer, nullable=False),
    Column("rotated_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
)

deliveries = Table(
    "webhook_deliveries",
    metadata,
    # SQLite counts rows only in an INTEGER primary key; PostgreSQL wants 64 bits.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("message", String(32), nullable=False, unique=True),
    Column("app", String(63), nullable=False),
    Column("webhook", String(16), nullable=False),
    Column("event", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("status", Integer),
    Column("error", String(200)),
    ForeignKeyConstraint(["app", "webhook"], ["webhooks.app", "webhooks.id"]),
    Index(None, "state", "next_at"),
    Index(None, "app", "webhook", "seq"),
)

"""The tables of aliases and labels (one row per change, nothing is ever overwritten) and of shared rate limits."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from headway_server.db.tables import metadata

marks = Table(
    "marks",
    metadata,
    Column("app", String(63), ForeignKey("apps.app"), primary_key=True),
    Column("base_id", String(63), primary_key=True),
    # Empty for a mark on a base, else the head's name.
    Column("name", String(63), primary_key=True),
    # Empty for an alias, which belongs to all releases; for a label the release that carries it.
    Column("release", String(32), primary_key=True),
    Column("key", String(63), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("value", String(200)),
    Column("actor", String(80), nullable=False),
    Column("note", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
    Index(None, "app", "key", "value"),
)

limits = Table(
    "rate_limits",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("full_at", BigInteger, nullable=False, index=True),
)

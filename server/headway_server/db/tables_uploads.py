"""The table of large uploads under way.

What always holds: an app has at most one upload of a digest; two that begin at once find the same one.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, Text

from headway_server.db.tables import metadata

uploads = Table(
    "uploads",
    metadata,
    Column("app", String(63), ForeignKey("apps.app"), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("handle", Text, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

"""The tables. A change here needs a migration; a test compares the two.

What always holds: every row but an operator's token belongs to an app, and unique constraints, not code, decide
races: one version of a role, one release of a head, one event of a device.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from headway_server.db.types import JsonTuple

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_NAME = String(63)
_DIGEST = String(71)
_PATH = String(1024)
# SQLite counts rows only in an INTEGER primary key; PostgreSQL wants 64 bits.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")


def _app(*, primary: bool = True, nullable: bool = False) -> Column[str]:
    return Column("app", _NAME, ForeignKey("apps.app"), primary_key=primary, nullable=nullable)


apps = Table(
    "apps",
    metadata,
    Column("app", _NAME, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    _app(primary=False, nullable=True),
    Column("scopes", JsonTuple, nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("note", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
)

roles = Table(
    "roles",
    metadata,
    _app(),
    Column("role", String(80), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

targets = Table(
    "targets",
    metadata,
    _app(),
    Column("path", _PATH, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _app(),
    Column("digest", _DIGEST, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

bases = Table(
    "bases",
    metadata,
    _app(),
    Column("base_id", _NAME, primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("package", _DIGEST, nullable=False),
    Column("contract", _DIGEST, nullable=False),
    Column("contract_json", JSON, nullable=False),
    Column("manifest", _DIGEST, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("custom", JSON, nullable=False),
    Column("provenance", JSON),
    Column("checked", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("publisher", String(80)),
    Index(None, "app", "package", unique=True),
)

heads = Table(
    "heads",
    metadata,
    _app(),
    Column("base_id", _NAME, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("head", _DIGEST, nullable=False),
    Column("parent", _DIGEST),
    Column("contract", _DIGEST, nullable=False),
    Column("labels", _DIGEST, nullable=False),
    Column("label_names", JsonTuple, nullable=False),
    Column("manifest", _DIGEST, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("custom", JSON, nullable=False),
    Column("provenance", JSON),
    Column("checked", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("publisher", String(80)),
    Index(None, "app", "head"),
)

edges = Table(
    "edges",
    metadata,
    _app(),
    Column("base_id", _NAME, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("base", _DIGEST, primary_key=True),
    Column("proof_digest", _DIGEST, nullable=False),
    Column("proof", JSON, nullable=False),
    Column("reproof", JSON(none_as_null=True)),
    Column("verdict", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["app", "base_id", "name", "release"], ["heads.app", "heads.base_id", "heads.name", "heads.release"]
    ),
    ForeignKeyConstraint(["app", "base"], ["bases.app", "bases.package"]),
)

proof_runs = Table(
    "proof_runs",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    _app(primary=False),
    Column("base_id", _NAME, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("release", BigInteger, nullable=False),
    Column("base", _DIGEST, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("result", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("proof", JSON(none_as_null=True)),
    ForeignKeyConstraint(
        ["app", "base_id", "name", "release", "base"],
        ["edges.app", "edges.base_id", "edges.name", "edges.release", "edges.base"],
    ),
    Index(None, "app", "id"),
)

channels = Table(
    "channels",
    metadata,
    _app(),
    Column("channel", _NAME, primary_key=True),
    Column("base_id", _NAME, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("poll_after_s", BigInteger, nullable=False),
    Column("personalise", JSON, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

recalls = Table(
    "recalls",
    metadata,
    _app(),
    Column("channel", _NAME, primary_key=True),
    Column("base_id", _NAME, primary_key=True),
    Column("digest", _DIGEST, primary_key=True),
    Column("reason", String(500), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(32), primary_key=True),
    _app(primary=False),
    Column("channel", _NAME, nullable=False),
    Column("base_id", _NAME, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("release", BigInteger, nullable=False),
    Column("head", _DIGEST, nullable=False),
    Column("state", String(16), nullable=False),
    Column("held_by", String(16)),
    Column("salt", String(64), nullable=False),
    Column("permyriad", Integer, nullable=False),
    Column("pins", JsonTuple, nullable=False),
    Column("excludes", JsonTuple, nullable=False),
    Column("schedule", JsonTuple, nullable=False),
    Column("policy", JSON, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("stage_started_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(None, "app", "channel", "base_id", "name", "release"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    _app(primary=False),
    Column("rollout", String(32), ForeignKey("rollouts.id"), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    Column("inputs", JSON, nullable=False),
)

outcomes = Table(
    "outcomes",
    metadata,
    _app(),
    Column("event", String(32), primary_key=True),
    Column("rollout", String(32), ForeignKey("rollouts.id")),
    Column("kind", String(16), nullable=False),
    Column("channel", _NAME, nullable=False),
    Column("base", _DIGEST, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("release", BigInteger, nullable=False),
    Column("detail", String(64)),
    Column("gain", String(16)),
    Column("received_at", BigInteger, nullable=False),
    Index(None, "app", "rollout", "kind", "received_at"),
    Index(None, "app", "received_at"),
)

# Events by the hour (hours since 1970; 0: all pruned hours together). What an event does not have is an empty text.
outcome_counts = Table(
    "outcome_counts",
    metadata,
    _app(),
    Column("rollout", String(32), primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("channel", _NAME, primary_key=True),
    Column("base", _DIGEST, primary_key=True),
    Column("name", _NAME, primary_key=True),
    Column("release", BigInteger, primary_key=True),
    Column("detail", String(64), primary_key=True),
    Column("gain", String(16), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    _app(primary=False, nullable=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("request", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "app", "id"),
)

"""Counters of outcomes by the hour, filled from the events that are there; proofs that were run again, with dates."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_HOUR_S = 3600


def upgrade() -> None:
    counts = op.create_table(
        "outcome_counts",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("rollout", sa.String(length=32), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("base", sa.String(length=71), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.String(length=64), nullable=False),
        sa.Column("gain", sa.String(length=16), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_outcome_counts_app")),
        sa.PrimaryKeyConstraint(
            "app",
            "rollout",
            "hour",
            "kind",
            "channel",
            "base",
            "name",
            "release",
            "detail",
            "gain",
            name=op.f("pk_outcome_counts"),
        ),
    )
    op.create_index(op.f("ix_outcomes_app_received_at"), "outcomes", ["app", "received_at"])
    op.create_table(
        "proof_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.String(length=71), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("proof", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_proof_runs_app")),
        sa.ForeignKeyConstraint(
            ["app", "base_id", "name", "release", "base"],
            ["edges.app", "edges.base_id", "edges.name", "edges.release", "edges.base"],
            name=op.f("fk_proof_runs_app_base_id_name_release_base"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof_runs")),
    )
    op.create_index(op.f("ix_proof_runs_app_id"), "proof_runs", ["app", "id"])
    _count(counts)


def _count(counts: sa.Table) -> None:
    """Fill the counters from the events received so far."""
    names = ("app", "kind", "channel", "base", "name", "release")
    outcomes = sa.table(
        "outcomes",
        *map(sa.column, (*names, "rollout", "detail", "gain")),
        sa.column("received_at", sa.BigInteger()),
    )
    optional = [sa.func.coalesce(outcomes.c[name], "") for name in ("rollout", "detail", "gain")]
    keys = [*(outcomes.c[name] for name in names), *optional, outcomes.c.received_at // _HOUR_S]
    found = sa.select(*keys, sa.func.count()).group_by(*keys)
    op.execute(sa.insert(counts).from_select([*names, "rollout", "detail", "gain", "hour", "count"], found))

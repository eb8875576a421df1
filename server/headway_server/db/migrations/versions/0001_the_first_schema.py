"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:

    op.create_table(
        "apps",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app", name=op.f("pk_apps")),
    )
    op.create_table(
        "artifacts",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_artifacts_app")),
        sa.PrimaryKeyConstraint("app", "digest", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=63), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_audit_app")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_app_id"), "audit", ["app", "id"], unique=False)
    op.create_table(
        "bases",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("package", sa.String(length=71), nullable=False),
        sa.Column("contract", sa.String(length=71), nullable=False),
        sa.Column("contract_json", sa.JSON(), nullable=False),
        sa.Column("manifest", sa.String(length=71), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("custom", sa.JSON(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=True),
        sa.Column("checked", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_bases_app")),
        sa.PrimaryKeyConstraint("app", "base_id", "version", name=op.f("pk_bases")),
    )
    op.create_index(op.f("ix_bases_app_package"), "bases", ["app", "package"], unique=True)
    op.create_table(
        "channels",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("poll_after_s", sa.BigInteger(), nullable=False),
        sa.Column("personalise", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_channels_app")),
        sa.PrimaryKeyConstraint("app", "channel", "base_id", name=op.f("pk_channels")),
    )
    op.create_table(
        "heads",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=71), nullable=False),
        sa.Column("parent", sa.String(length=71), nullable=True),
        sa.Column("contract", sa.String(length=71), nullable=False),
        sa.Column("labels", sa.String(length=71), nullable=False),
        sa.Column("label_names", sa.JSON(), nullable=False),
        sa.Column("manifest", sa.String(length=71), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("custom", sa.JSON(), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=True),
        sa.Column("checked", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_heads_app")),
        sa.PrimaryKeyConstraint("app", "base_id", "name", "release", name=op.f("pk_heads")),
    )
    op.create_index(op.f("ix_heads_app_head"), "heads", ["app", "head"], unique=False)
    op.create_table(
        "recalls",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_recalls_app")),
        sa.PrimaryKeyConstraint("app", "channel", "base_id", "digest", name=op.f("pk_recalls")),
    )
    op.create_table(
        "roles",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=80), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_roles_app")),
        sa.PrimaryKeyConstraint("app", "role", "version", name=op.f("pk_roles")),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=71), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("held_by", sa.String(length=16), nullable=True),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("permyriad", sa.Integer(), nullable=False),
        sa.Column("pins", sa.JSON(), nullable=False),
        sa.Column("excludes", sa.JSON(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("stage_started_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_rollouts_app")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
    )
    op.create_index(
        op.f("ix_rollouts_app_channel_base_id_name_release"),
        "rollouts",
        ["app", "channel", "base_id", "name", "release"],
        unique=False,
    )
    op.create_table(
        "targets",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_targets_app")),
        sa.PrimaryKeyConstraint("app", "path", "digest", name=op.f("pk_targets")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_tokens_app")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("rollout", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_decisions_app")),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name=op.f("fk_decisions_rollout")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_rollout"), "decisions", ["rollout"], unique=False)
    op.create_table(
        "edges",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.String(length=71), nullable=False),
        sa.Column("proof_digest", sa.String(length=71), nullable=False),
        sa.Column("proof", sa.JSON(), nullable=False),
        sa.Column("reproof", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app", "base"], ["bases.app", "bases.package"], name=op.f("fk_edges_app_base")),
        sa.ForeignKeyConstraint(
            ["app", "base_id", "name", "release"],
            ["heads.app", "heads.base_id", "heads.name", "heads.release"],
            name=op.f("fk_edges_app_base_id_name_release"),
        ),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_edges_app")),
        sa.PrimaryKeyConstraint("app", "base_id", "name", "release", "base", name=op.f("pk_edges")),
    )
    op.create_table(
        "outcomes",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("rollout", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("base", sa.String(length=71), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.String(length=64), nullable=True),
        sa.Column("gain", sa.String(length=16), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_outcomes_app")),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"], name=op.f("fk_outcomes_rollout")),
        sa.PrimaryKeyConstraint("app", "event", name=op.f("pk_outcomes")),
    )
    op.create_index(
        op.f("ix_outcomes_app_rollout_kind_received_at"),
        "outcomes",
        ["app", "rollout", "kind", "received_at"],
        unique=False,
    )

"""Webhooks and their outbox, aliases and labels, shared rate limits, and who published a release."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_webhooks_app")),
        sa.PrimaryKeyConstraint("app", "id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("webhook", sa.String(length=16), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["app", "webhook"], ["webhooks.app", "webhooks.id"], name=op.f("fk_webhook_deliveries_app_webhook")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint("message", name=op.f("uq_webhook_deliveries_message")),
    )
    op.create_index(op.f("ix_webhook_deliveries_state_next_at"), "webhook_deliveries", ["state", "next_at"])
    op.create_index(op.f("ix_webhook_deliveries_app_webhook_seq"), "webhook_deliveries", ["app", "webhook", "seq"])
    op.create_table(
        "marks",
        sa.Column("app", sa.String(length=63), nullable=False),
        sa.Column("base_id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("release", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=True),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.app"], name=op.f("fk_marks_app")),
        sa.PrimaryKeyConstraint("app", "base_id", "name", "release", "key", "seq", name=op.f("pk_marks")),
    )
    op.create_index(op.f("ix_marks_app_key_value"), "marks", ["app", "key", "value"])
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("full_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_limits")),
    )
    op.create_index(op.f("ix_rate_limits_full_at"), "rate_limits", ["full_at"])
    for table in ("bases", "heads"):
        op.add_column(table, sa.Column("publisher", sa.String(length=80), nullable=True))
    _name_publishers()


def _name_publishers() -> None:
    """Fill the new column from the audit log, which has always said who registered what."""
    audit, bases, heads = (
        sa.table("audit", *map(sa.column, ("app", "actor", "action", "subject")), sa.column("data", sa.JSON())),
        sa.table("bases", *map(sa.column, ("app", "package", "publisher"))),
        sa.table("heads", *map(sa.column, ("app", "name", "release", "head", "publisher"))),
    )
    connection = op.get_bind()
    said = connection.execute(sa.select(audit).where(audit.c.action.in_(("base.register", "head.register")))).all()
    for app, actor, action, subject, data in said:
        if action == "base.register":
            chosen = sa.update(bases).where(bases.c.app == app, bases.c.package == data.get("package"))
        else:
            name, _, release = subject.partition("@")
            chosen = sa.update(heads).where(
                heads.c.app == app,
                heads.c.name == name,
                heads.c.release == int(release),
                heads.c.head == data.get("head"),
            )
        connection.execute(chosen.values(publisher=actor))

"""What a migration does to what is there already."""

from __future__ import annotations

from sqlalchemy import text

from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate

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

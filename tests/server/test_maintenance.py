"""What operators do: migrate, tick, doctor, backup, restore, collect garbage."""

from __future__ import annotations

import io
import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from headway.contract.digests import digest_of, hex_of
from headway.contract.errors import RefusedError
from headway_server.app import Server
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import current, migrate, newest
from headway_server.db.tables import metadata
from headway_server.maintenance.backup import backup, restore
from headway_server.maintenance.doctor import Check, damaged, diagnose
from headway_server.maintenance.gc import sweep
from headway_server.maintenance.tick import tick
from headway_server.ports import Actor
from headway_server.publication.mirror import mirror_all
from headway_server.settings import Settings

from .backends import Backend
from .conftest import MakeServer, connect
from .world import FakeClock, PublisherWorld

ACTOR = Actor("cli", "-")
TIMESTAMP = "/apps/reader/metadata/timestamp.json"


def wrong(server: Server, **options: bool) -> list[str]:
    """Names of the doctor's checks that fail."""
    checks: tuple[Check, ...] = diagnose(server.ports, schema=newest(), wanted=newest(), **options)
    assert checks
    return [check.name for check in checks if not check.ok]


def test_migrations_make_what_the_tables_say(backend: Backend) -> None:
    database = SqlDatabase(backend.settings.resolved_database_url)
    assert current(database.engine) is None
    assert migrate(database.engine) == newest()
    assert migrate(database.engine) == newest()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_every_past_schema_can_be_migrated(backend: Backend) -> None:
    """Upgrade one revision after the other, as a server that skipped no release would."""
    from alembic.script import ScriptDirectory

    from headway_server.db.migrate import _config

    database = SqlDatabase(backend.settings.resolved_database_url)
    revisions = [s.revision for s in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]
    for revision in revisions:
        assert migrate(database.engine, revision) == revision
    assert revisions[-1] == newest()
    database.close()


def test_ticking_renews_the_timestamp(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    before = published.client.get(TIMESTAMP).json()["signed"]
    assert [t.resigned for t in tick(server.ports, ACTOR)] == [False]
    clock.forward(86_400)
    assert [t.resigned for t in tick(server.ports, ACTOR)] == [True]
    after = published.client.get(TIMESTAMP).json()["signed"]
    assert after["version"] == before["version"] + 1
    assert after["meta"] == before["meta"]
    assert after["expires"] > before["expires"]


def test_ticking_for_months_keeps_everything_fresh(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    """Without any publishing, no role that the server signs ever comes near its expiry."""
    for _ in range(40):
        clock.forward(86_400)
        tick(server.ports, ACTOR)
    with server.ports.database.read() as tx:
        ages = {r.role: clock() - r.created_at for r in tx.roles.currents("reader")}
    assert ages["timestamp"] <= 86_400
    assert ages["snapshot"] <= 8 * 86_400
    assert ages["channels"] <= 8 * 86_400


def test_ticking_decides(server: Server, published: PublisherWorld) -> None:
    published.offer(1)
    published.report(*(published.event(published.draft_head(1), "confirmed", n) for n in range(3)))
    (done,) = tick(server.ports, ACTOR)
    assert [action for _, action, _ in done.decisions] == ["complete"]


def test_doctor_is_content(server: Server, published: PublisherWorld) -> None:
    published.offer(1)
    assert wrong(server, storage=True) == []


def test_doctor_finds_an_old_schema(server: Server) -> None:
    checks = diagnose(server.ports, schema=None, wanted="0001")
    assert [(c.name, c.ok) for c in checks] == [("schema", False)]


def test_doctor_finds_and_repairs_a_damaged_tree(server: Server, published: PublisherWorld) -> None:
    store = server.ports.store
    store.replace("apps/reader/metadata/timestamp.json", b"{}")
    manifest = next(p for p in store.paths("apps/reader/targets/") if p.endswith("manifest.json"))
    store.delete(manifest)
    assert wrong(server) == ["reader: public tree", "reader: files"]
    for role in ("bases", "heads-kd"):
        for path in store.paths("apps/reader/metadata/"):
            if path.endswith(f".{role}.json"):
                store.delete(path)
    mirror_all(server.ports, force=True)
    assert wrong(server) == []


def test_doctor_finds_open_keys_and_stale_timestamps(
    server: Server, published: PublisherWorld, clock: FakeClock
) -> None:
    key = server.ports.settings.keys_dir / "reader" / "timestamp.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    clock.forward(3 * 86_400)
    assert wrong(server) == ["keys", "reader: timestamp"]


def test_damaged_artifacts_are_found(server: Server, published: PublisherWorld) -> None:
    assert damaged(server.ports, "reader") == ()
    path = server.ports.store.paths("apps/reader/artifacts/")[0]
    server.ports.store.replace(path, b"rotten")
    assert damaged(server.ports, "reader") == (path,)
    assert "reader: artifacts" in wrong(server, deep=True)


def test_garbage(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    published.upload(b"never used")
    store = server.ports.store
    stray = f"apps/reader/artifacts/{hex_of(digest_of(b'stray'))}"
    store.replace(stray, b"stray")
    kept = len(store.paths("apps/reader/artifacts/")) - 2
    assert sweep(server.ports, dry_run=True)[0].artifacts == ()
    clock.forward(2 * 86_400)
    planned = sweep(server.ports, dry_run=True)
    assert planned == sweep(server.ports)
    assert planned[0].artifacts == (digest_of(b"never used"),)
    assert planned[0].strays == (stray,)
    assert len(store.paths("apps/reader/artifacts/")) == kept
    assert wrong(server) == ["reader: timestamp"]


def test_backup_and_restore(
    server: Server, backend: Backend, published: PublisherWorld, make_server: MakeServer, tmp_path: Path
) -> None:
    archive, fresh = tmp_path / "backup.tar", Settings(data_dir=tmp_path / "restored")
    if not backend.local:
        with pytest.raises(RefusedError, match="SQLite and a folder"):
            backup(backend.settings, archive)
        return
    backup(server.ports.settings, archive)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with pytest.raises(RefusedError, match="exists"):
        backup(server.ports.settings, archive)
    restore(fresh, archive)
    again = make_server(fresh)
    assert wrong(again) == []
    world = PublisherWorld(connect(again), published.headers["Authorization"].split()[1], "reader", published.clock)
    world.packages = published.packages
    assert world.client.get(TIMESTAMP).content == published.client.get(TIMESTAMP).content
    world.publish_head(2)
    with pytest.raises(RefusedError, match="not empty"):
        restore(fresh, archive)


def test_a_file_that_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"not a tar")
    with pytest.raises(RefusedError, match="no backup"):
        restore(Settings(data_dir=tmp_path / "d"), tmp_path / "x.tar")
    with pytest.raises(RefusedError, match="There is no file"):
        restore(Settings(data_dir=tmp_path / "d"), tmp_path / "y.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]  # nothing half-restored


def test_a_backup_that_was_cut_off(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    (settings.data_dir / "headway.db").touch()
    (settings.data_dir / "keys").mkdir()
    (settings.data_dir / "keys" / "server.key").write_bytes(b"k" * 50_000)
    backup(settings, tmp_path / "whole.tar")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "whole.tar").read_bytes()[:20_000])
    with pytest.raises(RefusedError, match="damaged"):
        restore(Settings(data_dir=tmp_path / "d"), tmp_path / "cut.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.tar", "data", "whole.tar"]


@pytest.mark.parametrize(
    "entries",
    [
        [("../out", tarfile.REGTYPE)],
        [("/out", tarfile.REGTYPE)],
        [("keys", tarfile.SYMTYPE), ("keys/out", tarfile.REGTYPE)],
        [("keys", tarfile.LNKTYPE)],
        [("keys", tarfile.FIFOTYPE)],
        [("keys", tarfile.REGTYPE), ("keys/server.key", tarfile.REGTYPE)],
        [("keys", tarfile.DIRTYPE), ("keys", tarfile.REGTYPE)],
    ],
)
def test_a_backup_that_leads_elsewhere(entries: list[tuple[str, bytes]], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "odd.tar", "w") as archive:
        note = tarfile.TarInfo("VERSION")
        note.size = len("headway-backup-1")
        archive.addfile(note, io.BytesIO(b"headway-backup-1"))
        for name, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, str(tmp_path)
            archive.addfile(entry)
    with pytest.raises(RefusedError, match="damaged"):
        restore(Settings(data_dir=tmp_path / "d"), tmp_path / "odd.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.tar"]


def test_a_backup_that_cannot_be_finished_leaves_no_file(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    (settings.data_dir / "headway.db").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        backup(settings, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()

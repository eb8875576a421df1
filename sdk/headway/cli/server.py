"""``headway server``: run and look after a registry. Settings come from ``HEADWAY_SERVER_*``; flags win over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.moments import shown
from headway.cli.options import AsJson
from headway.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from headway_server.ports import Ports
    from headway_server.settings import Settings

app = typer.Typer(help="Run and look after a registry.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Database, keys and public tree.")]


def _settings(data_dir: Path | None, **changes: Any) -> Settings:
    from headway_server.settings import load

    given = {"data_dir": data_dir, **changes}
    return load(**{name: value for name, value in given.items() if value is not None})


def _ports(settings: Settings) -> Ports:
    from headway_server.opening import opened

    return opened(settings)


@app.command()
def run(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve.")] = None,
) -> None:
    """Serve. The first run makes the database and prints an admin token on standard error."""
    from headway_server.runner import run as serve

    serve(_settings(data_dir, host=host, port=port, workers=workers))


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the schema of this version."""
    from headway_server.db.engine import make_engine
    from headway_server.db.migrate import migrate as upgrade

    reached = upgrade(make_engine(_settings(data_dir).resolved_database_url))
    note(f"The database is at revision {reached}.")


@app.command()
def tick(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Decide about all rollouts and renew timestamps: run it every few minutes from a timer."""
    from headway_server.maintenance.tick import tick as run_tick
    from headway_server.ports import Actor

    done = run_tick(_ports(_settings(data_dir)), Actor("cli:tick", "-"))
    if as_json:
        rows = [{"app": t.app, "decisions": [list(d) for d in t.decisions], "resigned": t.resigned} for t in done]
        print_json({"schema": 1, "apps": rows})
        return
    print_table([(t.app, *d) for t in done for d in t.decisions], ("app", "rollout", "decision", "why"))
    renewed = [t.app for t in done if t.resigned]
    note(f"Timestamps renewed: {', '.join(renewed) or 'none was due'}.")


@app.command()
def doctor(
    data_dir: DataDir = None,
    storage: Annotated[bool, typer.Option("--storage", help="Also write, read and delete a probe file.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Also hash every artifact.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="First write what the public tree lacks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check schema, storage, keys, signatures and the public tree; exit 1 if something is wrong."""
    from headway_server.maintenance.examination import examine

    checks = examine(_settings(data_dir), storage=storage, deep=deep, repair=repair)
    if as_json:
        print_json({"schema": 1, "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]})
    else:
        print_table([(c.name, "ok" if c.ok else "WRONG", c.detail) for c in checks], ("check", "state", "detail"))
    if not all(c.ok for c in checks):
        raise typer.Exit(1)


@app.command("create-token")
def create_token(
    scope: Annotated[list[str], typer.Option(help="admin, publish, release or read; may be repeated.")],
    for_app: Annotated[str | None, typer.Option("--app", help="Only for this app; without it, for all.")] = None,
    note_text: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    expires_days: Annotated[int | None, typer.Option(help="Days until it expires.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make an access token and print it: this is the only time it can be seen."""
    from headway_server.catalog.tokens import create
    from headway_server.ports import Actor

    ports = _ports(_settings(data_dir))
    expires_s = None if expires_days is None else expires_days * 86_400
    _, text = create(
        ports, Actor("cli:create-token", "-"), app=for_app, scopes=scope, note=note_text, expires_after_s=expires_s
    )
    typer.echo(text)


@app.command("list-tokens")
def list_tokens(
    for_app: Annotated[str | None, typer.Option("--app", help="Only of this app.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List access tokens, those revoked too; their secrets are kept nowhere."""
    from headway_server.catalog.tokens import listed

    found = listed(_ports(_settings(data_dir)), for_app)
    if as_json:
        known = ("id", "app", "scopes", "note", "created_at", "expires_at", "revoked_at", "last_used_at")
        print_json({"schema": 1, "tokens": [{name: getattr(token, name) for name in known} for token in found]})
        return
    rows = [
        (
            t.id,
            t.app or "(all)",
            ",".join(t.scopes),
            *("-" if at is None else shown(at) for at in (t.created_at, t.last_used_at, t.expires_at, t.revoked_at)),
            t.note,
        )
        for t in found
    ]
    print_table(rows, ("id", "app", "scopes", "made", "last used", "expires", "revoked", "note"))


@app.command("revoke-token")
def revoke_token(
    token: Annotated[str, typer.Argument(metavar="ID", help="A token's id: the first part of it after its kind.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke an access token at once, as after a leak; the audit log keeps what it did."""
    from headway_server.catalog.tokens import revoke
    from headway_server.ports import Actor

    revoke(_ports(_settings(data_dir)), Actor("cli:revoke-token", "-"), None, token)
    note(f"Revoked {token}: it may do nothing any more. What it did stands in the audit log as token:{token}.")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The tar file to make; it must not exist.")],
    data_dir: DataDir = None,
) -> None:
    """Write database, keys and public tree to one private tar file; the server may run meanwhile."""
    from headway_server.maintenance.backup import backup as write

    size = write(_settings(data_dir), target)
    note(f"Wrote {target} ({size} bytes). It holds the online private keys: keep it safe.")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `headway server backup` made.")],
    data_dir: DataDir = None,
) -> None:
    """Unpack a backup into an empty data folder, migrate it, and check it with doctor afterwards."""
    from headway_server.db.engine import make_engine
    from headway_server.db.migrate import migrate as upgrade
    from headway_server.maintenance.backup import restore as unpack

    settings = _settings(data_dir)
    unpack(settings, source)
    upgrade(make_engine(settings.resolved_database_url))
    note(f"Restored into {settings.data_dir}.")


@app.command()
def gc(
    data_dir: DataDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove uploads that no release names, what crashed uploads left behind, and old single outcomes."""
    from headway_server.maintenance.gc import sweep
    from headway_server.maintenance.prune import prune

    ports = _ports(_settings(data_dir))
    swept = sweep(ports, dry_run=dry_run)
    pruned = {p.app: p.events for p in prune(ports, dry_run=dry_run)}
    if as_json:
        rows = [
            {
                "app": s.app,
                "artifacts": list(s.artifacts),
                "strays": list(s.strays),
                "uploads": list(s.uploads),
                "outcomes": pruned.get(s.app, 0),
            }
            for s in swept
        ]
        print_json({"schema": 1, "dry_run": dry_run, "apps": rows})
        return
    rows_shown = [(s.app, len(s.artifacts), len(s.strays), len(s.uploads), pruned.get(s.app, 0)) for s in swept]
    print_table(rows_shown, ("app", "unused files", "strays", "expired uploads", "old outcomes"))

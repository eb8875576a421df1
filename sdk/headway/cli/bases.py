"""``headway bases``: publish and list base versions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.connect import App, AsJson, Keys, Token, Url, effective, progress_of, registry, signers
from headway.cli.output import note, print_json, print_table
from headway.cli.waivers import Waive, WaiveReason, waivers_of

app = typer.Typer(help="Publish and list bases.", no_args_is_help=True)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="The base release: a folder or a zip of it.")],
    base_id: Annotated[str, typer.Option("--id", help="The base's id, for example kdconv-mobilebert.")],
    version: Annotated[str, typer.Option(help="Its version, for example 1 or 1.2.")],
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    keys: Keys = None,
    waive: Waive = (),  # type: ignore[assignment]
    reason: WaiveReason = (),  # type: ignore[assignment]
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a base by its own golden batch, upload it and sign it."""
    from headway.publisher.publish import publish_base

    chosen = effective(url=url, token=token, app=app_name, keys=keys)
    with registry(chosen) as there:
        done = publish_base(
            there,
            folder,
            base_id=base_id,
            version=version,
            signers=signers(chosen),
            waivers=waivers_of(waive, reason),
            dry_run=dry_run,
            on_progress=progress_of(f"{base_id}@{version}"),
        )
    for warning in done.warnings:
        note(f"Note: {warning}")
    if as_json:
        print_json({"schema": 1, **asdict(done)})
    else:
        state = "would be published" if dry_run else "published" if done.new else "was published already"
        typer.echo(f"{base_id}@{version} {state} ({done.uploaded_bytes} bytes sent), manifest {done.manifest}")


@app.command("list")
def list_bases(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """List base versions."""
    with registry(effective(url=url, token=token, app=app_name)) as there:
        rows = there.bases()
    if as_json:
        print_json({"schema": 1, "bases": rows})
    else:
        table = [(f"{r['base_id']}@{r['version']}", r["package"], r["bytes"], r["state"]) for r in rows]
        print_table(table, ("base", "package", "bytes", "state"))

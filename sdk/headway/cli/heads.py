"""``headway heads``: publish, list and revoke head releases, and show what each was proven on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from headway.cli.connect import (
    App,
    AsJson,
    BaseId,
    Keys,
    Token,
    Url,
    effective,
    progress_of,
    registry,
    release_of,
    signers,
)
from headway.cli.output import note, print_json, print_table
from headway.cli.waivers import Waive, WaiveReason, waivers_of

app = typer.Typer(help="Publish, list, revoke and describe heads.", no_args_is_help=True)


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="The head release: a folder or a zip of it.")],
    name: Annotated[str, typer.Option(help="The head's name, for example topic.")],
    base_id: BaseId,
    base: Annotated[list[Path], typer.Option("--base", help="A base release folder to prove it on; may be repeated.")],
    release: Annotated[int | None, typer.Option(help="Release number; default: the next one.")] = None,
    rebase: Annotated[
        str, typer.Option(help="What personal heads do with it: replay, merge, keep or discard.")
    ] = "replay",
    min_os: Annotated[str, typer.Option(help="Oldest system it may run on.")] = "15.0",
    min_app_build: Annotated[int, typer.Option(help="Oldest app build it may run in.")] = 0,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    keys: Keys = None,
    waive: Waive = (),  # type: ignore[assignment]
    reason: WaiveReason = (),  # type: ignore[assignment]
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and prove everything, change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove a head on its bases, upload it and sign it. Nobody gets it before a channel offers it."""
    from headway.contract.versions import parse_version
    from headway.publisher.describe import HeadOptions
    from headway.publisher.publish import publish_head

    chosen = effective(url=url, token=token, app=app_name, keys=keys)
    options = HeadOptions(min_os=parse_version(min_os, what="--min-os"), min_app_build=min_app_build, rebase=rebase)
    with registry(chosen) as there:
        done = publish_head(
            there,
            folder,
            base_id=base_id,
            name=name,
            bases=base,
            signers=signers(chosen),
            release=release,
            options=options,
            waivers=waivers_of(waive, reason),
            dry_run=dry_run,
            on_progress=progress_of(name),
        )
    for warning in done.warnings:
        note(f"Note: {warning}")
    if as_json:
        print_json({"schema": 1, **asdict(done)})
        return
    state = "would be published" if dry_run else "published" if done.new else "was published already"
    typer.echo(f"{name}@{done.version} {state} ({done.uploaded_bytes} bytes sent), manifest {done.manifest}")
    if done.new and not dry_run:
        note(f"Offer it: headway channels offer {name}@{done.version} --base-id {base_id} --permyriad 1000")


@app.command("list")
def list_heads(
    name: Annotated[str | None, typer.Argument(help="Only this head.")] = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """List head releases."""
    with registry(effective(url=url, token=token, app=app_name)) as there:
        rows = there.heads(name)
    if as_json:
        print_json({"schema": 1, "heads": rows})
        return
    table = [(f"{r['name']}@{r['release']}", r["base_id"], r["head"][:19], r["bytes"], r["state"]) for r in rows]
    print_table(table, ("head", "base", "digest", "bytes", "state"))


@app.command()
def proofs(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """Which head was proven on which base, and how well."""
    with registry(effective(url=url, token=token, app=app_name)) as there:
        rows = there.proofs()
    if as_json:
        print_json({"schema": 1, "proofs": rows})
        return
    table = [
        (
            f"{row['name']}@{row['release']}",
            row["base"][:19],
            f"{row['proof']['accuracy_permyriad'] / 100:.2f} %",
            f"{row['proof']['probability_deviation_micro'] / 1e6:.6f}",
            row["verdict"],
        )
        for row in rows
    ]
    print_table(table, ("head", "base", "golden accuracy", "deviation", "verdict"))


@app.command()
def revoke(
    reference: Annotated[str, typer.Argument(help="The release, for example topic@17.")],
    base_id: BaseId,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    keys: Keys = None,
) -> None:
    """Mark a release as revoked under the publisher's signature: no device takes it any more."""
    from headway.publisher.publish import revoke_head

    target = release_of(reference)
    chosen = effective(url=url, token=token, app=app_name, keys=keys)
    with registry(chosen) as there:
        done = revoke_head(there, base_id=base_id, name=target.name, release=target.number, signers=signers(chosen))
    typer.echo(f"{reference} is revoked ({done.role} version {done.version})")
    note("Devices that run it keep it; to order them off, use `headway channels recall`.")

"""``headway bases``: publish bases and list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.marks import make_alias_app, make_label_app
from headway.cli.output import print_json, print_table
from headway.cli.registry import (
    App,
    AsJson,
    Keys,
    Token,
    UploadProgress,
    Url,
    connect,
    effective,
    key_folder,
    published_json,
    say_published,
)
from headway.cli.waiving import Reasons, Waived, waivers

app = typer.Typer(help="Publish and list bases.", no_args_is_help=True, add_completion=False)
app.add_typer(make_alias_app("base"), name="alias")
app.add_typer(make_label_app("base"), name="label")


@app.command()
def publish(
    release: Annotated[Path, typer.Argument(help="The base release: a folder or a zip.")],
    base_id: Annotated[str, typer.Option("--base-id", help="The base's id.")],
    version: Annotated[str, typer.Option("--version", help="Its version, for example 1 or 2.1.")],
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    keys: Keys = None,
    builder: Annotated[str, typer.Option(help="Who or what built it, for its provenance.")] = "headway",
    waive: Waived = None,
    reason: Reasons = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check, upload and sign a base. Safe to repeat."""
    from headway.publisher.publish import publish_base

    chosen = effective(url=url, token=token, app=app_name, keys=keys)
    with connect(chosen) as registry:
        done = publish_base(
            registry,
            release,
            base_id=base_id,
            version=version,
            signers=key_folder(chosen).all(),
            builder=builder,
            waivers=waivers(waive, reason),
            dry_run=dry_run,
            on_progress=UploadProgress(),
        )
    say_published(done)
    if as_json:
        print_json(published_json(done))


@app.command("list")
def list_bases(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """List all base versions."""
    chosen = effective(url=url, token=token, app=app_name)
    with connect(chosen) as registry:
        records = registry.bases()
    if as_json:
        print_json({"schema": 1, "bases": records})
        return
    rows = [(f"{r['base_id']}@{r['version']}", r["state"], r["bytes"], r["package"], r["checked"]) for r in records]
    print_table(rows, ("base", "state", "bytes", "package", "checked"))

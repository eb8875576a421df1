"""``headway bases``: publish bases and list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.aliases import make_alias_app
from headway.cli.labels import make_label_app
from headway.cli.options import AsJson, Builder, DryRun, There, reaching
from headway.cli.output import print_json, print_table
from headway.cli.publishing import UploadProgress, published_json, say_published
from headway.cli.waiving import Waived, waivers

app = typer.Typer(help="Publish and list bases.", no_args_is_help=True, add_completion=False)
app.add_typer(make_alias_app("base"), name="alias")
app.add_typer(make_label_app("base"), name="label")


@app.command()
@reaching("keys")
def publish(
    there: There,
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The base release: a folder or a zip.")],
    base_id: Annotated[str, typer.Option("--base-id", help="The base's id.")],
    version: Annotated[str, typer.Option("--version", help="Its version, for example 1 or 2.1.")],
    builder: Builder = "headway",
    waive: Waived = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Check, upload and sign a base. Safe to repeat."""
    from headway.publisher.publish import publish_base

    with there.registry() as registry:
        done = publish_base(
            registry,
            release,
            base_id=base_id,
            version=version,
            signers=there.keys().all(),
            builder=builder,
            waivers=waivers(waive),
            dry_run=dry_run,
            on_progress=UploadProgress(),
        )
    say_published(done)
    if as_json:
        print_json(published_json(done))


@app.command("list")
@reaching()
def list_bases(there: There, as_json: AsJson = False) -> None:
    """List all base versions."""
    with there.registry() as registry:
        records = registry.bases()
    if as_json:
        print_json({"schema": 1, "bases": records})
        return
    rows = [(f"{r['base_id']}@{r['version']}", r["state"], r["bytes"], r["package"], r["checked"]) for r in records]
    print_table(rows, ("base", "state", "bytes", "package", "checked"))

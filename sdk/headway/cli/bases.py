"""``headway bases``: publish bases and list them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.aliases import make_alias_app
from headway.cli.labels import make_label_app
from headway.cli.options import AsJson, Builder, DryRun, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.cli.publishing import UploadProgress, published_json, say_published
from headway.cli.waiving import Waived, waivers
from headway.contract.digests import parse_digest

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


@app.command()
@reaching()
def impact(
    there: There,
    reference: Annotated[str, typer.Argument(metavar="BASE_ID@VERSION|DIGEST", help="The base that the app may ship.")],
    as_json: AsJson = False,
) -> None:
    """If the app ships this base: which heads run on it, which are lost, and for which share of devices."""
    with there.registry() as registry:
        records = registry.bases()
        named = {f"{r['base_id']}@{r['version']}": r["package"] for r in records}
        found = registry.impact(named.get(reference) or parse_digest(reference, document="base reference"))
    if as_json:
        print_json({"schema": 1, **found})
        return
    heads = [(f"{h['name']}@{h['release']}", ", ".join(h["reasons"]) or "runs") for h in found["heads"]]
    print_table(heads, ("head", "on this base"))
    names = {digest: name for name, digest in named.items()}
    shares = [(names.get(base, base), f"{share / 100:.2f} %") for base, share in found["shares_by_base"].items()]
    typer.echo("")
    print_table(shares, ("devices are on", "share"))
    lost = ", ".join(found["lost"]) or "no head"
    note(f"Lost: {lost}; {found['lost_permyriad'] / 100:.2f} % of what devices confirmed.")


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

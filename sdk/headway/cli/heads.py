"""``headway heads``: publish, list and revoke heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from headway.cli.aliases import make_alias_app
from headway.cli.arguments import release_of
from headway.cli.labels import make_label_app
from headway.cli.options import AsJson, Builder, DryRun, Release, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.cli.publishing import UploadProgress, published_json, say_published
from headway.cli.releases import gate_rows, head_facts, proof_rows, state_of
from headway.cli.waiving import Waived, waivers
from headway.contract.versions import parse_version

Rebase = Literal["replay", "merge", "keep", "discard"]

app = typer.Typer(help="Publish, list, revoke and describe heads.", no_args_is_help=True, add_completion=False)
app.add_typer(make_alias_app("head"), name="alias")
app.add_typer(make_label_app("head"), name="label")


@app.command()
@reaching("base_id", "keys")
def publish(
    there: There,
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="The head release: a folder or a zip.")],
    name: Annotated[str, typer.Option("--name", help="The head's name.")],
    base: Annotated[list[Path], typer.Option("--base", help="A base release to prove it on; may be repeated.")],
    number: Annotated[int | None, typer.Option("--release", help="Its number.", show_default="the next one")] = None,
    min_os: Annotated[str, typer.Option(help="The oldest system it may run on.")] = "15",
    max_os: Annotated[str | None, typer.Option(help="The newest system it may run on.")] = None,
    min_app_build: Annotated[int, typer.Option(min=0, help="The oldest app build it may run in.")] = 0,
    rebase: Annotated[Rebase, typer.Option(help="What personal heads do when they meet it.")] = "replay",
    builder: Builder = "headway",
    waive: Waived = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Prove, upload and sign a head. Safe to repeat."""
    from headway.publisher.describe import HeadOptions
    from headway.publisher.publish import publish_head

    options = HeadOptions(
        min_os=parse_version(min_os, what="--min-os"),
        max_os=None if max_os is None else parse_version(max_os, what="--max-os"),
        min_app_build=min_app_build,
        rebase=rebase,
    )
    with there.registry() as registry:
        done = publish_head(
            registry,
            release,
            base_id=there.base_id(registry),
            name=name,
            bases=base,
            signers=there.keys().all(),
            release=number,
            options=options,
            builder=builder,
            waivers=waivers(waive),
            dry_run=dry_run,
            on_progress=UploadProgress(),
        )
    say_published(done)
    if done.new and not done.dry_run:
        note(f"Offer it: headway channels offer {name}@{done.version} --share 10")
    if as_json:
        print_json(published_json(done))


@app.command("list")
@reaching()
def list_heads(
    there: There,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this head.")] = None,
    as_json: AsJson = False,
) -> None:
    """List head releases."""
    with there.registry() as registry:
        records = registry.heads(name)
    if as_json:
        print_json({"schema": 1, "heads": records})
        return
    rows = [
        (f"{r['name']}@{r['release']}", r["base_id"], state_of(r), ",".join(r["labels"]), r["head"], r["checked"])
        for r in records
    ]
    print_table(rows, ("head", "base", "state", "labels", "digest", "checked"))


@app.command()
@reaching()
def proofs(there: There, as_json: AsJson = False) -> None:
    """Which head was proven on which base, and how well."""
    with there.registry() as registry:
        edges = registry.proofs()
    if as_json:
        print_json({"schema": 1, "proofs": edges})
        return
    rows = [
        (
            f"{edge['name']}@{edge['release']}",
            edge["base"],
            f"{edge['proof']['accuracy_permyriad'] / 100:.2f} %",
            f"{edge['proof']['probability_deviation_micro'] / 1e6:.6f}",
            edge["verdict"],
        )
        for edge in edges
    ]
    print_table(rows, ("head", "base", "golden accuracy", "deviation", "verdict"))


@app.command()
@reaching()
def show(
    there: There,
    reference: Release,
    as_json: AsJson = False,
) -> None:
    """Show one release: its gate with what was waived and why, and every proof with its date."""
    release = release_of(reference)
    with there.registry() as registry:
        records = registry.head_release(release.name, release.number)
    if as_json:
        print_json({"schema": 1, "heads": records})
        return
    for record in records:
        print_table(head_facts(record), ("fact", "value"))
        typer.echo("")
        if record["gate"]:
            print_table(gate_rows(record["gate"]), ("gate", "limit", "found", "verdict", "waived because"))
            typer.echo("")
        print_table(proof_rows(record), ("proven on", "when", "by", "result", "golden accuracy", "note"))


@app.command()
@reaching("base_id", "keys")
def revoke(
    there: There,
    reference: Release,
) -> None:
    """Mark a release as revoked under the publisher's signature: no device takes it, and those that run it leave it."""
    from headway.publisher.publish import revoke_head

    release = release_of(reference)
    with there.registry() as registry:
        signed = revoke_head(
            registry,
            base_id=there.base_id(registry),
            name=release.name,
            release=release.number,
            signers=there.keys().all(),
        )
    note(f"{reference} is {'now' if signed.changed else 'already'} revoked, for ever.")
    note("Devices that run it leave it at their next good poll, for the release before it or the embedded head.")


@app.command()
@reaching()
def lineage(there: There) -> None:
    """Print the graph of bases and heads as JSON: parents, and edges with contract and proof."""
    with there.registry() as registry:
        print_json({"schema": 1, **registry.lineage()})

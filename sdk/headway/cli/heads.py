"""``headway heads``: publish, list and revoke heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.marks import make_alias_app, make_label_app
from headway.cli.output import note, print_json, print_table
from headway.cli.registry import (
    App,
    AsJson,
    BaseId,
    Keys,
    Token,
    UploadProgress,
    Url,
    connect,
    effective,
    key_folder,
    only_base_id,
    published_json,
    release_of,
    say_published,
)
from headway.cli.releases import gate_rows, head_facts, proof_rows
from headway.cli.waiving import Reasons, Waived, waivers
from headway.contract.versions import parse_version

app = typer.Typer(help="Publish, list, revoke and describe heads.", no_args_is_help=True, add_completion=False)
app.add_typer(make_alias_app("head"), name="alias")
app.add_typer(make_label_app("head"), name="label")


@app.command()
def publish(
    release: Annotated[Path, typer.Argument(help="The head release: a folder or a zip.")],
    name: Annotated[str, typer.Option("--name", help="The head's name.")],
    base: Annotated[list[Path], typer.Option("--base", help="A base release to prove it on; may be repeated.")],
    base_id: BaseId = None,
    number: Annotated[int | None, typer.Option("--release", help="Its number.", show_default="the next one")] = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    keys: Keys = None,
    min_os: Annotated[str, typer.Option(help="The oldest system it may run on.")] = "15",
    max_os: Annotated[str | None, typer.Option(help="The newest system it may run on.")] = None,
    min_app_build: Annotated[int, typer.Option(min=0, help="The oldest app build it may run in.")] = 0,
    rebase: Annotated[str, typer.Option(help="What personal heads do: replay, merge, keep or discard.")] = "replay",
    builder: Annotated[str, typer.Option(help="Who or what built it, for its provenance.")] = "headway",
    waive: Waived = None,
    reason: Reasons = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prove, upload and sign a head. Safe to repeat."""
    from headway.publisher.describe import HeadOptions
    from headway.publisher.publish import publish_head

    chosen = effective(url=url, token=token, app=app_name, keys=keys)
    options = HeadOptions(
        min_os=parse_version(min_os, what="--min-os"),
        max_os=None if max_os is None else parse_version(max_os, what="--max-os"),
        min_app_build=min_app_build,
        rebase=rebase,
    )
    with connect(chosen) as registry:
        done = publish_head(
            registry,
            release,
            base_id=only_base_id(registry, base_id),
            name=name,
            bases=base,
            signers=key_folder(chosen).all(),
            release=number,
            options=options,
            builder=builder,
            waivers=waivers(waive, reason),
            dry_run=dry_run,
            on_progress=UploadProgress(),
        )
    say_published(done)
    if done.new and not done.dry_run:
        note(f"Offer it: headway channels offer {name}@{done.version} --share 10")
    if as_json:
        print_json(published_json(done))


@app.command("list")
def list_heads(
    name: Annotated[str | None, typer.Argument(help="Only this head.")] = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """List head releases."""
    chosen = effective(url=url, token=token, app=app_name)
    with connect(chosen) as registry:
        records = registry.heads(name)
    if as_json:
        print_json({"schema": 1, "heads": records})
        return
    rows = [
        (f"{r['name']}@{r['release']}", r["base_id"], r["state"], ",".join(r["labels"]), r["head"], r["checked"])
        for r in records
    ]
    print_table(rows, ("head", "base", "state", "labels", "digest", "checked"))


@app.command()
def proofs(url: Url = None, token: Token = None, app_name: App = None, as_json: AsJson = False) -> None:
    """Which head was proven on which base, and how well."""
    chosen = effective(url=url, token=token, app=app_name)
    with connect(chosen) as registry:
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
def show(
    reference: Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release.")],
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    as_json: AsJson = False,
) -> None:
    """Show one release: its gate with what was waived and why, and every proof with its date."""
    chosen = effective(url=url, token=token, app=app_name)
    release = release_of(reference)
    with connect(chosen) as registry:
        records = registry.head_release(release.name, release.number)
    if as_json:
        print_json({"schema": 1, "heads": records})
        return
    for record in records:
        print_table(head_facts(record), ("fact", "value"))
        print_table(gate_rows(record["gate"]), ("gate", "limit", "found", "verdict", "waived because"))
        print_table(proof_rows(record), ("proven on", "when", "by", "result", "golden accuracy", "note"))


@app.command()
def revoke(
    reference: Annotated[str, typer.Argument(metavar="NAME@RELEASE", help="The release.")],
    base_id: BaseId = None,
    url: Url = None,
    token: Token = None,
    app_name: App = None,
    keys: Keys = None,
) -> None:
    """Mark a release as revoked under the publisher's signature: no device takes it, and those that run it leave it."""
    from headway.publisher.publish import revoke_head

    chosen = effective(url=url, token=token, app=app_name, keys=keys)
    release = release_of(reference)
    with connect(chosen) as registry:
        signed = revoke_head(
            registry,
            base_id=only_base_id(registry, base_id),
            name=release.name,
            release=release.number,
            signers=key_folder(chosen).all(),
        )
    note(f"{reference} is {'now' if signed.changed else 'already'} revoked, for ever.")
    note("Devices that run it leave it at their next good poll, for the release before it or the embedded head.")


@app.command()
def lineage(url: Url = None, token: Token = None, app_name: App = None) -> None:
    """Print the graph of bases and heads as JSON: parents, and edges with contract and proof."""
    chosen = effective(url=url, token=token, app=app_name)
    with connect(chosen) as registry:
        print_json({"schema": 1, **registry.lineage()})

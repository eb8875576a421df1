"""``headway search``: find releases of heads and bases in the catalog."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Literal

import typer

from headway.cli.moments import moment, shown
from headway.cli.options import AsJson, Limit, There, reaching
from headway.cli.output import note, print_json, print_table

app = typer.Typer(add_completion=False)

State = Literal["registered", "live", "revoked", "unlisted", "recalled", "yanked"]


@app.command()
@reaching()
def search(
    there: There,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="How the name of the head, or the id of the base, begins.")
    ] = None,
    kind: Annotated[Literal["head", "base"] | None, typer.Option(help="Only these.")] = None,
    label: Annotated[str | None, typer.Option(metavar="KEY[=VALUE]", help="Has this label.")] = None,
    alias: Annotated[str | None, typer.Option(help="This alias points to it.")] = None,
    digest: Annotated[str | None, typer.Option(help="How its digest begins.")] = None,
    base: Annotated[str | None, typer.Option(help="A base id, or how the digest of a proven base begins.")] = None,
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    publisher: Annotated[str | None, typer.Option(help="The token that registered it.")] = None,
    since: Annotated[str | None, typer.Option(help="Registered on that day or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Registered on that day or earlier.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Find releases that fit everything given, newest first."""
    with there.registry() as registry:
        matching = registry.search(
            kind=kind,
            name=name,
            label=label,
            alias=alias,
            digest=digest,
            base=base,
            state=state,
            publisher=publisher,
            since=None if since is None else moment(since, end=False),
            until=None if until is None else moment(until),
            page=min(limit + 1, 200),
        )
        found = list(islice(matching, limit + 1))
    more, found = len(found) > limit, found[:limit]
    if as_json:
        print_json({"schema": 1, "found": found, "more": more})
    else:
        rows = [
            (
                f"{r['name'] or r['base_id']}@{r['release']}",
                r["kind"],
                r["state"],
                ",".join(r["aliases"]) or "-",
                ",".join(f"{key}={value}" for key, value in r["labels"].items()) or "-",
                shown(r["created_at"]),
                r["digest"],
            )
            for r in found
        ]
        print_table(rows, ("release", "kind", "state", "aliases", "labels", "registered", "digest"))
    if more:
        note(f"There are more; --limit is {limit}.")

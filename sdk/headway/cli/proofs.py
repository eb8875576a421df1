"""``headway proofs``: the matrix of heads and bases, and running any of it again on the registry."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headway.cli.arguments import release_of
from headway.cli.options import AsJson, There, reaching
from headway.cli.output import note, print_json, print_table
from headway.cli.releases import accuracy, moment, run_row
from headway.contract.errors import RefusedError

app = typer.Typer(help="Which head was proven on which base; prove it again.", no_args_is_help=True)

EXIT_NOT_PROVEN = 1


@app.command("list")
@reaching()
def list_proofs(there: There, as_json: AsJson = False) -> None:
    """List every proof: those kept at registration, and those run again."""
    with there.registry() as registry:
        edges, runs = registry.proofs(), registry.proof_runs()
    if as_json:
        print_json({"schema": 1, "proofs": edges, "runs": runs})
        return
    rows = [run_row(run) for run in runs]
    rows += [
        (f"{e['name']}@{e['release']}", e["base"], moment(e["created_at"]), "at registration", "proven",
         accuracy(e["reproof"] or e["proof"]), e["verdict"])
        for e in edges
    ]  # fmt: skip
    print_table(rows, ("head", "base", "when", "by", "result", "golden accuracy", "note"))


@app.command()
@reaching()
def rerun(
    there: There,
    reference: Annotated[str | None, typer.Argument(metavar="NAME@RELEASE", help="Only this release.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Only on this base, by digest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run golden batches again on the registry, one after the other; older proofs stay. Exit 1 if one does not hold."""
    wanted = None if reference is None else release_of(reference)
    with there.registry() as registry:
        edges = [
            edge
            for edge in registry.proofs()
            if (wanted is None or (edge["name"], edge["release"]) == (wanted.name, wanted.number))
            and (base is None or edge["base"] == base)
        ]
        if not edges and (reference or base):
            raise RefusedError(
                "no_such_proof",
                "No head was proven" + (f" as {reference}" if reference else "") + (f" on {base}." if base else "."),
                hint="See `headway proofs list`.",
                kind="not_found",
            )
        runs: list[dict[str, Any]] = []
        for edge in edges:
            note(f"Running {edge['name']}@{edge['release']} on {edge['base'][:19]} …")
            runs.append(registry.rerun_proof(edge["base_id"], edge["name"], edge["release"], edge["base"]))
    if as_json:
        print_json({"schema": 1, "runs": runs})
    else:
        rows = [run_row(run) for run in runs]
        print_table(rows, ("head", "base", "when", "by", "result", "golden accuracy", "note"))
    if any(run["result"] in ("not_proven", "broken") for run in runs):
        raise typer.Exit(EXIT_NOT_PROVEN)

"""``headway report``: a rehearsal's ``report.json`` as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.arguments import writable
from headway.cli.files import write_file
from headway.cli.output import note

app = typer.Typer(help="Turn a simulation's result into a page.", add_completion=False)


Result = Annotated[
    Path, typer.Argument(metavar="RESULT", exists=True, dir_okay=False, help="The report.json of a run.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page; default: beside the result.")]


@app.command()
def report(result: Result, out: Out = None) -> None:
    """Write the page of RESULT and print where it is."""
    from headway.fleet.report.codec import from_json
    from headway.fleet.report.page import render

    target = writable(out or result.with_suffix(".html"))
    write_file(target, render(from_json(result.read_bytes())).encode())
    note("Open it in a browser:")
    typer.echo(str(target))

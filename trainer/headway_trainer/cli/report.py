"""`headway train report`: one page of one or more runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="Run folders; several are compared.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the page; default: in the first run.")]


def report(runs: Runs, out: Out = None) -> None:
    """Write the page of RUNS and print where it is.

    Losses, accuracies with intervals, size against accuracy and latency, confusion, parity, gate, data, configuration.
    """
    from headway_trainer.files import write_text
    from headway_trainer.report.facts import read_run
    from headway_trainer.report.page import render

    target = out or runs[0] / "report.html"
    write_text(target, render([read_run(folder) for folder in runs]))
    typer.echo("Open it in a browser:", err=True)
    typer.echo(str(target))

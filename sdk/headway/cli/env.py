"""``headway env``: the effective settings, each with its source. The token itself is never printed."""

from __future__ import annotations

from dataclasses import fields

import typer

from headway.cli import settings
from headway.cli.options import AsJson
from headway.cli.output import print_json, print_table

app = typer.Typer(help="Show the effective settings and where each comes from.")


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show the effective settings and where each comes from."""
    effective = settings.load()
    rows = {f.name: getattr(effective, f.name) for f in fields(effective)}
    shown = {
        name: ("(set)" if name == "token" and setting.value else setting.value, setting.source)
        for name, setting in rows.items()
    }
    if as_json:
        print_json({"schema": 1, "settings": {n: {"value": v, "source": s} for n, (v, s) in shown.items()}})
    else:
        print_table([(n, v or "-", s) for n, (v, s) in shown.items()], ("setting", "value", "source"))

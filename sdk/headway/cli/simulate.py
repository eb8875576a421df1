"""``headway simulate SCENARIO.toml``: rehearse an update with simulated devices, before any phone sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.options import AsJson, Fixtures, Keep, Out, Quiet

app = typer.Typer(help="Rehearse an update with a fleet of simulated devices.", add_completion=False)

ScenarioFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, metavar="SCENARIO", help="A scenario in TOML.")
]


@app.command()
def simulate(
    scenario: ScenarioFile,
    out: Out = Path("rehearsal-out"),
    keep: Keep = False,
    fixtures: Fixtures = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run SCENARIO: real devices, the real server, simulated time, network, disks and people."""
    from headway.cli.rehearse import rehearse, tell
    from headway.fleet.scenario import read_scenario

    described = read_scenario(scenario)
    report, folder = rehearse(described, out, keep=keep, fixtures=fixtures, quiet=quiet)
    tell(report, folder, as_json=as_json)

"""``headway simulate SCENARIO.toml``: rehearse an update with simulated devices, before any phone sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Rehearse an update with a fleet of simulated devices.", add_completion=False)

ScenarioFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A scenario in TOML.")]
Out = Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Where registry, keys and report go.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep an earlier run: use the next free folder name.")]
FixturesOption = Annotated[Path | None, typer.Option("--fixtures", help="The folder with base, heads and text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@app.command()
def simulate(
    scenario: ScenarioFile,
    out: Out = Path("rehearsal-out"),
    keep: Keep = False,
    fixtures: FixturesOption = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run SCENARIO: real devices, the real server, simulated time, network, disks and people."""
    from headway.cli.rehearse import prepared, rehearse, tell
    from headway.fleet.scenario import read_scenario

    described = read_scenario(scenario)
    folder = prepared(out, keep=keep)
    tell(rehearse(described, folder, fixtures=fixtures, quiet=quiet), folder, as_json=as_json)

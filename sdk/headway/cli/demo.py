"""``headway demo``: the whole loop on real text in one command, without PyTorch and without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The whole loop on real text: publish, roll out, personalise, recall.", add_completion=False)

Out = Annotated[Path, typer.Option("--out", "-o", file_okay=False, help="Where registry, keys and report go.")]
Devices = Annotated[int, typer.Option("--devices", "-n", min=6, max=45, help="How many simulated devices.")]
Seed = Annotated[int, typer.Option("--seed", help="Equal seeds give equal people, weather and luck.")]
Keep = Annotated[bool, typer.Option("--keep", help="Keep an earlier run: use the next free folder name.")]
FixturesOption = Annotated[Path | None, typer.Option("--fixtures", help="The folder with base, heads and text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


@app.command()
def demo(
    out: Out = Path("demo-out"),
    devices: Devices = 24,
    seed: Seed = 7,
    keep: Keep = False,
    fixtures: FixturesOption = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the loop: registry, keys, base, heads, rollout, personalisation, a bad release, a recall, a report.

    Everything listens on 127.0.0.1 only. The registry it leaves can be used afterwards.
    """
    from headway.cli.rehearse import prepared, rehearse, tell
    from headway.fleet.scenario import demo_scenario

    scenario = demo_scenario(devices, seed)
    folder = prepared(out, keep=keep)
    tell(rehearse(scenario, folder, fixtures=fixtures, quiet=quiet), folder, as_json=as_json)

"""``headway demo``: the whole loop on real text in one command, without PyTorch and without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headway.cli.options import AsJson, Fixtures, Keep, Out, Quiet

app = typer.Typer(help="The whole loop on real text: publish, roll out, personalise, recall.", add_completion=False)

Devices = Annotated[int, typer.Option("--devices", "-n", min=6, max=45, help="How many simulated devices.")]
Seed = Annotated[int, typer.Option("--seed", help="Equal seeds give equal people, weather and luck.")]


@app.command()
def demo(
    out: Out = Path("demo-out"),
    devices: Devices = 24,
    seed: Seed = 7,
    keep: Keep = False,
    fixtures: Fixtures = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the loop: registry, keys, base, heads, rollout, personalisation, a bad release, a recall, a report.

    Everything listens on 127.0.0.1 only. The registry it leaves can be used afterwards.
    """
    from headway.cli.rehearse import rehearse, tell
    from headway.fleet.scenario import demo_scenario

    scenario = demo_scenario(devices, seed)
    report, folder = rehearse(scenario, out, keep=keep, fixtures=fixtures, quiet=quiet)
    tell(report, folder, as_json=as_json)

"""The command line of the trainer: `python -m headway_trainer CONFIG.toml`, also mounted as `headway train`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from headway.contract.errors import RefusedError
from headway_trainer.config import read_config
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

app = typer.Typer(help="Train a base and its heads.", add_completion=False, no_args_is_help=True)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.", exists=True, dir_okay=False)],
    teacher: Annotated[str, typer.Option(help="Folder or hub id of the teacher.")] = "bert-base-chinese",
    run_folder: Annotated[Path, typer.Option("--run", help="Where the run lives.")] = Path("runs/train"),
    corpora: Annotated[Path | None, typer.Option(help="Folder of the unlabelled corpora.")] = None,
    steps: Annotated[str | None, typer.Option(help="Only these steps, separated by commas.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads, if not the configuration's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the run folder.")] = False,
) -> None:
    """Run the steps of CONFIG and leave the release in RUN/release."""
    settings = read_config(config)
    if not resume and not steps and run_folder.exists():
        shutil.rmtree(_own(run_folder))
    run = Run(settings, Places(config.resolve().parent, run_folder, teacher, corpora, threads))
    run_steps(run, steps.split(",") if steps else None)
    typer.echo(f"Release: {run_folder / 'release'}")


def _own(folder: Path) -> Path:
    """Return the folder if it is a run's; a folder of anything else is never removed."""
    if not (folder / "config.json").exists() and any(folder.iterdir()):
        raise RefusedError(
            "train.folder", f"{folder.name} is not empty and no run folder.", hint="Give another folder with --run."
        )
    return folder

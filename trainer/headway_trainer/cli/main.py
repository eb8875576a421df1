"""The command line of the trainer: `python -m headway_trainer CONFIG.toml`, also mounted as `headway train`.

`headway train CONFIG.toml` runs, `headway train ablate` varies, `headway train report` and `headway train import` look
and prepare. Everything heavy is imported inside the commands, so that help is quick and a report needs no torch.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headway.contract.errors import RefusedError
from headway_trainer.cli.ablate import ablate
from headway_trainer.cli.bars import on_terminals_only
from headway_trainer.cli.head import head
from headway_trainer.cli.importing import import_files
from headway_trainer.cli.report import report as report_runs
from headway_trainer.gate import Line, Waiver, read_device_report, released
from headway_trainer.order import CONFIG_FILE, ORDER
from headway_trainer.processes import rank

_DEFAULT = "run"
_GROUP_OPTIONS = frozenset({"-h", "--help"})


class _RunsByDefault(TyperGroup):
    """Takes a first word that is no command for the configuration of a run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front where none is named."""
        if args and args[0] not in self.commands and args[0] not in _GROUP_OPTIONS:
            args = [_DEFAULT, *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer(
    cls=_RunsByDefault,
    help="Make a base and its heads from a teacher and text. `CONFIG.toml` alone means `run CONFIG.toml`.",
    add_completion=False,
    no_args_is_help=True,
)


@app.command(_DEFAULT)
def train(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.", exists=True, dir_okay=False)],
    teacher: Annotated[str, typer.Option(help="Folder or hub id of the teacher.")] = "bert-base-chinese",
    run_folder: Annotated[Path, typer.Option("--run", help="Where the run lives.")] = Path("runs/train"),
    student: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a MobileBERT or BERT that the student begins as; none: fresh weights."),
    ] = None,
    after: Annotated[
        Path | None, typer.Option(help="Folder of an earlier run whose student is trained further.", file_okay=False)
    ] = None,
    corpora: Annotated[Path | None, typer.Option(help="Folder of the unlabelled corpora.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the labelled files, if not the configuration's.")] = None,
    steps: Annotated[
        str | None, typer.Option(help=f"Only these steps, separated by commas, of: {', '.join(ORDER)}.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads, if not the configuration's.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the run folder; what is done is kept.")] = False,
    again: Annotated[str | None, typer.Option(help="Do this step and those after it once more.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what the run folder holds.")] = False,
    waive: Annotated[
        list[str] | None, typer.Option(help="Accept a line of the gate, METRIC=REASON; it goes into the card.")
    ] = None,
    device_report: Annotated[
        Path | None, typer.Option(help="JSON of what a phone measured; its figures count in the gate.", dir_okay=False)
    ] = None,
) -> None:
    """Run the steps of CONFIG and leave the release in RUN/release.

    Each step leaves its facts; a run that was stopped, or whose disk was full, goes on with --resume.
    """
    on_terminals_only()
    waivers = tuple(_waiver(entry) for entry in waive or ())
    report = read_device_report(device_report) if device_report else None
    chosen = _chosen(steps)
    if rank() == 0:
        _prepare_folder(run_folder, going_on=resume or bool(chosen or again or waivers or report), fresh=fresh)
        if again:
            _forget(run_folder, again)
    from headway_trainer.config import read_config
    from headway_trainer.pipeline import run_steps
    from headway_trainer.run import Places, Run

    places = Places(
        config.resolve().parent, run_folder, teacher, corpora, threads, waivers, report, data, student, after
    )
    try:
        facts = run_steps(Run(read_config(config), places), chosen)
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command with --resume goes on at the last checkpoint.", err=True)
        raise
    if rank() == 0:
        _conclude(run_folder, facts)


def _conclude(run_folder: Path, facts: dict[str, dict[str, Any]]) -> None:
    if "gate" in facts:
        lines = tuple(Line(**line) for line in facts["gate"]["lines"])
        try:
            released(lines, tuple(Waiver(**waiver) for waiver in facts["gate"].get("waivers", ())))
        except RefusedError as error:
            typer.echo(f"Note: {error.message} Publishing will ask for a reason for each of these lines.", err=True)
    if "cards" in facts:
        typer.echo(f"Release: {run_folder / 'release'}")
    typer.echo(f"Report: headway train report {run_folder}", err=True)


def _chosen(steps: str | None) -> list[str] | None:
    names = [name.strip() for name in steps.split(",")] if steps else None
    for name in names or ():
        _known(name)
    return names


def _known(step: str) -> str:
    if step not in ORDER:
        raise RefusedError("train.step", f"There is no step {step}.", hint=f"Steps are {', '.join(ORDER)}.")
    return step


def _waiver(entry: str) -> Waiver:
    metric, equals, reason = entry.partition("=")
    if not equals or not reason.strip():
        raise RefusedError(
            "train.waiver",
            f"The waiver {entry!r} gives no reason.",
            hint="Write --waive 'METRIC=REASON', for example --waive 'latency=no phone here'.",
        )
    return Waiver(metric.strip(), reason.strip())


def _prepare_folder(folder: Path, *, going_on: bool, fresh: bool) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / CONFIG_FILE).exists():
        raise RefusedError(
            "train.folder", f"{folder.name} is not empty and no run folder.", hint="Give another folder with --run."
        )
    if fresh:
        shutil.rmtree(folder)
    elif not going_on:
        raise RefusedError(
            "train.folder",
            f"The run folder {folder.name} holds a run already.",
            hint="Go on with --resume, give another folder with --run, or throw it away with --fresh.",
        )


def _forget(folder: Path, step: str) -> None:
    from headway_trainer.binding import forget_from

    forget_from(folder, _known(step))
    print(f"{step} and the steps after it run again.", file=sys.stderr)


app.command("head")(head)
app.command("report")(report_runs)
app.command("import")(import_files)
app.command("ablate")(ablate)

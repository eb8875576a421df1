"""`headway train ablate`: what each part of a configuration brings, measured against the run as it is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headway.contract.errors import RefusedError
from headway_trainer.cli.bars import on_terminals_only
from headway_trainer.order import CONFIG_FILE


class Answers(StrEnum):
    """Who answers the rows of dev and test."""

    exported = "exported"
    student = "student"


def ablate(
    config: Annotated[Path, typer.Argument(help="The run's TOML file.", exists=True, dir_okay=False)],
    run_folder: Annotated[Path, typer.Option("--run", help="The run whose parts are asked about.")],
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this variant; may be given again. Without it every one that differs.")
    ] = None,
    variants: Annotated[
        Path | None, typer.Option(help="Your own variants: a TOML table each, with keys of a configuration.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of the student, separated by commas; each variant is run with each.")
    ] = None,
    teacher: Annotated[str, typer.Option(help="Folder or hub id of the teacher.")] = "bert-base-chinese",
    student: Annotated[
        str | None,
        typer.Option(help="Folder or hub id of a MobileBERT or BERT that the student begins as; none: fresh weights."),
    ] = None,
    after: Annotated[
        Path | None, typer.Option(help="Folder of the earlier run that the run goes on after, if any.", file_okay=False)
    ] = None,
    corpora: Annotated[Path | None, typer.Option(help="Folder of the unlabelled corpora.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the labelled files, if not the configuration's.")] = None,
    by: Annotated[
        Answers, typer.Option(help="Who answers: the exported base with its first head, or the student, sooner.")
    ] = Answers.exported,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads, if not the configuration's.")] = None,
) -> None:
    """Run variants of a run and say what each change costs or brings, with intervals.

    A variant shares every step that its changed keys do not touch. The table is in RUN/ablation and in the report; the
    same command goes on where it stopped. A difference whose interval holds 0 is not distinguishable.
    """
    if not (run_folder / CONFIG_FILE).exists():
        raise RefusedError(
            "train.folder",
            f"{run_folder.name or run_folder} is no run folder, so there is nothing to vary.",
            hint=f"Run the configuration first: headway train {config} --run {run_folder}",
        )
    on_terminals_only()
    asked = _seeds(seeds)
    from headway_trainer.ablation.answering import UNTIL
    from headway_trainer.ablation.study import Study
    from headway_trainer.ablation.table import markdown
    from headway_trainer.ablation.variants import chosen, read_variants
    from headway_trainer.config import read_config
    from headway_trainer.run import Places

    held = read_config(config)
    wanted = chosen(held, variant or (), read_variants(variants) if variants else {}, UNTIL[by.value])
    parent = config.resolve().parent
    places = Places(parent, run_folder, teacher, corpora, threads, data=data, student=student, after=after)
    try:
        made = Study(held, places, wanted, asked, by.value).run()
    except KeyboardInterrupt:
        typer.echo("Stopped. The same command goes on where it was.", err=True)
        raise
    typer.echo(markdown(made))
    typer.echo(f"Report: headway train report {run_folder}", err=True)


def _seeds(told: str | None) -> tuple[int, ...]:
    try:
        found = tuple(int(seed) for seed in told.split(",")) if told else ()
    except ValueError:
        found = (-1,)
    if len(set(found)) < len(found) or any(seed < 0 for seed in found):
        raise RefusedError(
            "train.variant",
            f"--seeds {told} is no list of different whole numbers.",
            hint="Write --seeds 1,2,3.",
        )
    return found

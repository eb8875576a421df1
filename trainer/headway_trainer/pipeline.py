"""The steps in order, each with its facts; a step that is done is skipped, any may be run alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from headway.contract.errors import RefusedError
from headway_trainer.binding import forget_from
from headway_trainer.files import package_unwritten, step_failed
from headway_trainer.learning import distributed
from headway_trainer.processes import rank, world
from headway_trainer.progress import duration
from headway_trainer.report.summary import write_summary
from headway_trainer.revision import versions
from headway_trainer.run import Run
from headway_trainer.steps import compress, half, lexicon, release, train, trim

Step = Callable[[Run], dict[str, Any]]

STEPS: dict[str, Step] = {
    "trim": trim.trimmed,
    "prepare": train.prepare,
    "teacher": train.teacher,
    "second-opinion": train.second_opinion,
    "distil-general": train.general,
    "distil-task": train.task,
    "qat": train.quantise,
    "lexicon": lexicon.lexicon,
    "export-base": release.base,
    "fit-heads": release.heads,
    "evaluate": release.evaluation,
    "compress": compress.compression,
    "half": half.half,
    "gate": release.judged,
    "cards": release.cards,
}
"""Every step by name, in the order of a whole run, which is `order.ORDER`."""

TOGETHER = frozenset({"teacher", "distil-general", "distil-task", "qat"})
"""The steps that several processes train together; the first one does the others alone while the rest wait."""


def run_steps(run: Run, chosen: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Run the chosen steps (all by default) in order and return their facts; finished ones are not run again.

    After each step the run's own `facts.json` and curves are brought up to date. Waivers and a device report have the
    gate judge again.

    Raises:
        RefusedError: code `train.step` for an unknown step, `train.order` for one whose predecessor is missing,
            `train.disk` if something could not be written, `train.file` for a file that cannot be used, and the
            codes of the steps.
    """
    unknown = sorted(set(chosen or ()) - set(STEPS))
    if unknown:
        raise RefusedError("train.step", f"There is no step {unknown[0]}.", hint=f"Steps are {', '.join(STEPS)}.")
    torch.set_num_threads(run.places.threads or run.config.threads)
    if (run.places.waivers or run.places.report) and rank() == 0:
        forget_from(run.places.run_folder, "gate")
    results: dict[str, dict[str, Any]] = {}
    with distributed.together():
        for name in STEPS:
            if not chosen or name in chosen:
                done: dict[str, Any] | None = distributed.agreed(partial(run.facts, name))
                results[name] = done or _run_step(run, name)
    _summarise(run)
    return results


def _run_step(run: Run, name: str) -> dict[str, Any]:
    _say(name)
    started = time.monotonic()
    if rank() == 0 or name in TOGETHER:
        try:
            facts = STEPS[name](run)
        except OSError as error:
            raise step_failed(name, error) from error
        except RuntimeError as error:
            if (refused := package_unwritten(name, error)) is None:
                raise
            raise refused from error
        seconds = time.monotonic() - started
        run.record(name, {**facts, "processes": world(), "seconds": round(seconds, 1), "made_with": versions()})
        _say(f"{name} done after {duration(seconds)}")
        _summarise(run)
    distributed.wait()
    return run.needed(name)


def _say(what: str) -> None:
    if rank() == 0:
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def _summarise(run: Run) -> None:
    if rank() == 0:
        write_summary(run.places.run_folder)

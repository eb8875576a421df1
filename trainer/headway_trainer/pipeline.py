"""The steps in order, each with its facts; a step that is done is skipped, any may be run alone."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import torch

from headway.contract.errors import RefusedError
from headway_trainer import steps_release, steps_train
from headway_trainer.run import Run

Step = Callable[[Run], dict[str, Any]]

STEPS: dict[str, Step] = {
    "prepare": steps_train.prepare,
    "teacher": steps_train.teacher,
    "second-opinion": steps_train.second_opinion,
    "distil-general": steps_train.general,
    "distil-task": steps_train.task,
    "qat": steps_train.quantise,
    "export-base": steps_release.base,
    "fit-heads": steps_release.heads,
    "evaluate": steps_release.evaluation,
    "gate": steps_release.judged,
    "cards": steps_release.cards,
}
"""Every step by name, in the order of a whole run."""

_PACKAGES = ("torch", "transformers", "coremltools", "numpy", "onnxruntime")


def run_steps(run: Run, chosen: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Run the chosen steps (all by default) in order and return their facts; finished ones are not run again.

    Raises:
        RefusedError: code `train.step` for an unknown step, `train.order` for one whose predecessor is missing.
    """
    unknown = sorted(set(chosen or ()) - set(STEPS))
    if unknown:
        raise RefusedError("train.step", f"There is no step {unknown[0]}.", hint=f"Steps are {', '.join(STEPS)}.")
    torch.set_num_threads(run.places.threads or run.config.threads)
    results: dict[str, dict[str, Any]] = {}
    for name, step in STEPS.items():
        if chosen and name not in chosen:
            continue
        done = run.facts(name)
        if done is None:
            print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
            started = time.monotonic()
            facts = {**step(run), "seconds": round(time.monotonic() - started, 1), "made_with": versions()}
            run.record(name, facts)
            done = run.needed(name)
        results[name] = done
    return results


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _PACKAGES}}

"""The one training loop: rounds of batches, a checkpoint after each, the best round on dev kept.

A round's random numbers depend on the seed and the round alone and a checkpoint holds everything else, so a run that
was interrupted and resumed does the same arithmetic as one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headway_trainer import checkpoint, optimiser
from headway_trainer.average import Average
from headway_trainer.optimiser import Schedule
from headway_trainer.progress import Progress

Rows = Sequence[int]
LossOf = Callable[[Rows], tuple[Tensor, int]]
"""Takes the rows of a batch; returns the loss and how many tokens it came from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Batches of row numbers by round, the schedule, the seed, how many rounds without gain are allowed.

    `average` is the decay of the moving average whose weights are scored and kept; 0 takes the weights as they are.
    """

    name: str
    rounds: Sequence[Sequence[Rows]]
    schedule: Schedule
    seed: int
    patience: int | None = None
    average: float = 0.0

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole plan."""
        return sum(len(batches) for batches in self.rounds)


@dataclass
class Outcome:
    """dev score after each round, the best of them, and the smoothed loss as (step, loss)."""

    scores: list[float] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best(self) -> float | None:
        """Highest score, or None if nothing was scored."""
        return max(self.scores, default=None)

    def facts(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {"scores": self.scores, "best": self.best, "curve": self.curve}


def train(
    plan: Plan, module: nn.Module, loss_of: LossOf, path: Path, score: Callable[[], float] | None = None
) -> Outcome:
    """Train `module` in place and leave it, and `path`, in the state of the best round (of the last, without `score`).

    Raises `RefusedError` (`train.diverged`) when the loss is not finite; the last checkpoint stays for a resume.
    """
    tuner, scheduler = optimiser.build(module.named_parameters(), plan.schedule, plan.steps)
    latest = path.with_suffix(".latest.pt")
    held = checkpoint.load(latest)
    outcome, done = _resume(held, module, tuner, scheduler)
    average = Average(module, plan.average, held["average"] if held else None)
    progress = Progress(plan.name, plan.steps, sum(len(batches) for batches in plan.rounds[:done]), curve=outcome.curve)
    for number in range(done, len(plan.rounds)):
        module.train()
        torch.manual_seed(plan.seed * 1000 + number)
        for rows in plan.rounds[number]:
            loss, tokens = loss_of(rows)
            optimiser.step(tuner, scheduler, loss, plan.schedule)
            average.update(module)
            progress.advance(loss.item(), tokens)
        with average.applied(module):
            if score is None or _improved(outcome, score(), plan.name):
                checkpoint.save(path, {"model": module.state_dict()})
        state = {"model": module.state_dict(), "tuner": tuner.state_dict(), "scheduler": scheduler.state_dict()}
        facts = {"round": number + 1, "scores": outcome.scores, "curve": outcome.curve, "average": average.state}
        checkpoint.save(latest, {**state, **facts})
        if _exhausted(outcome.scores, plan.patience):
            break
    kept = checkpoint.load(path)
    assert kept is not None, "the first round always leaves a state"
    module.load_state_dict(kept["model"])
    latest.unlink(missing_ok=True)
    return outcome


def _resume(state: dict[str, Any] | None, module: nn.Module, tuner: Any, scheduler: Any) -> tuple[Outcome, int]:
    if state is None:
        return Outcome(), 0
    module.load_state_dict(state["model"])
    tuner.load_state_dict(state["tuner"])
    scheduler.load_state_dict(state["scheduler"])
    return Outcome(list(state["scores"]), [tuple(point) for point in state["curve"]]), int(state["round"])


def _improved(outcome: Outcome, found: float, name: str) -> bool:
    better = outcome.best is None or found > outcome.best
    outcome.scores.append(found)
    print(f"{name} round {len(outcome.scores)}: dev {found:.4f}", flush=True)
    return better


def _exhausted(scores: Sequence[float], patience: int | None) -> bool:
    return patience is not None and bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= patience

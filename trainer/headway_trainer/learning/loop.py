"""The one training loop: rounds of batches, a checkpoint after each and now and then within, the best round kept.

A round's random numbers depend on the seed and the round alone and a checkpoint holds everything else, so a run that
was interrupted and resumed does the same arithmetic as one that was not. A loss or a gradient that is no number stops
the run before it touches a weight. The last checkpoint stays when training is over: whoever records the step as done
takes it away (`Run.record`), so that nothing between the two costs the training again.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headway_trainer.learning import checkpoint, distributed, optimiser
from headway_trainer.learning.average import Average
from headway_trainer.learning.distributed import Exchange, Precision, Rows
from headway_trainer.learning.optimiser import Schedule, Stage
from headway_trainer.processes import rank, world
from headway_trainer.progress import Progress, finite

_APART = 1_000_003
"""Between the seeds of two processes, further than any number of rounds."""

LossOf = Callable[[Rows], tuple[Tensor, int]]
"""Takes the rows of a batch; returns the loss and how many tokens it came from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Batches of row numbers by round, the schedule, the seed, how many rounds without gain are allowed.

    `average` is the decay of the moving average whose weights are scored and kept; 0 takes the weights as they are.
    A checkpoint within a round is written when `save_every_s` seconds have gone by since the last one. `stages` share
    out the steps, each at the end of a round, and decide which parameters learn; without them all do, all the time.
    The loss is computed in `precision`; weights, gradients and optimiser are float32 either way. Several processes
    share each batch, or with the exchange of weights each has whole batches, the plan's being those of this process.
    """

    name: str
    rounds: Sequence[Sequence[Rows]]
    schedule: Schedule
    seed: int
    patience: int | None = None
    average: float = 0.0
    save_every_s: float = 300.0
    stages: Sequence[Stage] = ()
    precision: Precision = "float32"
    exchange: Exchange = "gradients"

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


class _Training:
    """A module under training, with all that a checkpoint must hold to go on as if nothing had happened."""

    def __init__(self, plan: Plan, module: nn.Module, latest: Path) -> None:
        self.plan, self.module, self.latest = plan, module, latest
        stages = plan.stages or [Stage(plan.steps)]
        self.tuner, self.scheduler = optimiser.build(module.named_parameters(), plan.schedule, stages)
        held = checkpoint.load(latest)
        self.average = Average(module, plan.average, held["average"] if held else None)
        self.outcome, self.round, self.batch = Outcome(), 0, 0
        self._random: dict[str, Any] | None = None
        if held:
            module.load_state_dict(held["model"])
            self.tuner.load_state_dict(held["tuner"])
            self.scheduler.load_state_dict(held["scheduler"])
            self.outcome = Outcome(list(held["scores"]), [tuple(point) for point in held["curve"]])
            self.round, self.batch, self._random = int(held["round"]), int(held["batch"]), held["random"]
        before = self._steps_before(self.round) + self.batch
        stream = io.StringIO() if rank() else sys.stderr
        self.progress = Progress(plan.name, plan.steps, before, stream=stream, curve=self.outcome.curve)
        # A checkpoint of an earlier trainer has no mean: the last point of its curve is near it.
        known = self.outcome.curve[-1][1] if self.outcome.curve else None
        self.progress.mean = held.get("mean", known) if held else None
        self._saved = time.monotonic()

    @property
    def apart(self) -> bool:
        """Whether processes train on batches of their own."""
        return self.plan.exchange == "weights"

    @property
    def stage(self) -> int:
        """The stage of the current round; 0 in a plan without stages."""
        return optimiser.stage_at(self.plan.stages, self._steps_before(self.round)) if self.plan.stages else 0

    def run_round(self, objective: LossOf) -> None:
        """Train on the batches of the round that are left."""
        self.module.train()
        if self.plan.stages:
            rate = self.plan.stages[self.stage].rate
            for name, parameter in self.module.named_parameters():
                parameter.requires_grad_(rate(name) > 0)
        self._seed()
        batches = self.plan.rounds[self.round]
        while self.batch < len(batches):
            rows, weight = (batches[self.batch], 1.0) if self.apart else distributed.share(batches[self.batch])
            loss, tokens = objective(rows)
            value = finite(loss.item(), self.plan.name, self.progress.done + 1)
            loss = loss * weight if weight != 1 else loss
            norm = optimiser.step(self.tuner, self.scheduler, loss, self.plan.schedule)
            finite(norm, f"{self.plan.name} (its gradient)", self.progress.done + 1)
            self.average.update(self.module)
            self.progress.advance(value, tokens)
            self.batch += 1
            due = time.monotonic() - self._saved >= self.plan.save_every_s
            # Several processes have random numbers of their own each: they meet at the end of a round.
            if due and self.batch < len(batches) and world() == 1:
                self.save(random=_random_state())
        if self.apart:
            self.meet()
        self.round, self.batch = self.round + 1, 0

    def meet(self) -> None:
        """Take the mean over all processes of weights, of their average and of what the optimiser remembers."""
        remembered = (value for state in self.tuner.state.values() for value in state.values())
        # How many steps were made is a tensor too, and the same everywhere.
        moments = (value for value in remembered if torch.is_tensor(value) and value.ndim)
        distributed.meet([*self.module.parameters(), *self.average.weights.values(), *moments])

    def save(self, random: dict[str, Any] | None = None) -> None:
        """Write the checkpoint; within a round, `random` is the state of the generators."""
        state = {
            "model": self.module.state_dict(),
            "tuner": self.tuner.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": self.average.state,
            "round": self.round,
            "batch": self.batch,
            "random": random,
            "scores": self.outcome.scores,
            "curve": self.outcome.curve,
            "mean": self.progress.mean,
        }
        checkpoint.save(self.latest, state)
        self._saved = time.monotonic()

    def _steps_before(self, round_: int) -> int:
        return sum(len(batches) for batches in self.plan.rounds[:round_])

    def _seed(self) -> None:
        if self._random is None:
            torch.manual_seed(self.plan.seed * 1000 + self.round + _APART * rank())
            return
        torch.set_rng_state(self._random["cpu"])
        if self._random["cuda"]:
            torch.cuda.set_rng_state_all(self._random["cuda"])
        self._random = None


def train(
    plan: Plan,
    module: nn.Module,
    loss_of: LossOf | Sequence[LossOf],
    path: Path,
    score: Callable[[], float] | None = None,
) -> Outcome:
    """Train `module` in place and leave it, and `path`, in the state of the best round (of the last, without `score`).

    Every process calls `score`, and what the first one finds counts. A plan of stages takes a loss for each. A plan
    without rounds, which is how a step is left out to see what it brings, leaves the module as it came. Called again
    after its end it trains no more.

    Raises `RefusedError`: `train.diverged` when the loss is not finite, `train.disk` when a checkpoint cannot be
    written, `train.precision` for one that the device does not compute in; the last checkpoint stays for a resume.
    """
    if not plan.rounds:
        checkpoint.save(path, {"model": module.state_dict()})
        distributed.wait()
        return Outcome()
    distributed.check_precision(plan.precision)
    training = _Training(plan, module, path.with_suffix(".latest.pt"))
    losses = (loss_of,) if callable(loss_of) else tuple(loss_of)

    def current(rows: Rows) -> tuple[Tensor, int]:
        with distributed.computing(plan.precision):
            return losses[training.stage](rows)

    outcome = training.outcome
    objective = current if training.apart else distributed.objective(module, current)
    while training.round < len(plan.rounds):
        if training.batch == 0 and _exhausted(outcome.scores, plan.patience):
            break
        training.run_round(objective)
        with training.average.applied(module):
            if score is None or _improved(outcome, distributed.agreed(partial(float, score())), plan.name):
                checkpoint.save(path, {"model": module.state_dict()})
        training.save()
        distributed.wait()
    if plan.stages:
        module.requires_grad_(True)
    kept = checkpoint.load(path)
    assert kept is not None, "the first round always leaves a state"
    module.load_state_dict(kept["model"])
    distributed.wait()
    return outcome


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _improved(outcome: Outcome, found: float, name: str) -> bool:
    better = outcome.best is None or found > outcome.best
    outcome.scores.append(found)
    if rank() == 0:
        print(f"{name} round {len(outcome.scores)}: dev {found:.4f}", flush=True)
    return better


def _exhausted(scores: Sequence[float], patience: int | None) -> bool:
    return patience is not None and bool(scores) and len(scores) - 1 - scores.index(max(scores)) >= patience

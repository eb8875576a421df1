"""The optimiser every step uses: AdamW, linear warm-up then linear decay, weight decay on matrices only.

A training may be of stages, one after the other: each has the whole schedule to itself and says which parameters learn
in it, and at what share of the rate. The optimiser's state goes on from stage to stage.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, slots=True)
class Schedule:
    """Peak learning rate, how it moves, weight decay, largest gradient norm.

    The rate rises over the share `warmup` of the horizon and falls to zero at its end; the horizon is `horizon` times
    the steps, so that a value above 1 stops before the rate is zero.
    """

    learning_rate: float
    warmup: float = 0.1
    horizon: float = 1.0
    weight_decay: float = 0.01
    gradient_norm: float = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """So many steps; `rate` gives the parameter of a name its share of the learning rate, 0 where it is frozen."""

    steps: int
    rate: Callable[[str], float] = lambda _name: 1.0


def build(
    parameters: Iterable[tuple[str, nn.Parameter]], schedule: Schedule, stages: Sequence[Stage]
) -> tuple[AdamW, LambdaLR]:
    """Return the optimiser and its schedule for one stage or more over the trainable of the named parameters."""
    held: dict[tuple[float, ...], tuple[list[nn.Parameter], list[nn.Parameter]]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            decayed, plain = held.setdefault(tuple(stage.rate(name) for stage in stages), ([], []))
            (decayed if parameter.ndim > 1 else plain).append(parameter)
    groups: list[dict[str, Any]] = []
    factors: list[Callable[[int], float]] = []
    for rates, (decayed, plain) in held.items():
        groups += [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        factors += [_factor(schedule, stages, rates)] * 2
    optimiser = AdamW(groups, lr=schedule.learning_rate, fused=True)
    return optimiser, LambdaLR(optimiser, factors)


def stage_at(stages: Sequence[Stage], step: int) -> int:
    """Return the stage that a step belongs to, the last one for a step after all of them."""
    ends = list(accumulate(stage.steps for stage in stages))
    return min(bisect_right(ends, step), len(stages) - 1)


def _factor(schedule: Schedule, stages: Sequence[Stage], rates: Sequence[float]) -> Callable[[int], float]:
    starts = [0, *accumulate(stage.steps for stage in stages)]

    def factor(step: int) -> float:
        now = stage_at(stages, step)
        total, done = round(schedule.horizon * stages[now].steps), step - starts[now]
        warmup = max(1, round(schedule.warmup * total))
        ramp = (done + 1) / warmup if done < warmup else max(0.0, (total - done) / max(1, total - warmup))
        return rates[now] * ramp

    return factor


def step(optimiser: AdamW, scheduler: LambdaLR, loss: torch.Tensor, schedule: Schedule) -> float:
    """Back-propagate, clip, update, advance the schedule and clear the gradients; return the gradient's norm.

    A norm that is not finite leaves the weights as they were.
    """
    torch.autograd.backward(loss)
    norms = [nn.utils.clip_grad_norm_(group["params"], schedule.gradient_norm) for group in optimiser.param_groups]
    norm = math.hypot(*(float(value) for value in norms))
    if math.isfinite(norm):
        optimiser.step()
        scheduler.step()
    optimiser.zero_grad(set_to_none=True)
    return norm

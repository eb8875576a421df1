"""The optimiser every step uses: AdamW, linear warm-up then linear decay, weight decay on matrices only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

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


def build(parameters: Iterable[tuple[str, nn.Parameter]], schedule: Schedule, steps: int) -> tuple[AdamW, LambdaLR]:
    """Return the optimiser and its schedule for `steps` steps over the trainable of the named parameters."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for _, parameter in parameters:
        if parameter.requires_grad:
            (decayed if parameter.ndim > 1 else plain).append(parameter)
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimiser = AdamW(groups, lr=schedule.learning_rate, fused=True)
    total = round(schedule.horizon * steps)
    warmup = max(1, round(schedule.warmup * total))

    def factor(step: int) -> float:
        return (step + 1) / warmup if step < warmup else max(0.0, (total - step) / max(1, total - warmup))

    return optimiser, LambdaLR(optimiser, factor)


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

"""One process or several: where tensors live, which rows of a batch are mine, and who writes.

Under `torchrun` every process trains on its share of each batch and `DistributedDataParallel` averages the gradients;
shares are weighed by their rows, so the sum is that of one process wherever the loss is a mean over rows. Or each takes
whole batches of its own and they meet for the mean of their weights now and then. The first process scores, prints and
writes. Without torchrun nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import cache
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as group
from torch.nn.parallel import DistributedDataParallel

from headway.contract.errors import RefusedError
from headway_trainer.processes import rank, world

T = TypeVar("T")
Precision = Literal["float32", "bfloat16"]
"""What matrix products compute in while training."""

Exchange = Literal["gradients", "weights"]
"""What processes that train together tell each other: gradients at every step, or weights at the end of a round."""

Rows = Sequence[int]
LossOf = Callable[[Rows], tuple[Tensor, int]]

_PATIENCE = timedelta(hours=6)  # the others wait while the first process converts or scores


@cache
def device() -> torch.device:
    """Where models and batches live: this process's GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


@contextmanager
def together() -> Iterator[None]:
    """Join the other processes for a while."""
    if world() == 1:
        yield
        return
    place = device()
    if place.type == "cuda":
        # Else NCCL takes the first GPU for every process of this host.
        torch.cuda.set_device(place)
        group.init_process_group("nccl", timeout=_PATIENCE, device_id=place)
    else:
        group.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        group.destroy_process_group()


def check_precision(precision: Precision) -> None:
    """Return if this process computes in `precision`. Raises `RefusedError` (`train.precision`) for an older GPU."""
    if (
        precision == "bfloat16"
        and device().type == "cuda"
        and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        raise RefusedError(
            "train.precision",
            "This GPU does not compute in bfloat16.",
            hint='Take precision = "float32" for that step and start again with --resume.',
        )


def computing(precision: Precision) -> AbstractContextManager[object]:
    """Return what computes matrix products in `precision`: for bfloat16, PyTorch's autocast where models live.

    It needs no scaling of the loss, for its exponents are those of float32. On a CPU it works as well, and is slower
    than float32 where the processor has no arithmetic for it.
    """
    return nullcontext() if precision == "float32" else torch.autocast(device().type, torch.bfloat16)


def share(rows: Sequence[int]) -> tuple[Sequence[int], float]:
    """Return this process's rows of a batch and the weight of their mean loss; a batch too small leaves weight 0."""
    if world() == 1:
        return rows, 1.0
    mine = rows[rank() :: world()]
    return (mine, len(mine) * world() / len(rows)) if mine else (rows[:1], 0.0)


def own_batches(batches: Sequence[Rows]) -> Sequence[Rows]:
    """Return the batches of a round that this process takes whole: as many as every other, one at least."""
    each = max(1, len(batches) // world()) if batches else 0
    return [batches[(rank() + place * world()) % len(batches)] for place in range(each)]


@torch.no_grad()
def meet(tensors: Iterable[Tensor]) -> None:
    """Give each of the tensors, in place, its mean over all processes, which call this together."""
    if world() == 1:
        return
    for tensor in tensors:
        group.all_reduce(tensor)
        tensor /= world()


def objective(module: nn.Module, loss_of: LossOf) -> LossOf:
    """Return `loss_of` such that the gradients of `module` are averaged over the processes."""
    if world() == 1:
        return loss_of
    devices = [device().index] if device().type == "cuda" else None
    wrapped: LossOf = DistributedDataParallel(
        _Objective(module, loss_of), device_ids=devices, find_unused_parameters=True
    )
    return wrapped


def own(rows: int) -> range:
    """Return the row numbers that this process looks at in a pass without training; all processes have all rows."""
    return range(rank(), rows, world())


def total(value: Tensor) -> Tensor:
    """Return the sum over all processes, which call this together; `value` itself where there is one."""
    if world() > 1:
        value = value.to(device())
        group.all_reduce(value)
    return value.cpu()


def agreed(of: Callable[[], T]) -> T:
    """Return what the first process finds, in every process."""
    if world() == 1:
        return of()
    found: list[T | None] = [of() if rank() == 0 else None]
    group.broadcast_object_list(found, src=0)
    value: T = found[0]  # type: ignore[assignment]
    return value


def wait() -> None:
    """Wait until every process is here."""
    if world() > 1:
        group.barrier()


class _Objective(nn.Module):
    def __init__(self, module: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.module, self._loss_of = module, loss_of

    def forward(self, rows: Sequence[int]) -> tuple[Tensor, int]:
        return self._loss_of(rows)

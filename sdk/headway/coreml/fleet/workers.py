"""Sharing work out among forked processes, one per core.

Workers inherit the samples without a copy and write trained weights into memory that was shared before the fork, so
that nothing large goes through a pipe.  Where the system cannot fork, the work is done in this process.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import mmap
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import numpy as np

from headway.coreml.fleet.jobs import FleetResult, Prepared
from headway.coreml.head import HeadWeights
from headway.coreml.update.errors import MLModelError, MLModelErrorCode, update_error
from headway.coreml.weights import Float32

__all__ = ["one_thread", "shared_out"]

Item = TypeVar("Item")
Outcome = tuple[int, FleetResult]
Train = Callable[[Item, Mapping[int, HeadWeights]], Iterator[Outcome]]
"""Trains an item, writes weights into the arrays at each job's position, yields one result per job."""


@dataclass(frozen=True, eq=False)
class _Slot:
    """Where one job's weights and losses lie in the shared memory."""

    arrays: dict[str, Float32]
    losses: Float32


def one_thread() -> AbstractContextManager[Any]:
    """Keep the BLAS library to one thread meanwhile, where threadpoolctl is installed to do so."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = importlib.import_module("threadpoolctl").threadpool_limits(1)
    return limits


def shared_out(
    work: Sequence[Item], jobs: Mapping[int, Prepared], train: Train[Item], processes: int
) -> Iterator[Outcome]:
    """Yield what *train* yields for every item of *work*; *jobs* are all jobs in it by position."""
    slots = _slots(jobs)
    if "fork" not in multiprocessing.get_all_start_methods():
        with one_thread():
            for item in work:
                yield from train(item, {position: slot.arrays for position, slot in slots.items()})
        return
    seen: set[int] = set()
    with one_thread():  # the workers inherit it
        running = [_start(work[index::processes], train, slots) for index in range(min(processes, len(work)))]
    for worker, receiver in running:
        for position, error in _messages(receiver):
            seen.add(position)
            yield position, _result(slots[position], error)
        worker.join()
    for position in jobs.keys() - seen:
        lost = update_error("The worker that trained this head died.", "Train it again; it may be short of memory.")
        yield position, FleetResult(error=lost)


def _start(part: Sequence[Item], train: Train[Item], slots: Mapping[int, _Slot]) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(part, train, slots, sender), daemon=True)
    worker.start()
    sender.close()
    return worker, receiver


def _messages(receiver: Connection) -> list[tuple[int, MLModelError | None]]:
    """Return what a worker reports, or nothing when it died."""
    try:
        found: list[tuple[int, MLModelError | None]] = [
            (position, None if parts is None else _error(*parts)) for position, parts in receiver.recv()
        ]
    except EOFError:
        return []
    return found


def _error(apple_code: int, message: str, hint: str) -> MLModelError:
    return MLModelError(MLModelErrorCode(apple_code), message, hint=hint)


def _result(slot: _Slot, error: MLModelError | None) -> FleetResult:
    if error is not None:
        return FleetResult(error=error)
    return FleetResult(slot.arrays, tuple(slot.losses.tolist()))


def _work(part: Sequence[Item], train: Train[Item], slots: Mapping[int, _Slot], sender: Connection) -> None:
    """Train *part* in a worker: results into the shared memory, one short message at the end."""
    report: list[tuple[int, tuple[int, str, str] | None]] = []
    into = {position: slot.arrays for position, slot in slots.items()}
    for item in part:
        for position, result in train(item, into):
            if result.error is not None:
                error = result.error
                report.append((position, (int(error.apple_code), error.message, error.hint)))
                continue
            slots[position].losses[...] = result.losses
            report.append((position, None))
    sender.send(report)
    sender.close()


def _slots(jobs: Mapping[int, Prepared]) -> dict[int, _Slot]:
    """Lay out all results in one piece of shared memory."""
    shapes = {position: job.shapes for position, job in jobs.items()}
    total = sum(math.prod(shape) for own in shapes.values() for shape in own.values())
    total += sum(job.plan.epochs for job in jobs.values())
    shared = mmap.mmap(-1, max(4 * total, 4))
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            shared.madvise(mmap.MADV_HUGEPAGE)  # fewer page faults; the system may decline
    memory = np.frombuffer(shared, dtype=np.float32)
    slots: dict[int, _Slot] = {}
    offset = 0
    for position, job in jobs.items():
        arrays: dict[str, Float32] = {}
        for key, shape in shapes[position].items():
            size = math.prod(shape)
            arrays[key] = memory[offset : offset + size].reshape(shape)
            offset += size
        losses = memory[offset : offset + job.plan.epochs]
        offset += job.plan.epochs
        slots[position] = _Slot(arrays, losses)
    return slots

"""Sharing work out among forked processes, one per core.

Workers inherit the samples without a copy and write trained weights into memory that was shared before the fork, so
that nothing large goes through a pipe.  Where the system cannot fork, the work is done in this process.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np

from headway.coreml.fleet.jobs import FleetResult, Prepared
from headway.coreml.update.errors import MLModelError, MLModelErrorCode, update_error
from headway.coreml.weights import Float32

__all__ = ["one_thread", "shared_out"]

Item = TypeVar("Item")
Outcome = tuple[int, FleetResult]


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
    work: Sequence[Item],
    jobs: Mapping[int, Prepared],
    train: Callable[[Item], Iterator[Outcome]],
    processes: int,
) -> Iterator[Outcome]:
    """Yield what *train* yields for every item of *work*; *jobs* are all jobs in it by position."""
    if "fork" not in multiprocessing.get_all_start_methods():
        with one_thread():
            for item in work:
                yield from train(item)
        return
    slots = _slots(jobs)
    context = multiprocessing.get_context("fork")
    running = []
    for index in range(min(processes, len(work))):
        receiver, sender = context.Pipe(duplex=False)
        part = work[index::processes]
        worker = context.Process(target=_work, args=(part, train, slots, sender), daemon=True)
        worker.start()
        sender.close()
        running.append((worker, receiver))
    seen: set[int] = set()
    for worker, receiver in running:
        for position, error in _messages(receiver):
            seen.add(position)
            yield position, _result(slots[position], error)
        worker.join()
    for position in jobs.keys() - seen:
        lost = update_error("The worker that trained this head died.", "Train it again; it may be short of memory.")
        yield position, FleetResult(error=lost)


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


def _work(
    part: Sequence[Item], train: Callable[[Item], Iterator[Outcome]], slots: Mapping[int, _Slot], sender: Connection
) -> None:
    """Train *part* in a worker: results into the shared memory, one short message at the end."""
    report: list[tuple[int, tuple[int, str, str] | None]] = []
    with one_thread():
        for item in part:
            for position, result in train(item):
                if result.error is not None:
                    error = result.error
                    report.append((position, (int(error.apple_code), error.message, error.hint)))
                    continue
                slot = slots[position]
                for key, values in result.weights.items():
                    slot.arrays[key][...] = values
                slot.losses[...] = result.losses
                report.append((position, None))
    sender.send(report)
    sender.close()


def _slots(jobs: Mapping[int, Prepared]) -> dict[int, _Slot]:
    """Lay out all results in one piece of shared memory."""
    shapes = {
        position: {key: job.job.model.weights[key].shape for key in job.job.model.trainable_keys}
        for position, job in jobs.items()
    }
    sizes = {position: sum(int(np.prod(shape)) for shape in own.values()) for position, own in shapes.items()}
    total = sum(sizes.values()) + sum(job.plan.epochs for job in jobs.values())
    memory = np.frombuffer(mmap.mmap(-1, max(4 * total, 4)), dtype=np.float32)
    slots: dict[int, _Slot] = {}
    offset = 0
    for position, job in jobs.items():
        arrays: dict[str, Float32] = {}
        for key, shape in shapes[position].items():
            size = int(np.prod(shape))
            arrays[key] = memory[offset : offset + size].reshape(shape)
            offset += size
        losses = memory[offset : offset + job.plan.epochs]
        offset += job.plan.epochs
        slots[position] = _Slot(arrays, losses)
    return slots

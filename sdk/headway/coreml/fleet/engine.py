"""Training a fleet: check, train on one thread per core, hand back one result per job."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Lock

import numpy as np

from headway.coreml.fleet.groups import Heads, own, sort_out
from headway.coreml.fleet.jobs import FleetJob, FleetResult
from headway.coreml.fleet.training import Engine
from headway.coreml.update.errors import MLModelError, update_error
from headway.coreml.update.plan import TrainingPlan
from headway.coreml.update.samples import samples_of
from headway.coreml.update.semantics import DEFAULT_SEMANTICS, Semantics
from headway.coreml.update.trainer import Trainer

__all__ = ["train_fleet"]

_LARGEST, _SMALLEST = 64, 8
"""Jobs that a thread takes at a time: many, or Python's part counts.  Few at the beginning, since threads take turns in
Python's part of their first piece, and few at the end, or a thread is left waiting."""

_NOTHING = FleetResult({}, ())


def train_fleet(
    jobs: Sequence[FleetJob], *, semantics: Semantics = DEFAULT_SEMANTICS, workers: int = 1
) -> list[FleetResult]:
    """Train every job and return the results in the order of *jobs*.

    The result of a job equals what :class:`~headway.coreml.update.task.MLUpdateTask` gives for it, to 1e-5 of an
    array's largest weight.  A job that cannot be trained has an error in its result; the others are not touched by it.
    The jobs are shared out among *workers* threads, which run side by side: the compiled engine does not hold Python's
    lock.
    """
    jobs, workers = list(jobs), max(1, workers)
    engine, heads = Engine(semantics, len(jobs)), Heads()
    results: list[FleetResult] = [_NOTHING] * len(jobs)
    waiting = iter(list(pieces(len(jobs), workers)))

    def drain() -> None:
        for piece in waiting:
            results[piece] = _train(jobs[piece], heads, engine, semantics, alone)

    with OneThreadEach(workers > 1) as alone, ThreadPoolExecutor(workers) as pool:
        others = [pool.submit(drain) for _ in range(workers - 1)]  # this thread works too: starting one takes time
        try:
            drain()
        finally:
            list(waiting)  # after an error nobody takes another piece
        for other in others:
            other.result()
    return results


def pieces(count: int, workers: int) -> Iterator[slice]:
    """Cut *count* jobs into pieces; with several workers the first and last are small: all begin and end together."""
    begin, size = 0, _LARGEST if workers == 1 else _SMALLEST
    while begin < count:
        fair = (count - begin) // (2 * workers) if workers > 1 else size
        taken = max(_SMALLEST, min(size, fair))
        yield slice(begin, begin + taken)
        begin, size = begin + taken, min(2 * size, _LARGEST)


class OneThreadEach:
    """Keeps the BLAS library to one thread from the first need of it on, where threadpoolctl is installed to do so.

    Asking for that takes as long as training twenty heads, and dense heads do not use BLAS.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._lock, self._stack = Lock(), ExitStack()

    def __enter__(self) -> OneThreadEach:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def need(self) -> None:
        """Set the limit, if it is not set yet."""
        with self._lock:
            if self._wanted and importlib.util.find_spec("threadpoolctl") is not None:
                self._stack.enter_context(importlib.import_module("threadpoolctl").threadpool_limits(1))
            self._wanted = False


def _train(
    jobs: Sequence[FleetJob], heads: Heads, engine: Engine, semantics: Semantics, alone: OneThreadEach
) -> list[FleetResult]:
    """Train what can be trained: dense stacks together, other heads one by one."""
    found = sort_out(jobs, heads)
    results: dict[int, FleetResult] = {place: FleetResult.failed(error) for place, error in found.errors}
    for group in found.groups:
        results.update(zip(group.places, engine.train(group), strict=True))
    for place, job, plan in found.alone:
        alone.need()
        results[place] = _train_one(job, plan, semantics)
    return [results[place] for place in range(len(jobs))]


def _train_one(job: FleetJob, plan: TrainingPlan, semantics: Semantics) -> FleetResult:
    """Train one job with the single engine."""
    model = job.model
    head = model.head()
    features, labels = own(job.features, np.dtype(np.float32)), np.asarray(job.labels).reshape(-1, 1)
    try:
        samples = samples_of(model, {model.description.inputs[0].name: features, plan.loss.target: labels}, plan.loss)
        trainer = Trainer(head.network, plan, samples.inputs, samples.target, semantics, weights=model.weights)
        losses = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for epoch in range(plan.epochs):
                batches = list(trainer.epoch(epoch))
                if not batches:
                    raise update_error("There are too few samples for one mini-batch.", "Add samples.")
                losses.append(batches[-1].loss)
        trainer.check_finite()
    except MLModelError as error:
        return FleetResult.failed(error)
    trained = trainer.weights
    return FleetResult({key: np.array(trained[key]) for key in model.trainable_keys}, tuple(losses))

"""Training a fleet: check, train on one thread per core, hand back one result per job."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from headway.coreml.fleet.jobs import FleetJob, FleetResult, Heads, Prepared, prepare
from headway.coreml.fleet.training import Engine
from headway.coreml.update.errors import MLModelError, update_error
from headway.coreml.update.samples import samples_of
from headway.coreml.update.semantics import DEFAULT_SEMANTICS, Semantics
from headway.coreml.update.trainer import Trainer

__all__ = ["train_fleet"]

_PIECE = 64
"""So many jobs a thread takes at a time: enough for Python's part to be small beside the training."""


def train_fleet(
    jobs: Sequence[FleetJob], *, semantics: Semantics = DEFAULT_SEMANTICS, workers: int = 1
) -> list[FleetResult]:
    """Train every job and return the results in the order of *jobs*.

    The result of a job equals what :class:`~headway.coreml.update.task.MLUpdateTask` gives for it, up to float32
    rounding.  A job that cannot be trained has an error in its result; the others are not touched by it.  The jobs are
    shared out among *workers* threads, which run side by side: the compiled engine does not hold Python's lock.
    """
    jobs, workers = list(jobs), max(1, workers)
    engine, heads = Engine(semantics), Heads()
    size = max(1, min(_PIECE, -(-len(jobs) // (4 * workers))))

    def share(begin: int) -> list[FleetResult]:
        return _train(list(prepare(jobs[begin : begin + size], heads)), engine, semantics)

    with _one_thread_each() if workers > 1 else nullcontext(), ThreadPoolExecutor(workers) as pool:
        return [result for found in pool.map(share, range(0, len(jobs), size)) for result in found]


def _one_thread_each() -> AbstractContextManager[Any]:
    """Keep the BLAS library to one thread meanwhile, where threadpoolctl is installed to do so."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = importlib.import_module("threadpoolctl").threadpool_limits(1)
    return limits


def _train(items: Sequence[Prepared | MLModelError], engine: Engine, semantics: Semantics) -> list[FleetResult]:
    """Train what can be trained: dense stacks together, other heads one by one."""
    stacks = [item for item in items if isinstance(item, Prepared) and item.stack is not None]
    trained = iter(engine.train(stacks))
    results: list[FleetResult] = []
    for item in items:
        if isinstance(item, MLModelError):
            results.append(FleetResult(error=item))
        else:
            results.append(next(trained) if item.stack is not None else _train_one(item, semantics))
    return results


def _train_one(job: Prepared, semantics: Semantics) -> FleetResult:
    """Train one job with the single engine."""
    model = job.job.model
    head = model.head()
    try:
        data = {model.description.inputs[0].name: job.features, job.plan.loss.target: job.labels[:, None]}
        samples = samples_of(model, data, job.plan.loss)
        trainer = Trainer(head.network, job.plan, samples.inputs, samples.target, semantics, weights=model.weights)
        losses = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for epoch in range(job.plan.epochs):
                batches = list(trainer.epoch(epoch))
                if not batches:
                    raise update_error("There are too few samples for one mini-batch.", "Add samples.")
                losses.append(batches[-1].loss)
        trainer.check_finite()
    except MLModelError as error:
        return FleetResult(error=error)
    weights = {key: np.array(trainer.weights[key], dtype=np.float32) for key in model.trainable_keys}
    return FleetResult(weights, tuple(losses))

"""Training a fleet: check, train on one thread per core, hand back one result per job."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from headway.coreml.fleet.jobs import FleetJob, FleetResult, Prepared, empty_weights, prepare
from headway.coreml.fleet.training import Engine
from headway.coreml.head import HeadWeights
from headway.coreml.update.errors import MLModelError, update_error
from headway.coreml.update.samples import samples_of
from headway.coreml.update.semantics import DEFAULT_SEMANTICS, Semantics
from headway.coreml.update.trainer import Trainer

__all__ = ["train_fleet"]


def train_fleet(
    jobs: Sequence[FleetJob], *, semantics: Semantics = DEFAULT_SEMANTICS, workers: int = 1
) -> list[FleetResult]:
    """Train every job and return the results in the order of *jobs*.

    The result of a job equals what :class:`~headway.coreml.update.task.MLUpdateTask` gives for it, up to float32
    rounding.  A job that cannot be trained has an error in its result; the others are not touched by it.  The jobs are
    shared out among *workers* threads, which run side by side: the compiled engine does not hold Python's lock.
    """
    jobs, workers, engine = list(jobs), max(1, workers), Engine(semantics)

    def train(item: Prepared | MLModelError) -> FleetResult:
        return FleetResult(error=item) if isinstance(item, MLModelError) else _train(item, engine, semantics)

    def share(number: int) -> list[FleetResult]:
        return [train(item) for item in prepare(jobs[number::workers])]

    results = [FleetResult()] * len(jobs)
    with _one_thread_each() if workers > 1 else nullcontext(), ThreadPoolExecutor(workers) as pool:
        for number, found in enumerate(pool.map(share, range(workers))):
            results[number::workers] = found
    return results


def _one_thread_each() -> AbstractContextManager[Any]:
    """Keep the BLAS library to one thread meanwhile, where threadpoolctl is installed to do so."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = importlib.import_module("threadpoolctl").threadpool_limits(1)
    return limits


def _train(job: Prepared, engine: Engine, semantics: Semantics) -> FleetResult:
    into = empty_weights(job.shapes)
    if job.stack is not None:
        return engine.train(job, into)
    return _train_one(job, semantics, into)


def _train_one(job: Prepared, semantics: Semantics, into: HeadWeights) -> FleetResult:
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
    for key, values in into.items():
        values[...] = trainer.weights[key]
    return FleetResult(into, tuple(losses))

"""Training a fleet: check, group, train in blocks on one process per core, hand back one result per job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from headway.coreml.fleet import adam, samplespace
from headway.coreml.fleet.blocks import Block, blocks_of
from headway.coreml.fleet.jobs import FleetJob, FleetResult, Prepared, empty_weights, prepare
from headway.coreml.fleet.workers import one_thread, shared_out
from headway.coreml.head import HeadWeights
from headway.coreml.update.errors import MLModelError, feature_error, update_error
from headway.coreml.update.plan import AdamPlan
from headway.coreml.update.samples import samples_of
from headway.coreml.update.semantics import DEFAULT_SEMANTICS, Semantics
from headway.coreml.update.trainer import Trainer

__all__ = ["train_fleet"]

_STACKED = ("keep", "drop")
Work = Block | tuple[int, Prepared]
Outcome = tuple[int, FleetResult]


def train_fleet(
    jobs: Sequence[FleetJob], *, semantics: Semantics = DEFAULT_SEMANTICS, processes: int = 1
) -> list[FleetResult]:
    """Train every job and return the results in the order of *jobs*.

    The result of a job equals what :class:`~headway.coreml.update.task.MLUpdateTask` gives for it, up to float32
    rounding.  A job that cannot be trained has an error in its result; the others are not touched by it.  With
    *processes* above one the blocks are shared out among that many forked workers, each on one core.
    """
    checked = prepare(list(jobs))
    results: list[FleetResult] = [
        FleetResult(error=item) if isinstance(item, MLModelError) else FleetResult() for item in checked
    ]
    stacked: list[tuple[int, Prepared]] = []
    work: list[Work] = []
    for position, item in enumerate(checked):
        if isinstance(item, MLModelError):
            continue
        fits = item.stack is not None and semantics.partial_batch in _STACKED
        (stacked if fits else work).append((position, item))
    work += blocks_of(stacked, semantics)
    for position, result in _run(work, semantics, processes):
        results[position] = result
    return results


def _run(work: list[Work], semantics: Semantics, processes: int) -> Iterator[Outcome]:
    if processes > 1 and len(work) > 1:
        jobs = {position: job for item in work for position, job in _members(item)}
        yield from shared_out(work, jobs, lambda item, into: _train(item, semantics, into), processes)
        return
    with one_thread():
        for item in work:
            into = {position: empty_weights(job.shapes) for position, job in _members(item)}
            yield from _train(item, semantics, into)


def _members(item: Work) -> Iterator[tuple[int, Prepared]]:
    if isinstance(item, Block):
        return zip(item.positions, item.jobs, strict=True)
    return iter([item])


def _train(item: Work, semantics: Semantics, into: Mapping[int, HeadWeights]) -> Iterator[Outcome]:
    """Train *item*, writing the weights of each job *into* the arrays at its position."""
    if isinstance(item, Block):
        return _train_block(item, semantics, [into[position] for position in item.positions])
    position, job = item
    return iter([(position, _train_one(job, semantics, into[position]))])


def _train_block(block: Block, semantics: Semantics, into: Sequence[HeadWeights]) -> Iterator[Outcome]:
    engine = adam if isinstance(block.jobs[0].plan.optimizer, AdamPlan) else samplespace
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        losses = engine.train_block(block, semantics, into)
    for row, (position, job) in enumerate(_members(block)):
        own = losses[: job.plan.epochs, row]
        if np.isnan(own[0]) and job.count < block.batch and semantics.partial_batch == "drop":
            error = update_error("There are too few samples for one mini-batch.", "Add samples.")
            yield position, FleetResult(error=error)
        elif np.isfinite(own).all() and all(np.isfinite(v.sum(dtype=np.float64)) for v in into[row].values()):
            yield position, FleetResult(into[row], tuple(own.tolist()))
        else:
            yield position, FleetResult(error=_not_finite(job))


def _not_finite(job: Prepared) -> MLModelError:
    if not np.isfinite(job.features).all():
        return feature_error("The features are not finite.", "Compute them again.")
    return update_error("The training diverged.", "Lower the learning rate.")


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

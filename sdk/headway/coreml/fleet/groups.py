"""Sorting jobs: those that one call of compiled code trains, those that the single engine trains, and bad ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.fleet.jobs import FleetJob, Stack, stack_of
from headway.coreml.model import MLModel
from headway.coreml.update.errors import MLModelError, feature_error
from headway.coreml.update.plan import TrainingPlan
from headway.coreml.weights import Float32

__all__ = ["Group", "Heads", "Sorted", "own", "sort_out"]

_FLOAT = np.dtype(np.float32)


@dataclass(frozen=True, eq=False)
class Group:
    """Jobs that differ only in their samples: float32 features ``[samples, D]`` and integer labels, job by job."""

    model: MLModel
    plan: TrainingPlan
    stack: Stack
    samples: int
    places: list[int] = field(default_factory=list)
    features: list[Float32] = field(default_factory=list)
    labels: list[NDArray[Any]] = field(default_factory=list)

    def part(self, jobs: Sequence[int]) -> Group:
        """Return the group of those of its *jobs*."""
        chosen = ([values[job] for job in jobs] for values in (self.places, self.features, self.labels))
        return Group(self.model, self.plan, self.stack, self.samples, *chosen)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Sorted:
    """Every job of a list, by its place in it: in a group, alone, or with the error that its samples are."""

    groups: list[Group]
    alone: list[tuple[int, FleetJob, TrainingPlan]]
    errors: list[tuple[int, MLModelError]]


class Heads:
    """What depends on the head and the plan alone, computed once per pair of objects."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[TrainingPlan, Stack | None]] = {}

    def of(self, job: FleetJob) -> tuple[TrainingPlan, Stack | None]:
        """Return the plan of *job*, and the dense stack that its model is, if any."""
        key = id(job.model), id(job.plan)
        found = self._known.get(key)
        if found is None:
            plan = job.plan or job.model.training_plan()
            found = self._known[key] = plan, stack_of(job.model, plan)
        return found


def sort_out(jobs: Sequence[FleetJob], heads: Heads) -> Sorted:
    """Check the samples of each of *jobs* and say who trains it.

    Whether labels are classes of the head is left to the training, which reads them all anyway.
    """
    found = Sorted([], [], [])
    groups: dict[tuple[int, int, int], Group] = {}
    for place, job in enumerate(jobs):
        try:
            plan, stack = heads.of(job)
            if stack is None:
                found.alone.append((place, job, plan))
                continue
            features, labels = _samples(job, stack)
        except MLModelError as error:
            found.errors.append((place, error))
            continue
        key = id(job.model), id(plan), len(labels)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(job.model, plan, stack, len(labels))
            found.groups.append(group)
        group.places.append(place)
        group.features.append(features)
        group.labels.append(labels)
    return found


def own(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return *values* as compiled code takes them: of one type, contiguous, aligned and writable."""
    return values if values.dtype is kind and values.flags.carray else np.array(values, dtype=kind, order="C")


def _samples(job: FleetJob, stack: Stack) -> tuple[Float32, NDArray[Any]]:
    features, labels = own(job.features, _FLOAT), np.asarray(job.labels)
    if labels.ndim != 1:
        labels = labels.reshape(-1)
    _check(features, labels, stack)
    return features, labels


def _check(features: Float32, labels: NDArray[Any], stack: Stack) -> None:
    width = stack.widths[0]
    fits = features.ndim == 2 and features.shape == (len(labels), width) and len(labels) > 0
    if not fits or labels.dtype.kind not in "iu":
        raise feature_error(
            f"The samples are {list(features.shape)} features and {len(labels)} {labels.dtype} labels.",
            f"Give float32 [n, {width}] and n integers.",
        )

"""What a fleet trains: one job per device, and what comes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headway.coreml.head import HeadWeights
from headway.coreml.model import MLModel
from headway.coreml.neuralnetwork.dense import InnerProduct
from headway.coreml.neuralnetwork.pointwise import Activation
from headway.coreml.update.errors import MLModelError, feature_error
from headway.coreml.update.plan import TrainingPlan
from headway.coreml.update.trainer import split_chain
from headway.coreml.weights import Float32

__all__ = ["FleetJob", "FleetResult", "Heads", "Prepared", "Stack", "prepare", "stack_of"]


@dataclass(frozen=True, eq=False)
class FleetJob:
    """One device's training: its head, its samples, and its plan (the head's own when None).

    *features* is float32 ``[n, D]``, *labels* class indices ``[n]``.  Jobs that start from one head should share the
    :class:`MLModel` object: work that depends only on it is then done once.
    """

    model: MLModel
    features: Float32
    labels: NDArray[Any]
    plan: TrainingPlan | None = None


@dataclass(frozen=True, eq=False)
class FleetResult:
    """The trained weights by key and the loss at the end of each epoch; or the error, and then no weights."""

    weights: HeadWeights = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    error: MLModelError | None = None


@dataclass(frozen=True)
class Stack:
    """A head that is only dense layers: their names, widths (input to classes), and the activations between."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    activations: tuple[str, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights by key."""
        found: dict[str, tuple[int, ...]] = {}
        for name, width_in, width_out in zip(self.names, self.widths, self.widths[1:], strict=False):
            found[f"{name}.weights"] = (width_out, width_in)
            found[f"{name}.biases"] = (width_out,)
        return found


class Prepared(NamedTuple):
    """A job whose samples were checked; *stack* is None for a head that only the single engine trains."""

    job: FleetJob
    plan: TrainingPlan
    stack: Stack | None
    features: Float32
    labels: NDArray[np.int64]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.labels)


class Heads:
    """What depends on the head alone, computed once per model object."""

    def __init__(self) -> None:
        self._plans: dict[int, TrainingPlan] = {}
        self._stacks: dict[int, Stack | None] = {}

    def plan(self, job: FleetJob) -> TrainingPlan:
        """Return the plan of *job*."""
        if job.plan is not None:
            return job.plan
        if id(job.model) not in self._plans:
            self._plans[id(job.model)] = job.model.training_plan()
        return self._plans[id(job.model)]

    def stack(self, model: MLModel, plan: TrainingPlan) -> Stack | None:
        """Return the dense stack that *model* is, if any."""
        if id(model) not in self._stacks:
            self._stacks[id(model)] = stack_of(model, plan)
        return self._stacks[id(model)]


def prepare(jobs: Iterable[FleetJob], heads: Heads) -> Iterator[Prepared | MLModelError]:
    """Check the samples of each of *jobs* in turn; a job that cannot be trained gives its error in its place.

    Whether labels are classes of the head is left to the training, which reads them all anyway.
    """
    for job in jobs:
        try:
            yield _prepare(job, heads)
        except MLModelError as error:
            yield error


def _prepare(job: FleetJob, heads: Heads) -> Prepared:
    plan = heads.plan(job)
    stack = heads.stack(job.model, plan)
    features = _own(job.features, np.float32)
    labels = np.asarray(job.labels).reshape(-1)
    if stack is not None:
        _check(features, labels, stack)
    return Prepared(job, plan, stack, features, _own(labels, np.int64))


def _own(values: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
    """Return *values* as compiled code takes them: of one type, contiguous, aligned and writable."""
    return values if values.dtype == dtype and values.flags.carray else np.array(values, dtype=dtype, order="C")


def _check(features: Float32, labels: NDArray[Any], stack: Stack) -> None:
    width = stack.widths[0]
    fits = features.ndim == 2 and features.shape == (len(labels), width) and len(labels) > 0
    if not fits or labels.dtype.kind not in "iu":
        raise feature_error(
            f"The samples are {list(features.shape)} features and {len(labels)} {labels.dtype} labels.",
            f"Give float32 [n, {width}] and n integers.",
        )


def stack_of(model: MLModel, plan: TrainingPlan) -> Stack | None:
    """Return the dense stack that *model* is, or None when it is anything else."""
    network = model.head().network
    frozen, trained = split_chain(network, plan.loss)
    if plan.loss.kind != "cross_entropy" or frozen.nodes or model.head() is not model.executor:
        return None
    names: list[str] = []
    widths: list[int] = []
    activations: list[str] = []
    for node in trained.nodes:
        layer = node.layer
        if isinstance(layer, InnerProduct) and layer.has_bias and node.updatable and len(activations) == len(names):
            widths += [layer.channels_in, layer.channels_out] if not names else [layer.channels_out]
            names.append(layer.name)
        elif isinstance(layer, Activation) and len(activations) < len(names):
            activations.append(layer.kind)
        else:
            return None
    if len(names) != len(activations) + 1 or len(model.description.inputs) != 1:
        return None
    return Stack(tuple(names), tuple(widths), tuple(activations))

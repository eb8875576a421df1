"""What a fleet trains: one job per device, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from headway.coreml.head import HeadWeights
from headway.coreml.model import MLModel
from headway.coreml.neuralnetwork.dense import InnerProduct
from headway.coreml.neuralnetwork.pointwise import Activation
from headway.coreml.update.errors import MLModelError
from headway.coreml.update.plan import TrainingPlan
from headway.coreml.update.trainer import split_chain
from headway.coreml.weights import Float32

__all__ = ["FleetJob", "FleetResult", "Stack", "stack_of"]


@dataclass(frozen=True, eq=False, slots=True)
class FleetJob:
    """One device's training: its head, its samples, and its plan (the head's own when None).

    *features* is float32 ``[n, D]``, *labels* class indices ``[n]``.  Jobs that start from one head should share the
    :class:`MLModel` object: work that depends only on it is then done once.
    """

    model: MLModel
    features: Float32
    labels: NDArray[Any]
    plan: TrainingPlan | None = None


class FleetResult(NamedTuple):
    """The trained weights by key and the loss at the end of each epoch; or the error, and then no weights."""

    weights: HeadWeights
    losses: tuple[float, ...]
    error: MLModelError | None = None

    @classmethod
    def failed(cls, error: MLModelError) -> FleetResult:
        """Return the result of a job that could not be trained."""
        return cls({}, (), error)


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

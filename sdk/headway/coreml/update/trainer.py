"""The training engine: weights, data and a plan in; weights and one loss per mini-batch out.

Layers before the first updatable one are run once; the layers from there to the loss form a chain (every layer has one
input), which each mini-batch runs forward and backward.

Everything is computed in float64 and rounded to float32 on its way out.  Adam divides by the root of tiny gradients,
and a unit at the kink of a ReLU opens or stays shut by its last digit: in float32 two sums in another order give two
heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.neuralnetwork.layer import Weights
from headway.coreml.neuralnetwork.network import Chain, Network, Node
from headway.coreml.neuralnetwork.pointwise import Softmax
from headway.coreml.update.batches import EMPTY, BatchOrder
from headway.coreml.update.errors import update_error
from headway.coreml.update.losses import cross_entropy, squared_error
from headway.coreml.update.optimizers import Optimizer, make_optimizer
from headway.coreml.update.plan import Loss, TrainingPlan
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Float32, Float64

__all__ = ["MiniBatch", "Trainer", "split_chain"]


@dataclass(frozen=True)
class MiniBatch:
    """What one step did: its *epoch* and *index* within it, from 0, and the loss before the step."""

    epoch: int
    index: int
    loss: float


def split_chain(network: Network, loss: Loss) -> tuple[Chain, Chain]:
    """Return the layers before the first updatable one, and those from it to where back-propagation starts.

    That is the softmax's input for cross-entropy (softmax and logarithm are differentiated together) and the output
    itself for squared error.

    Raises:
        MLModelError: ``update``, when no updatable layer leads to the loss or no softmax feeds the cross-entropy.
    """
    chain = network.chain_to(loss.source)
    nodes: tuple[Node, ...] = chain.nodes
    target = loss.source
    if loss.kind == "cross_entropy":
        if not nodes or not isinstance(nodes[-1].layer, Softmax):
            raise update_error("The cross-entropy does not read a softmax.", "Put a softmax before the loss.")
        target = nodes[-1].source
        nodes = nodes[:-1]
    first = next((index for index, node in enumerate(nodes) if node.updatable), None)
    if first is None:
        raise update_error("No updatable layer leads to the loss.", "Mark the dense layers as updatable.")
    middle = nodes[first].source
    return Chain(chain.source, middle, nodes[:first]), Chain(middle, target, nodes[first:])


class Trainer:
    """One training run; :attr:`weights` and :attr:`learning_rate` may be read, and the rate set, between steps.

    *inputs* holds the blobs of the network's inputs ``[n, …]``; *target* class indices ``[n]`` for cross-entropy or
    an array ``[n, …]`` for squared error.  *weights* replaces the network's own at the start.  The weights that may be
    read are float32.
    """

    def __init__(
        self,
        network: Network,
        plan: TrainingPlan,
        inputs: Mapping[str, Float32],
        target: NDArray[Any],
        semantics: Semantics,
        *,
        epoch_end_registered: bool = False,
        weights: Weights | None = None,
    ) -> None:
        frozen, self._chain = split_chain(network, plan.loss)
        self._given: Weights = network.weights if weights is None else weights
        self._weights: dict[str, Float64] = {key: as_float64(values) for key, values in self._given.items()}
        self._trained: set[str] = set()
        self.learning_rate = plan.learning_rate
        self._plan = plan
        self._semantics = semantics
        self._blob, _ = frozen.forward(as_float64(inputs[frozen.source]), self._weights)
        self._target = target
        self._order = BatchOrder(len(self._blob), plan, semantics, epoch_end_registered)
        self._optimizer: Optimizer = make_optimizer(plan.optimizer, semantics)

    @property
    def weights(self) -> dict[str, Float32]:
        """All weights by key, rounded to float32; those that no step has moved are the very arrays given."""
        moved = {key: as_float32(self._weights[key]) for key in self._trained}
        return {key: moved.get(key, values) for key, values in self._given.items()}

    def epoch(self, index: int) -> Iterator[MiniBatch]:
        """Train one epoch, yielding after each mini-batch.

        Raises:
            MLModelError: ``update``, when the loss or a weight stops being finite.
        """
        for number, rows in enumerate(self._order.epoch(index)):
            loss, gradients = self.gradients(rows)
            self._apply(gradients)
            if not np.isfinite(as_float32(np.array(loss))):
                raise update_error("The loss is no longer finite.", "Lower the learning rate or check the samples.")
            yield MiniBatch(index, number, loss)

    def gradients(self, rows: NDArray[np.int64]) -> tuple[float, dict[str, Float64]]:
        """Return the loss of the samples *rows* and its gradients with respect to the trained weights."""
        blob, target = _take(self._blob, rows), _take(self._target, rows)
        output, saved = self._chain.forward(blob, self._weights)
        if not np.isfinite(as_float32(output)).all():
            output = output * np.nan  # a device computes in float32: it would not get further
        if self._plan.loss.kind == "cross_entropy":
            loss, gradient = cross_entropy(output.reshape(len(output), -1), target, self._semantics)
        else:
            loss, gradient = squared_error(output.reshape(target.shape), target, self._semantics)
        return loss, self._chain.backward(gradient.reshape(output.shape), saved, self._weights)

    def check_finite(self) -> None:
        """Raise MLModelError (``update``) when a weight is not finite."""
        for key, values in self.weights.items():
            if not np.isfinite(values).all():
                raise update_error(f"The weights '{key}' are no longer finite.", "Lower the learning rate.")

    def _apply(self, gradients: Mapping[str, Float64]) -> None:
        self._optimizer.begin_step()
        self._trained |= gradients.keys()
        for key, gradient in gradients.items():
            self._weights[key] = self._weights[key] - self._optimizer.step(key, gradient, self.learning_rate)


def as_float64(values: Float32) -> Float64:
    """Return *values* in float64."""
    return values.astype(np.float64)


def as_float32(values: Float64) -> Float32:
    """Return *values* in float32; what it cannot hold is infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _take(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return *values* at *rows*, zeros where a row is empty."""
    taken: NDArray[Any] = values[np.maximum(rows, 0)]
    empty = rows == EMPTY
    if empty.any():
        taken[empty] = 0
    return taken

"""The two losses and their gradients at the blob where back-propagation starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.neuralnetwork.pointwise import log_softmax
from headway.coreml.update.semantics import Semantics
from headway.coreml.weights import Floats

__all__ = ["cross_entropy", "squared_error"]


def cross_entropy(logits: Floats, classes: NDArray[Any], semantics: Semantics) -> tuple[float, Floats]:
    """Return −log p[class] over the mini-batch, and its gradient with respect to *logits*, the softmax's input.

    *logits* is ``[n, classes]``, *classes* integers ``[n]``.  Taking the logarithm and softmax together keeps both
    finite where a probability rounds to zero.
    """
    rows = np.arange(len(logits))
    logs = log_softmax(logits)
    gradient: Floats = np.exp(logs)
    gradient[rows, classes] -= 1
    losses = -logs[rows, classes]
    if semantics.loss_reduction == "sum":
        return float(losses.sum()), gradient
    gradient /= len(logits)
    return float(losses.mean()), gradient


def squared_error(output: Floats, target: Floats, semantics: Semantics) -> tuple[float, Floats]:
    """Return the squared error over the mini-batch, and its gradient with respect to *output* (same shapes)."""
    difference = output - target
    divisor = {"mean_elements": difference.size, "mean_batch": len(difference), "sum": 1}[semantics.mse_reduction]
    loss = float((difference * difference).sum()) / divisor
    return loss, 2 / divisor * difference

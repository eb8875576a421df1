"""What a layer is to the executor: a pure function with its derivative, in float32 or float64 as its blob is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.weights import Floats

__all__ = ["Layer", "Weights", "bad_blob", "spatial", "unsupported"]

Weights = Mapping[str, Floats]
"""Weights by ``"<layer>.weights"`` and ``"<layer>.biases"``."""


class Layer(Protocol):
    """One layer with one input and one output blob."""

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, Any]:
        """Return the output and whatever :meth:`backward` needs."""

    def backward(self, gradient: Floats, saved: Any, weights: Weights) -> tuple[Floats, dict[str, Floats]]:
        """Return the gradient of the input and the gradients of the layer's own weights (summed over the batch)."""


def spatial(blob: Floats) -> Floats:
    """Return *blob* as ``[n, channels, height, width]``."""
    return blob if blob.ndim == 4 else blob.reshape(*blob.shape, 1, 1)


def unsupported(name: str, what: str) -> IncompatibleError:
    """Return the error for a layer or option that this executor does not have."""
    return IncompatibleError(
        "unsupported_layer",
        f"The layer '{name}' uses {what}, which this runtime does not execute.",
        hint="Heads use inner products, convolutions, ReLU, sigmoid, tanh, pooling, batchnorm, flatten and softmax.",
        layer=name,
    )


def bad_blob(name: str, blob: Floats, expected: str) -> RefusedError:
    """Return the error for a blob whose shape does not suit the layer *name*."""
    return RefusedError(
        "blob_shape",
        f"The layer '{name}' needs {expected}, but its input has the shape {list(blob.shape[1:])}.",
        hint="The layers of the model do not fit each other; validate it.",
        layer=name,
    )

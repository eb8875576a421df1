"""Layers that act on each value or each position alone: activations, softmax, flatten, batchnorm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headway.coreml.neuralnetwork.layer import Weights, bad_blob, spatial
from headway.coreml.weights import Floats

__all__ = ["Activation", "BatchNorm", "Flatten", "Softmax", "log_softmax", "softmax"]

Gradients = tuple[Floats, dict[str, Floats]]


@dataclass(frozen=True)
class Activation:
    """ReLU, sigmoid or tanh."""

    kind: Literal["ReLU", "sigmoid", "tanh"]

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, Floats]:
        """Return the output, which is also what the derivative is computed from."""
        if self.kind == "ReLU":
            out = np.maximum(blob, 0)
        elif self.kind == "tanh":
            out = np.tanh(blob)
        else:
            out = _sigmoid(blob)
        return out, out

    def backward(self, gradient: Floats, saved: Floats, weights: Weights) -> Gradients:
        """Return the gradient of the input; at exactly zero ReLU passes none."""
        if self.kind == "ReLU":
            return gradient * (saved > 0), {}
        if self.kind == "tanh":
            return gradient * (1 - saved * saved), {}
        return gradient * (saved * (1 - saved)), {}


def _sigmoid(blob: Floats) -> Floats:
    """Return 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(blob))
    out: Floats = np.where(blob >= 0, 1 / (1 + small), small / (1 + small))
    return out


def softmax(blob: Floats) -> Floats:
    """Return softmax over the channel axis, computed after subtracting the maximum."""
    powers = np.exp(blob - blob.max(axis=1, keepdims=True))
    out: Floats = powers / powers.sum(axis=1, keepdims=True)
    return out


def log_softmax(blob: Floats) -> Floats:
    """Return the logarithm of softmax over the channel axis; finite where softmax itself would round to zero."""
    shifted = blob - blob.max(axis=1, keepdims=True)
    out: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out


@dataclass(frozen=True)
class Softmax:
    """Softmax over the channels."""

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, Floats]:
        """Return the probabilities, which the derivative needs too."""
        out = softmax(blob)
        return out, out

    def backward(self, gradient: Floats, saved: Floats, weights: Weights) -> Gradients:
        """Return the gradient of the input."""
        return saved * (gradient - (gradient * saved).sum(axis=1, keepdims=True)), {}


@dataclass(frozen=True)
class Flatten:
    """All values of a sample as channels, in the order C, H, W or (*channel_last*) H, W, C."""

    channel_last: bool

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, tuple[int, ...]]:
        """Return ``[n, c * h * w]`` and the shape before."""
        moved = np.moveaxis(blob, 1, -1) if self.channel_last else blob
        return np.ascontiguousarray(moved).reshape(len(blob), -1), blob.shape

    def backward(self, gradient: Floats, saved: tuple[int, ...], weights: Weights) -> Gradients:
        """Return the gradient in the shape before."""
        if not self.channel_last:
            return gradient.reshape(saved), {}
        moved = gradient.reshape(saved[0], *saved[2:], saved[1])
        return np.ascontiguousarray(np.moveaxis(moved, -1, 1)), {}


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """Batch normalisation with stored mean and variance (as in inference, also while training)."""

    name: str
    scale: Floats
    shift: Floats

    @staticmethod
    def of(name: str, *, gamma: Floats, beta: Floats, mean: Floats, variance: Floats, epsilon: float) -> BatchNorm:
        """Fold the four vectors ``[channels]`` into one multiplication and one addition."""
        scale = gamma / np.sqrt(variance + np.float32(epsilon))
        return BatchNorm(name, scale, beta - mean * scale)

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, Any]:
        """Return the normalised blob."""
        if blob.shape[1] != len(self.scale):
            raise bad_blob(self.name, blob, f"{len(self.scale)} channels")
        planes = spatial(blob)
        out = planes * self.scale[:, None, None] + self.shift[:, None, None]
        return out.reshape(blob.shape), None

    def backward(self, gradient: Floats, saved: Any, weights: Weights) -> Gradients:
        """Return the gradient of the input."""
        return (spatial(gradient) * self.scale[:, None, None]).reshape(gradient.shape), {}

"""Inner product: ``y = x Wᵀ + b`` with row-major weights ``[out, in]``."""

from __future__ import annotations

from dataclasses import dataclass

from headway.coreml.neuralnetwork.layer import Weights, bad_blob
from headway.coreml.weights import Floats

__all__ = ["InnerProduct"]


@dataclass(frozen=True)
class InnerProduct:
    """Fully connected layer over the channels of a blob without spatial extent."""

    name: str
    channels_in: int
    channels_out: int
    has_bias: bool

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, Floats]:
        """Return ``[n, out]`` and the flattened input."""
        if blob.shape[1] != self.channels_in or blob.size != len(blob) * self.channels_in:
            raise bad_blob(self.name, blob, f"{self.channels_in} channels and no spatial extent")
        flat = blob.reshape(len(blob), self.channels_in)
        out = flat @ weights[f"{self.name}.weights"].T
        return (out + weights[f"{self.name}.biases"] if self.has_bias else out), flat

    def backward(self, gradient: Floats, saved: Floats, weights: Weights) -> tuple[Floats, dict[str, Floats]]:
        """Return the gradient of the input and of weights and biases."""
        own = {f"{self.name}.weights": gradient.T @ saved}
        if self.has_bias:
            own[f"{self.name}.biases"] = gradient.sum(axis=0)
        return gradient @ weights[f"{self.name}.weights"], own

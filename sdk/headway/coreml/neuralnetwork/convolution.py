"""Two-dimensional convolution (a cross-correlation, as in every framework) with groups, stride, dilation, padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.coreml.neuralnetwork.layer import Weights, bad_blob, spatial
from headway.coreml.neuralnetwork.windows import Window
from headway.coreml.weights import Floats

__all__ = ["Convolution"]


@dataclass(frozen=True)
class Convolution:
    """Weights ``[out, in / groups, kernel_h, kernel_w]``, biases ``[out]``."""

    name: str
    channels_out: int
    kernel_channels: int
    groups: int
    window: Window
    has_bias: bool

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, tuple[Floats, tuple[int, ...]]]:
        """Return ``[n, out, h, w]``; saves the windows and the input's shape."""
        planes = spatial(blob)
        windows = self.window.slices(self.window.pad(planes, 0.0))
        if planes.shape[1] != self.kernel_channels * self.groups or windows is None:
            expected = f"{self.kernel_channels * self.groups} channels and at least one whole window"
            raise bad_blob(self.name, blob, expected)
        grouped = windows.reshape(len(planes), self.groups, self.kernel_channels, *windows.shape[2:])
        out = np.einsum("ngchwij,gocij->ngohw", grouped, self._kernel(weights), optimize=True)
        out = out.reshape(len(planes), self.channels_out, *windows.shape[2:4])
        if self.has_bias:
            out = out + weights[f"{self.name}.biases"][:, None, None]
        return out, (grouped, blob.shape)

    def backward(
        self, gradient: Floats, saved: tuple[Floats, tuple[int, ...]], weights: Weights
    ) -> tuple[Floats, dict[str, Floats]]:
        """Return the gradient of the input and of weights and biases."""
        grouped, shape = saved
        split = gradient.reshape(len(gradient), self.groups, -1, *gradient.shape[2:])
        kernel = np.einsum("ngohw,ngchwij->gocij", split, grouped, optimize=True)
        own = {f"{self.name}.weights": kernel.reshape(weights[f"{self.name}.weights"].shape)}
        if self.has_bias:
            own[f"{self.name}.biases"] = gradient.sum(axis=(0, 2, 3))
        windows = np.einsum("ngohw,gocij->ngchwij", split, self._kernel(weights), optimize=True)
        merged = windows.reshape(len(gradient), -1, *windows.shape[3:])
        size = (shape[2], shape[3]) if len(shape) == 4 else (1, 1)
        return self.window.scatter(merged, size).reshape(shape), own

    def _kernel(self, weights: Weights) -> Floats:
        kernel = weights[f"{self.name}.weights"]
        return kernel.reshape(self.groups, self.channels_out // self.groups, *kernel.shape[1:])

"""Maximum and average pooling, over windows or over the whole plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from headway.coreml.neuralnetwork.layer import Weights, bad_blob, spatial
from headway.coreml.neuralnetwork.windows import Window
from headway.coreml.weights import Floats

__all__ = ["Pooling"]


@dataclass(frozen=True)
class Pooling:
    """Pooling with *window*, or over the whole plane when *window* is None.

    With *exclude_padding* an average divides by the values that are not border.
    """

    name: str
    kind: Literal["max", "average"]
    window: Window | None
    exclude_padding: bool = False

    def forward(self, blob: Floats, weights: Weights) -> tuple[Floats, Floats]:
        """Return ``[n, c, h, w]``; saves the input."""
        planes = spatial(blob)
        windows = self._windows(planes)
        if self.kind == "max":
            return windows.max(axis=(4, 5)), planes
        total = windows.sum(axis=(4, 5))
        return total / self._divisor(planes), planes

    def backward(self, gradient: Floats, saved: Floats, weights: Weights) -> tuple[Floats, dict[str, Floats]]:
        """Return the gradient of the input; a maximum passes it to the first largest value of its window."""
        window = self._effective(saved)
        windows = self._windows(saved)
        if self.kind == "average":
            spread = np.broadcast_to((gradient / self._divisor(saved))[..., None, None], windows.shape)
            return window.scatter(spread, (saved.shape[2], saved.shape[3])), {}
        flat = windows.reshape(*windows.shape[:4], -1)
        chosen = np.zeros_like(flat)
        np.put_along_axis(chosen, flat.argmax(axis=-1)[..., None], gradient[..., None], axis=-1)
        return window.scatter(chosen.reshape(windows.shape), (saved.shape[2], saved.shape[3])), {}

    def _effective(self, planes: Floats) -> Window:
        whole = (planes.shape[2], planes.shape[3])
        return self.window if self.window is not None else Window(whole, (1, 1))

    def _windows(self, planes: Floats) -> Floats:
        window = self._effective(planes)
        border = -np.inf if self.kind == "max" else 0.0
        windows = window.slices(window.pad(planes, border))
        if windows is None:
            raise bad_blob(self.name, planes, "at least one whole window")
        return windows

    def _divisor(self, planes: Floats) -> Floats:
        window = self._effective(planes)
        size = np.float32(window.kernel[0] * window.kernel[1])
        if not self.exclude_padding:
            return np.full((1, 1, 1, 1), size, dtype=np.float32)
        ones = np.ones((1, 1, *planes.shape[2:]), dtype=np.float32)
        windows = window.slices(window.pad(ones, 0.0))
        return ones if windows is None else windows.sum(axis=(4, 5), dtype=np.float32)

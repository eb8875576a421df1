"""Sliding windows over the two spatial axes: geometry and padding shared by convolution and pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.coreml.proto import Message
from headway.coreml.weights import Floats

__all__ = ["Window", "window_of"]

_MAX_EXTENT = 4096  # more than any head's plane; a hostile file may ask for a border of exabytes


@dataclass(frozen=True)
class Window:
    """A window of *kernel* moved by *stride* with *dilation* over (height, width).

    *borders* are the zeros added (before, after) per axis, or None for "same": as many as make the output
    ``ceil(input / stride)``, the odd one after, or before when *top_left* is set.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    borders: tuple[tuple[int, int], tuple[int, int]] | None = ((0, 0), (0, 0))
    top_left: bool = False

    def padding(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the zeros to add (before, after) to each axis of an input of *size*."""
        if self.borders is not None:
            return self.borders
        return self._same(size, 0), self._same(size, 1)

    def _same(self, size: tuple[int, int], axis: int) -> tuple[int, int]:
        steps = -(-size[axis] // self.stride[axis])
        total = max(0, (steps - 1) * self.stride[axis] + self.reach(axis) - size[axis])
        less = total // 2
        return (total - less, less) if self.top_left else (less, total - less)

    def reach(self, axis: int) -> int:
        """Return how many input positions the window spans on *axis*."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def pad(self, planes: Floats, value: float) -> Floats:
        """Return *planes* ``[n, c, h, w]`` with the border filled by *value*."""
        height, width = planes.shape[2:]
        rows, columns = self.padding((height, width))
        if rows == (0, 0) and columns == (0, 0):
            return planes
        return np.pad(planes, ((0, 0), (0, 0), rows, columns), constant_values=value)

    def slices(self, padded: Floats) -> Floats | None:
        """Return a read-only view ``[n, c, out_h, out_w, kernel_h, kernel_w]`` of *padded*, or None if too small."""
        if padded.shape[2] < self.reach(0) or padded.shape[3] < self.reach(1):
            return None
        reach = (self.reach(0), self.reach(1))
        view: Floats = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))  # type: ignore[call-overload]
        found: Floats = view[:, :, :: self.stride[0], :: self.stride[1], :: self.dilation[0], :: self.dilation[1]]
        return found

    def scatter(self, windows: Floats, size: tuple[int, int]) -> Floats:
        """Return ``[n, c, h, w]`` of *size* with all *windows* added back in place (the adjoint of pad and slices)."""
        rows, columns = self.padding(size)
        height, width = size[0] + sum(rows), size[1] + sum(columns)
        total = np.zeros((*windows.shape[:2], height, width), dtype=windows.dtype)
        steps_h, steps_w = windows.shape[2:4]
        for i in range(self.kernel[0]):
            top = i * self.dilation[0]
            for j in range(self.kernel[1]):
                left = j * self.dilation[1]
                bottom = top + (steps_h - 1) * self.stride[0] + 1
                right = left + (steps_w - 1) * self.stride[1] + 1
                total[:, :, top : bottom : self.stride[0], left : right : self.stride[1]] += windows[..., i, j]
        return total[:, :, rows[0] : rows[0] + size[0], columns[0] : columns[0] + size[1]]


def window_of(body: Message, default_kernel: int) -> Window | None:
    """Return the window of a convolution or pooling message, or None when it is not executed here."""
    kernel = _pair(body.kernelSize, default_kernel)
    stride = _pair(body.stride, 1)
    dilation = _pair(body.dilationFactor, 1) if hasattr(body, "dilationFactor") else (1, 1)
    padding = body.WhichOneof("ConvolutionPaddingType" if hasattr(body, "dilationFactor") else "PoolingPaddingType")
    if max(*kernel, *stride, *dilation) > _MAX_EXTENT:
        return None
    if padding == "same":
        return Window(kernel, stride, dilation, None, top_left=body.same.asymmetryMode == 1)
    if padding != "valid":
        return None
    borders = [(int(b.startEdgeSize), int(b.endEdgeSize)) for b in body.valid.paddingAmounts.borderAmounts]
    if len(borders) not in (0, 2) or any(amount > _MAX_EXTENT for pair in borders for amount in pair):
        return None
    return Window(kernel, stride, dilation, (borders[0], borders[1]) if borders else ((0, 0), (0, 0)))


def _pair(values: Message, default: int) -> tuple[int, int]:
    return (int(values[0]), int(values[1])) if len(values) == 2 else (default, default)

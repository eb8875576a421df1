"""The weights of a stack of dense layers as the compiled engine takes them: flat, in rows of whole vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.coreml.fleet.jobs import Stack
from headway.coreml.fleet.kernels import NEVER
from headway.coreml.fleet.lanes import LANES
from headway.coreml.fleet.pointwise import RELU, SIGMOID, TANH
from headway.coreml.fleet.records import Head, Trained
from headway.coreml.head import HeadWeights
from headway.coreml.weights import Float32, Floats

__all__ = ["Padded"]

_ACTIVATIONS = {"ReLU": RELU, "sigmoid": SIGMOID, "tanh": TANH}


def _up(value: int, to: int) -> int:
    return -(-value // to) * to


def _aligned(values: Floats) -> Floats:
    """Return a copy that begins at a cache line, so that no vector lies across more than it fills."""
    room = np.empty(len(values) + LANES, dtype=values.dtype)
    skip = -room.__array_interface__["data"][0] // room.itemsize % LANES
    room[skip : skip + len(values)] = values
    return room[skip : skip + len(values)]


@dataclass(frozen=True, eq=False)
class Padded:
    """A *head* with its padding, and the *stack* that it is."""

    stack: Stack
    head: Head

    @classmethod
    def of(cls, stack: Stack, weights: Mapping[str, Float32], number: type[np.floating[Any]]) -> Padded:
        """Lay *weights* out as *number*; padding is zero, and :data:`NEVER` in the bias of the scores."""
        parts: list[Floats] = []
        for name, shape in zip(stack.names, _shapes(stack), strict=True):
            bias, kernel = weights[f"{name}.biases"], weights[f"{name}.weights"]
            laid = np.zeros(shape, dtype=number)
            laid[: kernel.shape[0], : kernel.shape[1]] = kernel
            last = name == stack.names[-1]
            tail = np.full(_columns(stack.widths, len(parts) // 2), NEVER if last else 0, dtype=number)
            tail[: len(bias)] = bias
            parts += [laid.reshape(-1), tail]
        inner = np.concatenate([np.empty(0, dtype=number), *parts[2:]])
        kinds = np.array([_ACTIVATIONS[kind] for kind in stack.activations], dtype=np.int64)
        return cls(stack, Head(_aligned(parts[0]), parts[1], inner, np.array(stack.widths, dtype=np.int64), kinds))

    @property
    def size(self) -> int:
        """All numbers that a step may move."""
        return len(self.head.kernel) + _columns(self.stack.widths, 0) + len(self.head.inner)

    def unpack(self, trained: Trained) -> Iterator[HeadWeights]:
        """Return each job's weights by key, without padding: views of arrays that hold those of all jobs."""
        many, shapes = len(trained.kernels), self.stack.shapes
        first = self.stack.names[0]
        found = [trained.kernels.reshape(many, *shapes[f"{first}.weights"]), trained.biases]
        offset = 0
        for layer, (name, (rows, columns)) in enumerate(zip(self.stack.names, _shapes(self.stack), strict=True)):
            if not layer:
                continue
            height, width = shapes[f"{name}.weights"]
            laid = trained.inner[:, offset : offset + rows * columns].reshape(many, rows, columns)
            offset += rows * columns
            found += [laid[:, :height, :width].copy(), trained.inner[:, offset : offset + height].copy()]
            offset += _columns(self.stack.widths, layer)
        return (dict(zip(shapes, values, strict=True)) for values in zip(*found, strict=True))


def _shapes(stack: Stack) -> list[tuple[int, int]]:
    """Return rows and columns of each kernel with their padding."""
    pairs = zip(stack.widths, stack.widths[1:], strict=False)
    return [(_up(width_out, 4), _up(width_in, 2 * LANES)) for width_in, width_out in pairs]


def _columns(widths: Sequence[int], layer: int) -> int:
    """Return the outputs of *layer* with their padding."""
    return _up(widths[layer + 1], 2 * LANES if layer + 2 < len(widths) else LANES)

"""Activations between layers, forward and backward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headway.coreml.fleet.lanes import LANES, inner
from headway.coreml.fleet.vectors import fma, gate, load, splat, store

__all__ = ["RELU", "SIGMOID", "TANH", "activate", "derive"]

RELU, SIGMOID, TANH = 0, 1, 2
Flat = Any  # a float32 array [n]; numba knows the type of every argument, mypy need not


@inner
def activate(kind: int, y: Flat, at: int, count: int, stride: int, width: int) -> None:
    """Apply an activation in place, to the *width* columns that are not padding."""
    if kind == RELU:
        for j in range(at, at + count * stride, LANES):
            store(y, j, gate(load(y, j), load(y, j)))
        return
    for i in range(count):
        for j in range(at + i * stride, at + i * stride + width):
            if kind == TANH:
                y[j] = math.tanh(y[j])
            else:
                small = math.exp(-abs(y[j]))
                y[j] = np.float32(1 if y[j] >= 0 else small) / (np.float32(1) + small)


@inner
def derive(kind: int, y: Flat, at: int, up: Flat, count: int, stride: int) -> None:
    """Multiply *up*, in place, by the derivative of the activation whose outputs are *y*; both lie at *at*."""
    one, minus = splat(np.float32(1)), splat(np.float32(-1))
    zero = splat(np.float32(0))
    for j in range(at, at + count * stride, LANES):
        a, b = load(y, j), load(up, j)
        if kind == RELU:
            store(up, j, gate(a, b))
        elif kind == TANH:
            store(up, j, fma(b, fma(fma(minus, a, zero), a, one), zero))
        else:
            store(up, j, fma(b, fma(fma(minus, a, zero), a, a), zero))

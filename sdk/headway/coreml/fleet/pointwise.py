"""Activations, and the end of the network: from scores to their gradient and the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headway.coreml.fleet.vectors import (
    LANES,
    add,
    exponential,
    fma,
    gate,
    inner,
    lane,
    largest,
    load,
    splat,
    store,
    total,
)

__all__ = ["RELU", "SIGMOID", "TANH", "activate", "cross_entropy", "derive"]

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


@inner
def cross_entropy(
    y: Flat, at: int, count: int, width: int, labels: Any, rows: Any, share: Any, up: Flat, wanted: bool
) -> Any:
    """Write the gradient by the scores *y*, each sample weighing *share*, at the same place of *up*;
    return the loss where it is *wanted*."""
    loss = np.float32(0)
    for i in range(count):
        t = at + i * width
        high = largest(load(y, t))
        for j in range(t + LANES, t + width, LANES):
            high = max(high, largest(load(y, j)))
        low, mass = splat(-high), splat(np.float32(0))
        for j in range(t, t + width, LANES):
            e = exponential(add(load(y, j), low))
            store(up, j, e)
            mass = add(mass, e)
        whole = total(mass)
        scale, label = splat(share / whole), t + labels[rows[i]]
        for j in range(t, t + width, LANES):  # written as whole vectors: a single number would hold up their readers
            store(up, j, fma(load(up, j), scale, lane(label - j, -share)))
        if wanted:
            loss += share * (np.float32(math.log(whole)) - (y[label] - high))
    return loss

"""Activations between layers, forward and backward."""

from __future__ import annotations

from typing import Any

from headway.coreml.fleet.lanes import LANES, inner
from headway.coreml.fleet.vectors import (
    absolute,
    add,
    choose,
    divide,
    exponential,
    fma,
    gate,
    lanes,
    load,
    splat,
    store,
    subtract,
)

__all__ = ["FAR", "RELU", "SIGMOID", "TANH", "activate", "derive"]

RELU, SIGMOID, TANH = 0, 1, 2
FAR = 1e38
"""Farther from the kink than any unit is."""
Flat = Any  # an array [n] of float32 or float64; numba knows the type of every argument, mypy need not


@inner
def rectify(y: Flat, at: int, count: int, stride: int, width: int, near: Flat, n: int) -> None:
    """Apply ReLU in place, and note in *near* from *n* on how near to zero its inputs came, and how far: lane by lane.

    Padding, which is zero, does not count.
    """
    far, lowest, highest = splat(y, FAR), load(near, n), load(near, n + LANES)
    for j in range(0, stride, LANES):
        left = splat(y, float(width - j))
        for t in range(at + j, at + j + count * stride, stride):
            z = load(y, t)
            size = absolute(z)
            highest = choose(size, highest, size, highest)
            size = choose(left, lanes(y), size, far)
            lowest = choose(lowest, size, size, lowest)
            store(y, t, gate(z, z))
    store(near, n, lowest)
    store(near, n + LANES, highest)


@inner
def bend(kind: int, y: Flat, at: int, count: int, stride: int, width: int) -> None:
    """Apply tanh or sigmoid in place, through exponentials that cannot overflow; padding stays zero."""
    one, zero, minus = splat(y, 1.0), splat(y, 0.0), splat(y, -1.0)
    power = splat(y, -2.0 if kind == TANH else -1.0)
    for j in range(0, stride, LANES):
        left = splat(y, float(width - j))
        for t in range(at + j, at + j + count * stride, stride):
            z = load(y, t)
            small = exponential(fma(power, absolute(z), zero))
            above = divide(one, add(one, small))
            if kind == TANH:
                above = fma(subtract(one, small), above, zero)
                below = fma(minus, above, zero)
            else:
                below = fma(small, above, zero)
            store(y, t, choose(left, lanes(y), choose(zero, z, below, above), zero))


@inner
def activate(kind: int, y: Flat, at: int, count: int, stride: int, width: int, near: Flat, n: int) -> None:
    """Apply an activation in place, to the *width* columns that are not padding; for *near* see :func:`rectify`."""
    if kind == RELU:
        rectify(y, at, count, stride, width, near, n)
    else:
        bend(kind, y, at, count, stride, width)


@inner
def derive(kind: int, y: Flat, at: int, up: Flat, count: int, stride: int) -> None:
    """Multiply *up*, in place, by the derivative of the activation whose outputs are *y*; both lie at *at*."""
    one, minus, zero = splat(y, 1.0), splat(y, -1.0), splat(y, 0.0)
    for j in range(at, at + count * stride, LANES):
        a, b = load(y, j), load(up, j)
        if kind == RELU:
            store(up, j, gate(a, b))
        elif kind == TANH:
            store(up, j, fma(b, fma(fma(minus, a, zero), a, one), zero))
        else:
            store(up, j, fma(b, fma(fma(minus, a, zero), a, a), zero))

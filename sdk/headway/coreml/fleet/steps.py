"""Steps of SGD and Adam, taken where the gradient is computed: it never goes through memory.

The moments of Adam are kept without their factors (1 - beta), which the caller moves into rate and epsilon.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headway.coreml.fleet.fours import fma4, spread4, zero4
from headway.coreml.fleet.lanes import LANES, inner
from headway.coreml.fleet.vectors import add, divide, fma, load, root, splat, store

__all__ = ["ADAM", "MOMENTUM", "NESTEROV", "PLAIN", "descend", "descend_samples", "move"]

PLAIN, MOMENTUM, NESTEROV, ADAM = 0, 1, 2, 3
Flat = Any  # a float32 array [n]; numba knows the type of every argument, mypy need not


@inner
def move(
    kind: int, w: Flat, first: Flat, second: Flat, at: int, g: Any, rate: Any, keep: Any, keep2: Any, eps: Any
) -> None:
    """Take the optimizer's step for the gradient *g* of the weights at *at*.

    *rate* is negative.  *keep* is the momentum or beta1; *keep2* beta2 or, for momentum, the share of the gradient.
    """
    if kind == PLAIN:
        store(w, at, fma(rate, g, load(w, at)))
    elif kind == ADAM:
        m = fma(keep, load(first, at), g)
        v = fma(keep2, load(second, at), fma(g, g, splat(np.float32(0))))
        store(first, at, m)
        store(second, at, v)
        store(w, at, fma(rate, divide(m, add(root(v), eps)), load(w, at)))
    else:
        v = fma(keep, load(first, at), fma(keep2, g, splat(np.float32(0))))
        store(first, at, v)
        if kind == NESTEROV:
            v = fma(keep, v, g)
        store(w, at, fma(rate, v, load(w, at)))


@inner
def move4(
    kind: int,
    w: Flat,
    first: Flat,
    second: Flat,
    at: int,
    step: int,
    g: Any,
    rate: Any,
    keep: Any,
    keep2: Any,
    eps: Any,
) -> None:
    """As :func:`move`, for four vectors *step* apart."""
    move(kind, w, first, second, at, g[0], rate, keep, keep2, eps)
    move(kind, w, first, second, at + step, g[1], rate, keep, keep2, eps)
    move(kind, w, first, second, at + 2 * step, g[2], rate, keep, keep2, eps)
    move(kind, w, first, second, at + 3 * step, g[3], rate, keep, keep2, eps)


@inner
def descend(
    kind: int,
    w: Flat,
    first: Flat,
    second: Flat,
    base: int,
    bias: int,
    up: Flat,
    u: int,
    stride: int,
    x: Flat,
    at: Any,
    count: int,
    outs: int,
    ins: int,
    rate: Any,
    keep: Any,
    keep2: Any,
    eps: Any,
) -> None:
    """Move a dense layer against its gradient ``up[i, o] x[i]``, summed over the mini-batch, and its bias."""
    for o in range(0, outs, 4):
        for k in range(0, ins, 2 * LANES):
            a, b = zero4(), zero4()
            for i in range(count):
                factors = spread4(up, u + i * stride + o, 1)
                a, b = fma4(load(x, at[i] + k), factors, a), fma4(load(x, at[i] + k + LANES), factors, b)
            t = base + o * ins + k
            move4(kind, w, first, second, t, ins, a, rate, keep, keep2, eps)
            move4(kind, w, first, second, t + LANES, ins, b, rate, keep, keep2, eps)
    for o in range(0, stride, LANES):
        change = splat(np.float32(0))
        for i in range(count):
            change = add(change, load(up, u + i * stride + o))
        move(kind, w, first, second, bias + o, change, rate, keep, keep2, eps)


@inner
def descend_samples(
    kind: int,
    change: Flat,
    first: Flat,
    samples: int,
    width: int,
    up: Flat,
    rows: Any,
    count: int,
    rate: Any,
    keep: Any,
    keep2: Any,
) -> None:
    """Move the combination of samples that a layer is (``samples.py``) against the gradient of its outputs."""
    if kind == PLAIN:
        for i in range(count):
            for j in range(0, width, LANES):
                t = rows[i] * width + j
                store(change, t, fma(rate, load(up, i * width + j), load(change, t)))
        return
    zero = splat(np.float32(0))
    for t in range(0, samples * width, LANES):
        store(first, t, fma(keep, load(first, t), zero))
    for i in range(count):
        for j in range(0, width, LANES):
            t, g = rows[i] * width + j, load(up, i * width + j)
            store(first, t, fma(keep2, g, load(first, t)))
            if kind == NESTEROV:
                store(change, t, fma(rate, g, load(change, t)))
    for t in range(0, samples * width, LANES):
        v = load(first, t)
        if kind == NESTEROV:
            v = fma(keep, v, zero)
        store(change, t, fma(rate, v, load(change, t)))

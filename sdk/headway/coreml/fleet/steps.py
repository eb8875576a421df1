"""Steps of SGD and Adam, taken where the gradient is computed: it never goes through memory.

The moments of Adam are kept without their factors (1 - beta), which the caller moves into rate and epsilon.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headway.coreml.fleet.vectors import LANES, add, divide, fma, inner, load, root, splat, spread, store

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
    zero = splat(np.float32(0))
    for o in range(0, outs, 4):
        for k in range(0, ins, 2 * LANES):
            a0, a1, a2, a3 = zero, zero, zero, zero
            b0, b1, b2, b3 = zero, zero, zero, zero
            for i in range(count):
                c, d, e = load(x, at[i] + k), load(x, at[i] + k + LANES), u + i * stride + o
                u0, u1, u2, u3 = spread(up, e), spread(up, e + 1), spread(up, e + 2), spread(up, e + 3)
                a0, a1, a2, a3 = fma(u0, c, a0), fma(u1, c, a1), fma(u2, c, a2), fma(u3, c, a3)
                b0, b1, b2, b3 = fma(u0, d, b0), fma(u1, d, b1), fma(u2, d, b2), fma(u3, d, b3)
            t = base + o * ins + k
            move(kind, w, first, second, t, a0, rate, keep, keep2, eps)
            move(kind, w, first, second, t + LANES, b0, rate, keep, keep2, eps)
            t += ins
            move(kind, w, first, second, t, a1, rate, keep, keep2, eps)
            move(kind, w, first, second, t + LANES, b1, rate, keep, keep2, eps)
            t += ins
            move(kind, w, first, second, t, a2, rate, keep, keep2, eps)
            move(kind, w, first, second, t + LANES, b2, rate, keep, keep2, eps)
            t += ins
            move(kind, w, first, second, t, a3, rate, keep, keep2, eps)
            move(kind, w, first, second, t + LANES, b3, rate, keep, keep2, eps)
    for o in range(0, stride, LANES):
        a0 = zero
        for i in range(count):
            a0 = add(a0, load(up, u + i * stride + o))
        move(kind, w, first, second, bias + o, a0, rate, keep, keep2, eps)


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

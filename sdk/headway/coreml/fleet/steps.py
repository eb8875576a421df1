"""Steps of SGD and Adam, taken where the gradient is computed: it never goes through memory.

The moments of Adam are kept without their factors (1 - beta), which the caller moves into rate and epsilon.  A moment
fades by subtracting a part of it, since float32 knows 1 - beta better than beta.
"""

from __future__ import annotations

from typing import Any

from headway.coreml.fleet.estimates import quotient, root
from headway.coreml.fleet.fours import fma4, spread4, zero4
from headway.coreml.fleet.lanes import LANES, inner
from headway.coreml.fleet.records import Pace
from headway.coreml.fleet.vectors import add, fma, load, splat, store

__all__ = ["ADAM", "MOMENTUM", "NESTEROV", "PLAIN", "descend", "descend_samples", "move"]

PLAIN, MOMENTUM, NESTEROV, ADAM = 0, 1, 2, 3
PART = 128
"""So many columns of a mini-batch at a time: they stay in the first-level cache, in float64 too."""
Flat = Any  # an array [n] of float32 or float64; numba knows the type of every argument, mypy need not


@inner
def move(pace: Pace, w: Flat, first: Flat, second: Flat, at: int, g: Any) -> None:
    """Take the optimizer's step for the gradient *g* of the weights at *at*."""
    if pace.kind == PLAIN:
        store(w, at, fma(pace.rate, g, load(w, at)))
    elif pace.kind == ADAM:
        m, v = load(first, at), load(second, at)
        m, v = fma(pace.fade, m, add(m, g)), fma(pace.fade2, v, fma(g, g, v))
        store(first, at, m)
        store(second, at, v)
        store(w, at, fma(pace.rate, quotient(m, add(root(v), pace.eps)), load(w, at)))
    else:
        v = load(first, at)
        v = fma(pace.fade, v, fma(pace.share, g, v))
        store(first, at, v)
        if pace.kind == NESTEROV:
            v = fma(pace.keep, v, g)
        store(w, at, fma(pace.rate, v, load(w, at)))


@inner
def move4(pace: Pace, w: Flat, first: Flat, second: Flat, at: int, step: int, g: Any) -> None:
    """As :func:`move`, for four vectors *step* apart."""
    move(pace, w, first, second, at, g[0])
    move(pace, w, first, second, at + step, g[1])
    move(pace, w, first, second, at + 2 * step, g[2])
    move(pace, w, first, second, at + 3 * step, g[3])


@inner
def descend(
    pace: Pace,
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
) -> None:
    """Move a dense layer against its gradient ``up[i, o] x[i]``, summed over the mini-batch, and its bias."""
    for part in range(0, ins, PART):
        for o in range(0, outs, 4):
            for k in range(part, min(part + PART, ins), 2 * LANES):
                a, b = zero4(w), zero4(w)
                for i in range(count):
                    factors = spread4(up, u + i * stride + o, 1)
                    a, b = fma4(load(x, at[i] + k), factors, a), fma4(load(x, at[i] + k + LANES), factors, b)
                t = base + o * ins + k
                move4(pace, w, first, second, t, ins, a)
                move4(pace, w, first, second, t + LANES, ins, b)
    for o in range(0, stride, LANES):
        change = splat(w, 0.0)
        for i in range(count):
            change = add(change, load(up, u + i * stride + o))
        move(pace, w, first, second, bias + o, change)


@inner
def descend_samples(
    pace: Pace,
    change: Flat,
    first: Flat,
    samples: int,
    width: int,
    up: Flat,
    rows: Any,
    count: int,
) -> None:
    """Move the combination of samples that a layer is (``training.py``) against the gradient of its outputs."""
    if pace.kind == PLAIN:
        for i in range(count):
            for j in range(0, width, LANES):
                t = rows[i] * width + j
                store(change, t, fma(pace.rate, load(up, i * width + j), load(change, t)))
        return
    for t in range(0, samples * width, LANES):
        store(first, t, fma(pace.fade, load(first, t), load(first, t)))
    for i in range(count):
        for j in range(0, width, LANES):
            t, g = rows[i] * width + j, load(up, i * width + j)
            store(first, t, fma(pace.share, g, load(first, t)))
            if pace.kind == NESTEROV:
                store(change, t, fma(pace.rate, g, load(change, t)))
    for t in range(0, samples * width, LANES):
        v = load(first, t)
        if pace.kind == NESTEROV:
            v = fma(pace.keep, v, splat(change, 0.0))
        store(change, t, fma(pace.rate, v, load(change, t)))

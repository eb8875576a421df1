"""Products of flat, padded matrices, in blocks that stay in registers; see :mod:`~headway.coreml.fleet.kernels`.

Row *i* of a matrix *x* begins at ``x[at[i]]``, so that a mini-batch is a list of places.  Rows are worked on in pairs:
``at`` has one entry more than there are rows, and a result one row more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headway.coreml.fleet.vectors import LANES, add, fma, inner, load, splat, spread, store, total, totals

__all__ = ["combine", "gather", "padded", "products"]

Flat = Any  # a float32 array [n]; numba knows the type of every argument, mypy need not


@inner
def products(
    x: Flat,
    at: Any,
    count: int,
    w: Flat,
    first: int,
    outs: int,
    ins: int,
    bias: Flat,
    b: int,
    y: Flat,
    to: int,
    stride: int,
) -> None:
    """Write ``y[i, o] = bias[o] + x[i] · w[o]`` for *outs* rows of weights, a multiple of four."""
    zero = splat(np.float32(0))
    for o in range(0, outs, 4):
        w0 = first + o * ins
        w1, w2, w3 = w0 + ins, w0 + 2 * ins, w0 + 3 * ins
        for i in range(0, count, 2):
            p, q = at[i], at[i + 1]
            a0, a1, a2, a3 = zero, zero, zero, zero
            b0, b1, b2, b3 = zero, zero, zero, zero
            for k in range(0, ins, LANES):
                u, v = load(x, p + k), load(x, q + k)
                c0, c1, c2, c3 = load(w, w0 + k), load(w, w1 + k), load(w, w2 + k), load(w, w3 + k)
                a0, a1, a2, a3 = fma(u, c0, a0), fma(u, c1, a1), fma(u, c2, a2), fma(u, c3, a3)
                b0, b1, b2, b3 = fma(v, c0, b0), fma(v, c1, b1), fma(v, c2, b2), fma(v, c3, b3)
            t = to + i * stride + o
            totals((a0, a1, a2, a3, b0, b1, b2, b3), bias, b + o, y, t, t + stride)


@inner
def combine_narrow(
    a: Flat, at: Any, count: int, terms: int, w: Flat, first: int, start: Flat, begin: Any, y: Flat, to: int
) -> None:
    """As :func:`combine` for rows of one vector: four rows at a time, and the last again where four do not go in."""
    zero = splat(np.float32(0))
    for block in range(0, count, 4):
        i = max(0, min(block, count - 4))
        i1, i2, i3 = min(i + 1, count), min(i + 2, count), min(i + 3, count)
        p, q, r, s = at[i], at[i1], at[i2], at[i3]
        a0, b0, c0, d0 = load(start, begin[i]), load(start, begin[i1]), load(start, begin[i2]), load(start, begin[i3])
        a1, b1, c1, d1 = zero, zero, zero, zero
        for k in range(0, terms, 2):
            e = first + k * LANES
            u, v = load(w, e), load(w, e + LANES)
            a0, b0, c0, d0 = (
                fma(spread(a, p + k), u, a0),
                fma(spread(a, q + k), u, b0),
                fma(spread(a, r + k), u, c0),
                fma(spread(a, s + k), u, d0),
            )
            a1, b1, c1, d1 = (
                fma(spread(a, p + k + 1), v, a1),
                fma(spread(a, q + k + 1), v, b1),
                fma(spread(a, r + k + 1), v, c1),
                fma(spread(a, s + k + 1), v, d1),
            )
        store(y, to + i * LANES, add(a0, a1))
        store(y, to + i1 * LANES, add(b0, b1))
        store(y, to + i2 * LANES, add(c0, c1))
        store(y, to + i3 * LANES, add(d0, d1))


@inner
def combine(
    a: Flat, at: Any, count: int, terms: int, w: Flat, first: int, width: int, start: Flat, begin: Any, y: Flat, to: int
) -> None:
    """Write ``y[i] = start[i] + Σ a[i, k] w[k]``; *terms* is even, row *i* of start is at ``begin[i]``."""
    if width == LANES:
        combine_narrow(a, at, count, terms, w, first, start, begin, y, to)
        return
    for i in range(0, count, 2):
        p, q, s, r, t = at[i], at[i + 1], begin[i], begin[i + 1], to + i * width
        j = 0
        while j + 4 * LANES <= width:
            a0, a1 = load(start, s + j), load(start, s + j + LANES)
            a2, a3 = load(start, s + j + 2 * LANES), load(start, s + j + 3 * LANES)
            b0, b1 = load(start, r + j), load(start, r + j + LANES)
            b2, b3 = load(start, r + j + 2 * LANES), load(start, r + j + 3 * LANES)
            for k in range(terms):
                u, v, e = spread(a, p + k), spread(a, q + k), first + k * width + j
                c0, c1, c2, c3 = load(w, e), load(w, e + LANES), load(w, e + 2 * LANES), load(w, e + 3 * LANES)
                a0, a1, a2, a3 = fma(u, c0, a0), fma(u, c1, a1), fma(u, c2, a2), fma(u, c3, a3)
                b0, b1, b2, b3 = fma(v, c0, b0), fma(v, c1, b1), fma(v, c2, b2), fma(v, c3, b3)
            e = t + j
            store(y, e, a0), store(y, e + LANES, a1), store(y, e + 2 * LANES, a2), store(y, e + 3 * LANES, a3)
            e += width
            store(y, e, b0), store(y, e + LANES, b1), store(y, e + 2 * LANES, b2), store(y, e + 3 * LANES, b3)
            j += 4 * LANES
        while j < width:
            a0, b0 = load(start, s + j), load(start, r + j)
            a1, b1 = splat(np.float32(0)), splat(np.float32(0))
            for k in range(0, terms, 2):
                e = first + k * width + j
                c0, c1 = load(w, e), load(w, e + width)
                a0, b0 = fma(spread(a, p + k), c0, a0), fma(spread(a, q + k), c0, b0)
                a1, b1 = fma(spread(a, p + k + 1), c1, a1), fma(spread(a, q + k + 1), c1, b1)
            store(y, t + j, add(a0, a1))
            store(y, t + width + j, add(b0, b1))
            j += LANES


@inner
def gather(
    change: Flat, samples: int, stride: int, x: Flat, ins: int, w: Flat, outs: int, width: int, out: Flat, block: Flat
) -> Any:
    """Write ``w + changeᵀ x`` ``[outs, width]`` without padding; return 0, or NaN when something is not finite."""
    zero, bad = splat(np.float32(0)), splat(np.float32(0))
    for k in range(0, ins, 2 * LANES):
        for o in range(0, outs, 4):
            t = o * ins + k
            a0, b0 = load(w, t), load(w, t + LANES)
            a1, b1 = load(w, t + ins), load(w, t + ins + LANES)
            a2, b2 = load(w, t + 2 * ins), load(w, t + 2 * ins + LANES)
            a3, b3 = load(w, t + 3 * ins), load(w, t + 3 * ins + LANES)
            for i in range(samples):
                c, d, e = load(x, i * ins + k), load(x, i * ins + k + LANES), i * stride + o
                u0, u1, u2, u3 = spread(change, e), spread(change, e + 1), spread(change, e + 2), spread(change, e + 3)
                a0, a1, a2, a3 = fma(u0, c, a0), fma(u1, c, a1), fma(u2, c, a2), fma(u3, c, a3)
                b0, b1, b2, b3 = fma(u0, d, b0), fma(u1, d, b1), fma(u2, d, b2), fma(u3, d, b3)
            whole = o + 4 <= outs and k + 2 * LANES <= width
            to, at, row = (out, o * width + k, width) if whole else (block, 0, 2 * LANES)
            store(to, at, a0)
            store(to, at + LANES, b0)
            store(to, at + row, a1)
            store(to, at + row + LANES, b1)
            store(to, at + 2 * row, a2)
            store(to, at + 2 * row + LANES, b2)
            store(to, at + 3 * row, a3)
            store(to, at + 3 * row + LANES, b3)
            bad = fma(zero, add(add(add(a0, b0), add(a1, b1)), add(add(a2, b2), add(a3, b3))), bad)
            if not whole:
                for r in range(min(4, outs - o)):
                    for j in range(min(2 * LANES, width - k)):
                        out[(o + r) * width + k + j] = block[r * 2 * LANES + j]
    return total(bad)


@inner
def padded(value: int, to: int) -> int:
    """Return *value* rounded up to a multiple of *to*."""
    return (value + to - 1) // to * to

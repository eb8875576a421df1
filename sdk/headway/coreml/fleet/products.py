"""Products of flat, padded matrices, in blocks that stay in registers; see :mod:`~headway.coreml.fleet.kernels`.

Row *i* of a matrix *x* begins at ``x[at[i]]``, so that a mini-batch is a list of places.  Rows are worked on by four
and by two: ``at`` has one entry more than there are rows, and a result one row more.
"""

from __future__ import annotations

from typing import Any

from headway.coreml.fleet.fours import add4, cast4, fma4, load4, spread4, store4, zero4
from headway.coreml.fleet.lanes import LANES, inner
from headway.coreml.fleet.reductions import deliver, joined, repeat, total, totals, turned
from headway.coreml.fleet.vectors import add, fma, is_double, load, splat, spread, store

__all__ = ["combine", "gather", "gram", "padded", "products"]

Flat = Any  # an array [n] of float32 or float64; numba knows the type of every argument, mypy need not


@inner
def by_two(x: Flat, p: int, q: int, w: Flat, first: int, pitch: int, width: int) -> Any:
    """Return the products of two rows of *x* with four of *w*, row by row, twice."""
    a, b = zero4(x), zero4(x)
    for k in range(0, width, LANES):
        right = load4(w, first + k, pitch)
        a, b = fma4(load(x, p + k), right, a), fma4(load(x, q + k), right, b)
    return totals((a, b))


@inner
def by_four(x: Flat, p: int, q: int, r: int, s: int, w: Flat, first: int, pitch: int, width: int) -> Any:
    """Return the products of four rows of *x* with four of *w*, row by row."""
    if is_double(x):  # sixteen sums at once would fill all registers, and more
        return joined(by_two(x, p, q, w, first, pitch, width), by_two(x, r, s, w, first, pitch, width))
    a, b, c, d = zero4(x), zero4(x), zero4(x), zero4(x)
    for k in range(0, width, LANES):
        right = load4(w, first + k, pitch)
        a, b = fma4(load(x, p + k), right, a), fma4(load(x, q + k), right, b)
        c, d = fma4(load(x, r + k), right, c), fma4(load(x, s + k), right, d)
    return totals((a, b, c, d))


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
    for o in range(0, outs, 4):
        plus, row = repeat(bias, b + o), first + o * ins
        i = 0
        while i + 2 < count:
            found = by_four(x, at[i], at[i + 1], at[i + 2], at[i + 3], w, row, ins, ins)
            t = to + i * stride + o
            deliver(y, (t, t + stride, t + 2 * stride, t + 3 * stride), add(found, plus))
            i += 4
        if i < count:
            found = by_two(x, at[i], at[i + 1], w, row, ins, ins)
            t = to + i * stride + o
            deliver(y, (t, t + stride), add(found, plus))


@inner
def gram(x: Flat, count: int, pitch: int, width: int, y: Flat, stride: int) -> None:
    """Write ``y[i, o] = 1 + x[i] · x[o]`` for all pairs of *count* rows, a multiple of four."""
    one = splat(x, 1.0)
    for group in range(0, count, 16):  # so many samples stay in the first-level cache
        for o in range(group, count, 4):
            for i in range(group, min(group + 16, o + 4), 4):
                p = i * pitch
                found = add(by_four(x, p, p + pitch, p + 2 * pitch, p + 3 * pitch, x, o * pitch, pitch, width), one)
                t = i * stride + o
                deliver(y, (t, t + stride, t + 2 * stride, t + 3 * stride), found)
                t = o * stride + i
                deliver(y, (t, t + stride, t + 2 * stride, t + 3 * stride), turned(found))


@inner
def combine_narrow(
    a: Flat, at: Any, count: int, terms: int, w: Flat, first: int, start: Flat, begin: Any, y: Flat, to: int
) -> None:
    """As :func:`combine` for rows of one vector: four rows at a time, then two."""
    zero = splat(y, 0.0)
    i = 0
    while i + 2 < count:
        p, q, r, s = at[i], at[i + 1], at[i + 2], at[i + 3]
        a0, b0 = load(start, begin[i]), load(start, begin[i + 1])
        c0, d0 = load(start, begin[i + 2]), load(start, begin[i + 3])
        a1, b1, c1, d1 = zero, zero, zero, zero
        for k in range(0, terms, 2):
            e = first + k * LANES
            u, v = load(w, e), load(w, e + LANES)
            a0, b0 = fma(spread(a, p + k), u, a0), fma(spread(a, q + k), u, b0)
            c0, d0 = fma(spread(a, r + k), u, c0), fma(spread(a, s + k), u, d0)
            a1, b1 = fma(spread(a, p + k + 1), v, a1), fma(spread(a, q + k + 1), v, b1)
            c1, d1 = fma(spread(a, r + k + 1), v, c1), fma(spread(a, s + k + 1), v, d1)
        t = to + i * LANES
        store(y, t, add(a0, a1)), store(y, t + LANES, add(b0, b1))
        store(y, t + 2 * LANES, add(c0, c1)), store(y, t + 3 * LANES, add(d0, d1))
        i += 4
    if i < count:
        p, q = at[i], at[i + 1]
        a0, b0 = load(start, begin[i]), load(start, begin[i + 1])
        a1, b1 = zero, zero
        for k in range(0, terms, 2):
            e = first + k * LANES
            u, v = load(w, e), load(w, e + LANES)
            a0, b0 = fma(spread(a, p + k), u, a0), fma(spread(a, q + k), u, b0)
            a1, b1 = fma(spread(a, p + k + 1), v, a1), fma(spread(a, q + k + 1), v, b1)
        t = to + i * LANES
        store(y, t, add(a0, a1)), store(y, t + LANES, add(b0, b1))


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
            one, other = load4(start, s + j, LANES), load4(start, r + j, LANES)
            for k in range(terms):
                right = load4(w, first + k * width + j, LANES)
                one, other = fma4(spread(a, p + k), right, one), fma4(spread(a, q + k), right, other)
            store4(y, t + j, LANES, one)
            store4(y, t + width + j, LANES, other)
            j += 4 * LANES
        while j < width:
            a0, b0 = load(start, s + j), load(start, r + j)
            a1, b1 = splat(y, 0.0), splat(y, 0.0)
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
    change: Flat,
    samples: int,
    stride: int,
    x: Flat,
    pitch: int,
    w: Flat,
    ins: int,
    outs: int,
    width: int,
    out: Flat,
    block: Flat,
) -> Any:
    """Write ``w + changeᵀ x`` ``[outs, width]`` without padding; return 0, or NaN when something is not finite.

    *out* is float32, and so is *block*, which has room for eight vectors.
    """
    zero, bad = splat(out, 0.0), zero4(out)
    for k in range(0, ins, 2 * LANES):
        for o in range(0, outs, 4):
            t = o * ins + k
            a, b = load4(w, t, ins), load4(w, t + LANES, ins)
            for i in range(samples):
                at, factors = i * pitch + k, spread4(change, i * stride + o, 1)
                a, b = fma4(load(x, at), factors, a), fma4(load(x, at + LANES), factors, b)
            e, f = cast4(out, a), cast4(out, b)
            bad = fma4(zero, add4(e, f), bad)
            if o + 4 <= outs and k + 2 * LANES <= width:
                store4(out, o * width + k, width, e)
                store4(out, o * width + k + LANES, width, f)
                continue
            store4(block, 0, 2 * LANES, e)
            store4(block, LANES, 2 * LANES, f)
            for r in range(min(4, outs - o)):
                for j in range(min(2 * LANES, width - k)):
                    out[(o + r) * width + k + j] = block[r * 2 * LANES + j]
    return total(add(add(bad[0], bad[1]), add(bad[2], bad[3])))


@inner
def padded(value: int, to: int) -> int:
    """Return *value* rounded up to a multiple of *to*."""
    return (value + to - 1) // to * to

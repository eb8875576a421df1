"""The end of the network: from scores to their gradient and the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headway.coreml.fleet.lanes import LANES, within
from headway.coreml.fleet.reductions import apart, largest, largest4, total, total4
from headway.coreml.fleet.vectors import add, divide, exponential, fma, lane, load, splat, store, subtract

__all__ = ["cross_entropy"]

Flat = Any  # a float32 array [n]; numba knows the type of every argument, mypy need not


@within
def cross_entropy(
    y: Flat,
    at: int,
    count: int,
    width: int,
    labels: Any,
    rows: Any,
    share: Any,
    up: Flat,
    highs: Flat,
    masses: Flat,
    wanted: bool,
) -> Any:
    """Write the gradient by the scores *y*, each sample weighing *share*, at the same place of *up*;
    return the loss where it is *wanted*.

    *highs* and *masses* get the largest score and the sum of exponentials of sample *i* at ``4 i``.
    """
    if width == LANES:
        narrow(y, at, count, labels, rows, share, up, highs, masses)
    else:
        wide(y, at, count, width, labels, rows, share, up, highs, masses)
    loss = np.float32(0)
    if wanted:
        for i in range(count):
            score = y[at + i * width + labels[rows[i]]]
            loss += share * (np.float32(math.log(masses[4 * i])) - (score - highs[4 * i]))
    return loss


@within
def narrow(
    y: Flat, at: int, count: int, labels: Any, rows: Any, share: Any, up: Flat, highs: Flat, masses: Flat
) -> None:
    """Samples whose scores are one vector: four at a time, the last again where four do not go in."""
    for block in range(0, count, 4):
        i = max(0, min(block, count - 4))
        i1, i2, i3 = min(i + 1, count), min(i + 2, count), min(i + 3, count)
        t, t1, t2, t3 = at + i * LANES, at + i1 * LANES, at + i2 * LANES, at + i3 * LANES
        a, b, c, d = load(y, t), load(y, t1), load(y, t2), load(y, t3)
        high = largest4((a, b, c, d))
        each = apart(high)
        a, b = exponential(subtract(a, each[0])), exponential(subtract(b, each[1]))
        c, d = exponential(subtract(c, each[2])), exponential(subtract(d, each[3]))
        mass = total4((a, b, c, d))
        scale = apart(divide(splat(share), mass))
        # written as whole vectors: a single number would hold up their readers
        store(up, t, fma(a, scale[0], lane(labels[rows[i]], -share)))
        store(up, t1, fma(b, scale[1], lane(labels[rows[i1]], -share)))
        store(up, t2, fma(c, scale[2], lane(labels[rows[i2]], -share)))
        store(up, t3, fma(d, scale[3], lane(labels[rows[i3]], -share)))
        store(highs, 4 * i, high)
        store(masses, 4 * i, mass)


@within
def wide(
    y: Flat,
    at: int,
    count: int,
    width: int,
    labels: Any,
    rows: Any,
    share: Any,
    up: Flat,
    highs: Flat,
    masses: Flat,
) -> None:
    """Samples of any number of scores, one after the other."""
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
        for j in range(t, t + width, LANES):
            store(up, j, fma(load(up, j), scale, lane(label - j, -share)))
        highs[4 * i], masses[4 * i] = high, whole

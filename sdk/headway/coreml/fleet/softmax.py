"""The end of the network: from scores to their gradient and the loss."""

from __future__ import annotations

import math
from typing import Any

from headway.coreml.fleet.lanes import LANES, within
from headway.coreml.fleet.records import Scores
from headway.coreml.fleet.reductions import apart, largest, largest4, total, total4
from headway.coreml.fleet.vectors import add, divide, exponential, fma, lane, load, splat, store, subtract

__all__ = ["cross_entropy"]


@within
def cross_entropy(scores: Scores, wanted: bool) -> Any:
    """Write the gradient by the *scores*; return the loss where it is *wanted*."""
    if scores.width == LANES:
        narrow(scores)
    else:
        wide(scores)
    loss = 0.0
    if wanted:
        for i in range(scores.many):
            score = scores.y[scores.at + i * scores.width + scores.labels[scores.rows[i]]]
            loss += scores.share * (math.log(scores.masses[4 * i]) - (score - scores.highs[4 * i]))
    return loss


@within
def narrow(scores: Scores) -> None:
    """Samples whose scores are one vector: four at a time, the last again where four do not go in."""
    y, up, at, count, share = scores.y, scores.up, scores.at, scores.many, scores.share
    labels, rows = scores.labels, scores.rows
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
        scale = apart(divide(splat(y, share), mass))
        # written as whole vectors: a single number would hold up their readers
        store(up, t, fma(a, scale[0], lane(y, labels[rows[i]], -share)))
        store(up, t1, fma(b, scale[1], lane(y, labels[rows[i1]], -share)))
        store(up, t2, fma(c, scale[2], lane(y, labels[rows[i2]], -share)))
        store(up, t3, fma(d, scale[3], lane(y, labels[rows[i3]], -share)))
        store(scores.highs, 4 * i, high)
        store(scores.masses, 4 * i, mass)


@within
def wide(scores: Scores) -> None:
    """Samples of any number of scores, one after the other."""
    y, up, width, share = scores.y, scores.up, scores.width, scores.share
    for i in range(scores.many):
        t = scores.at + i * width
        high = largest(load(y, t))
        for j in range(t + LANES, t + width, LANES):
            high = max(high, largest(load(y, j)))
        low, mass = splat(y, -high), splat(y, 0.0)
        for j in range(t, t + width, LANES):
            e = exponential(add(load(y, j), low))
            store(up, j, e)
            mass = add(mass, e)
        whole = total(mass)
        scale, label = splat(y, share / whole), t + scores.labels[scores.rows[i]]
        for j in range(t, t + width, LANES):
            store(up, j, fma(load(up, j), scale, lane(y, label - j, -share)))
        scores.highs[4 * i], scores.masses[4 * i] = high, whole

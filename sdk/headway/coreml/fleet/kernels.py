"""The compiled training of one head: every product, activation and step of it in one call.

Matrices lie flat in one-dimensional arrays.  Rows are padded with zeros to whole vectors, rows of weights also to whole
blocks of four; the padding takes part in every operation and stays what it is (zero; for the scores so low that its
probability is zero).

The compiled code is kept on disk by numba, which notices a change of this file but not of those that it imports:
delete ``__pycache__`` after changing one of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray

from headway.coreml.fleet.pointwise import activate, cross_entropy, derive
from headway.coreml.fleet.products import combine, gather, padded, products
from headway.coreml.fleet.steps import ADAM, PLAIN, descend, descend_samples
from headway.coreml.fleet.vectors import LANES, compiled, load, pointer, splat, store

__all__ = ["NEVER", "NOT_FINITE", "NO_CLASS", "TRAINED", "train_group"]

TRAINED, NOT_FINITE, NO_CLASS = 0, 1, 2
NEVER = -1e30
"""The score of a class that is only padding."""

Flat = Any  # a float32 array [n]; numba knows the type of every argument, mypy need not


@compiled
def aligned(count: int) -> Any:
    """Return *count* zeros that begin at a cache line, so that no vector lies across two."""
    room = np.zeros(count + LANES, dtype=np.float32)
    skip = -room.ctypes.data // 4 % LANES
    return room[skip : skip + count]


@compiled
def train(
    sampled: bool,
    kind: int,
    features: Any,
    labels: Any,
    rows: Any,
    sizes: Any,
    w0: Flat,
    b0: Flat,
    others: Flat,
    widths: Any,
    activations: Any,
    rate: float,
    keep: float,
    keep2: float,
    eps: float,
    hat: bool,
    mean: bool,
    losses: Flat,
    out_w: Flat,
    out_b: Flat,
    out_others: Flat,
) -> bool:
    """Train one head and say whether all that came out is finite.

    *rows* and *sizes* are a :class:`~headway.coreml.fleet.schedule.Schedule`; samples without features are zeros.
    *w0*, *b0* are the first layer's padded weights, *others* all others', layer by layer (kernel, then bias), and
    *out_others* the same after training; *out_w*, *out_b* get the first layer's without padding.  *losses* has one
    place per epoch, for the loss of its last mini-batch.
    """
    layers, n, batch = len(widths) - 1, len(labels), rows.shape[2] - 1
    columns = np.empty(layers, dtype=np.int64)
    blob_at = np.empty(layers + 1, dtype=np.int64)
    blob_at[0] = 0
    for layer in range(layers):
        columns[layer] = padded(widths[layer + 1], 2 * LANES if layer + 1 < layers else LANES)
        blob_at[layer + 1] = blob_at[layer] + (batch + 1) * columns[layer]
    ins, outs, stride, many = padded(widths[0], 2 * LANES), padded(widths[1], 4), columns[0], padded(n, 4)

    x = aligned(many * ins)
    lines = features.reshape(-1)
    for i in range(features.shape[0]):
        whole = widths[0] // LANES * LANES
        for j in range(0, whole, LANES):
            store(x, i * ins + j, load(lines, i * widths[0] + j))
        for j in range(whole, widths[0]):
            x[i * ins + j] = lines[i * widths[0] + j]
    places = np.arange(many + 2) * ins
    ones = np.ones(many, dtype=np.float32)
    gram, start = ones[:0], ones[:0]
    if sampled:
        gram = aligned(many * many)
        start = aligned(many * stride)
        start[:] = np.float32(NEVER if layers == 1 else 0)
        for i in range(0, n, 16):  # so many samples stay in the first-level cache
            some, part = places[i:], min(16, n - i)
            products(x, some, part, x, i * ins, many - i, ins, ones, 0, gram, i * many + i, many)
            products(x, some, part, w0, 0, outs, ins, b0, 0, start, i * stride, stride)
        for i in range(n):
            for j in range(i):
                gram[i * many + j] = gram[j * many + i]
        before = many * stride
    else:
        before = outs * ins + stride
    weights = aligned(before + len(others))
    if not sampled:
        weights[: outs * ins] = w0
        weights[outs * ins : before] = b0
    weights[before:] = others
    first = aligned(len(weights) if kind != PLAIN else 0)
    second = aligned(len(weights) if kind == ADAM else 0)
    blobs, ups = aligned(blob_at[layers]), aligned(blob_at[layers])
    blobs[blob_at[layers - 1] :] = np.float32(NEVER)
    nothing = np.zeros(max(columns.max(), ins), dtype=np.float32)
    still = np.zeros(batch + 2, dtype=np.int64)
    at, begin, above = np.zeros(batch + 2, dtype=np.int64), np.zeros(batch + 2, dtype=np.int64), still.copy()

    down, hold, hold2, small = (
        splat(np.float32(-rate)),
        splat(np.float32(keep)),
        splat(np.float32(keep2)),
        splat(np.float32(0)),
    )
    for step in range(len(losses) * len(sizes)):
        epoch, part = step // len(sizes), step % len(sizes)
        size, chosen = sizes[part], rows[min(epoch, len(rows) - 1), part]
        for i in range(batch + 1):
            at[i] = chosen[i] * (many if sampled else ins)
            begin[i] = chosen[i] * stride
        if sampled:
            combine(gram, at, size, many, weights, 0, stride, start, begin, blobs, 0)
        else:
            products(x, at, size, weights, 0, outs, ins, weights, outs * ins, blobs, 0, stride)
        w = before
        for layer in range(1, layers):
            wide = columns[layer - 1]
            activate(activations[layer - 1], blobs, blob_at[layer - 1], size, wide, widths[layer])
            for i in range(batch + 1):
                above[i] = blob_at[layer - 1] + i * wide
            deep = padded(widths[layer + 1], 4)
            products(
                blobs,
                above,
                size,
                weights,
                w,
                deep,
                wide,
                weights,
                w + deep * wide,
                blobs,
                blob_at[layer],
                columns[layer],
            )
            w += deep * wide + columns[layer]
        share = np.float32(1.0 / size if mean else 1.0)
        last, at_scores = part == len(sizes) - 1, blob_at[layers - 1]
        losses[epoch] = cross_entropy(blobs, at_scores, size, columns[layers - 1], labels, chosen, share, ups, last)
        if kind == ADAM:  # the moments lack their factors (1 - beta), which move into rate and epsilon
            correction = math.sqrt(1 - keep2 ** (step + 1))
            scale = math.sqrt(1 - keep2)
            down = splat(np.float32(-rate * correction / (1 - keep ** (step + 1)) * (1 - keep) / scale))
            small = splat(np.float32(eps / scale * (1.0 if hat else correction)))
        for layer in range(layers - 1, 0, -1):
            wide, deep = columns[layer - 1], padded(widths[layer + 1], 4)
            w -= deep * wide + columns[layer]
            for i in range(batch + 1):
                above[i] = blob_at[layer] + i * columns[layer]
            combine(ups, above, size, deep, weights, w, wide, nothing, still, ups, blob_at[layer - 1])
            derive(activations[layer - 1], blobs, blob_at[layer - 1], ups, size, wide)
            for i in range(batch + 1):
                above[i] = blob_at[layer - 1] + i * wide
            descend(
                kind,
                weights,
                first,
                second,
                w,
                w + deep * wide,
                ups,
                blob_at[layer],
                columns[layer],
                blobs,
                above,
                size,
                deep,
                wide,
                down,
                hold,
                hold2,
                small,
            )
        if sampled:
            descend_samples(kind, weights, first, n, stride, ups, chosen, size, down, hold, hold2)
        else:
            descend(
                kind,
                weights,
                first,
                second,
                0,
                outs * ins,
                ups,
                0,
                stride,
                x,
                at,
                size,
                outs,
                ins,
                down,
                hold,
                hold2,
                small,
            )

    bad: Any = np.float32(0)
    if sampled:
        bad = gather(weights, n, stride, x, ins, w0, widths[1], widths[0], out_w, np.empty(8 * LANES, dtype=np.float32))
        for o in range(widths[1]):
            out_b[o] = b0[o]
            for i in range(n):
                out_b[o] += weights[i * stride + o]
    else:
        for o in range(widths[1]):
            out_b[o] = weights[outs * ins + o]
            for j in range(widths[0]):
                out_w[o * widths[0] + j] = weights[o * ins + j]
    out_others[:] = weights[before:]
    for j in range(len(weights)):
        bad += np.float32(0) * weights[j]
    for j in range(len(losses)):
        bad += np.float32(0) * losses[j]
    return bool(bad == 0)


@compiled
def train_group(
    sampled: bool,
    kind: int,
    addresses: Any,
    count: int,
    labels: Any,
    rows: Any,
    sizes: Any,
    w0: Flat,
    b0: Flat,
    others: Flat,
    widths: Any,
    activations: Any,
    rate: float,
    keep: float,
    keep2: float,
    eps: float,
    hat: bool,
    mean: bool,
    losses: Any,
    out_w: Any,
    out_b: Any,
    out_others: Any,
    states: Any,
) -> None:
    """Train heads that differ only in their samples, as :func:`train`; there is one row per head in what they fill.

    *addresses* are those of float32 features ``[count, widths[0]]``, which must stay alive meanwhile.  *states* gets
    one of TRAINED, NOT_FINITE and NO_CLASS.
    """
    for job in range(len(addresses)):
        states[job] = TRAINED
        for i in range(labels.shape[1]):
            if not 0 <= labels[job, i] < widths[-1]:
                states[job] = NO_CLASS
        if states[job] == TRAINED and not train(
            sampled,
            kind,
            carray(pointer(addresses[job]), (count, widths[0]), np.float32),
            labels[job],
            rows,
            sizes,
            w0,
            b0,
            others,
            widths,
            activations,
            rate,
            keep,
            keep2,
            eps,
            hat,
            mean,
            losses[job],
            out_w[job],
            out_b[job],
            out_others[job],
        ):
            states[job] = NOT_FINITE

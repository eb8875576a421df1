"""The compiled training of heads: every product, activation and step of them in one call.

The records say how everything lies in memory (:mod:`~headway.coreml.fleet.records`).  The compiled code is kept on disk
by numba, which notices a change of this file but not of those that it imports: delete ``__pycache__`` after such a one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray

from headway.coreml.fleet.lanes import LANES, brief, compiled, within
from headway.coreml.fleet.pointwise import FAR, activate, derive
from headway.coreml.fleet.products import combine, gather, gram, padded, products
from headway.coreml.fleet.records import Head, Layout, Pace, Room, Rule, Samples, Scores, Span, Trained
from headway.coreml.fleet.reductions import total
from headway.coreml.fleet.softmax import cross_entropy
from headway.coreml.fleet.steps import ADAM, PLAIN, descend, descend_samples
from headway.coreml.fleet.vectors import cast, fma, is_double, load, pointer, prefetch, splat, store

__all__ = ["NEAR", "NEVER", "NOT_FINITE", "NO_CLASS", "TRAINED", "address", "train_group"]

Flat = Any  # an array [n] of float32 or float64; numba knows the type of every argument, mypy need not
TRAINED, NOT_FINITE, NO_CLASS, NEAR = 0, 1, 2, 3
NEVER = -1e37
"""The score of a class that is only padding."""


@brief
def address(values: Any) -> int:
    """Return where the numbers of an array begin; to ask the array itself takes three times as long."""
    return values.ctypes.data  # type: ignore[no-any-return]


@compiled
def train_group(sampled: bool, samples: Samples, head: Head, rule: Rule, span: Span, trained: Trained) -> None:
    """Train heads that differ only in their samples; *sampled* chooses sample space.

    What is computed in is the type of the head's weights.  ``trained.states`` gets one of TRAINED, NOT_FINITE, NO_CLASS
    and NEAR for each: the last where another type might have come to another head.
    """
    layout = lay_out(sampled, samples, head.widths)
    room = furnish(layout, head, rule)
    for job in range(len(samples.addresses)):
        state = TRAINED
        for label in samples.labels[job]:
            if not 0 <= label < head.widths[-1]:
                state = NO_CLASS
        following = min(job + 1, len(samples.addresses) - 1)
        lines = carray(pointer(samples.addresses[job]), (samples.given * head.widths[0],), np.float32)
        coming = carray(pointer(samples.addresses[following]), (samples.given * head.widths[0],), np.float32)
        if span.begin:
            state = trained.states[job]
        if state == TRAINED:
            state = train(job, lines, coming, samples, head, rule, span, layout, room, trained)
        trained.states[job] = state


@compiled
def lay_out(sampled: bool, samples: Samples, widths: Any) -> Layout:
    """Return where everything lies."""
    layers, batch = len(widths) - 1, samples.rows.shape[2] - 1
    columns = np.empty(layers, dtype=np.int64)
    blob_at = np.zeros(layers + 1, dtype=np.int64)
    for layer in range(layers):
        columns[layer] = padded(widths[layer + 1], 2 * LANES if layer + 1 < layers else LANES)
        blob_at[layer + 1] = blob_at[layer] + (batch + 1) * columns[layer]
    count = samples.labels.shape[1]
    ins, outs, many = padded(widths[0], 2 * LANES), padded(widths[1], 4), padded(count, 4)
    before = many * columns[0] if sampled else outs * ins + columns[0]
    pitch = ins + 2 * LANES  # not a power of two, or a column of samples would share few places of the cache
    return Layout(sampled, count, many, batch, ins, pitch, outs, before, columns, blob_at)


@compiled
def aligned(like: Any, count: int, value: float) -> Any:
    """Return *count* times *value*, of the type of *like*; no vector lies across more cache lines than it fills."""
    room = np.full(count + LANES, value, like.dtype)
    skip = -room.ctypes.data // room.itemsize % LANES
    return room[skip : skip + count]


@compiled
def furnish(layout: Layout, head: Head, rule: Rule) -> Room:
    """Return the arrays that a training works with."""
    many, batch, layers = (layout.many if layout.sampled else 0), layout.batch, len(layout.columns)
    weights = layout.before + len(head.inner)
    moved, squared = (weights if rule.kind != PLAIN else 0), (weights if rule.kind == ADAM else 0)
    lowest = NEVER if layers == 1 else 0.0
    kind, single = head.kernel, np.empty(0, np.float32)
    blobs = aligned(kind, layout.blob_at[layers], 0.0)
    blobs[layout.blob_at[layers - 1] :] = NEVER
    return Room(
        x=aligned(kind, layout.many * layout.pitch, 0.0),
        gram=aligned(kind, many * many, 0.0),
        start=aligned(kind, many * layout.columns[0], lowest),
        weights=aligned(kind, weights, 0.0),
        first=aligned(kind, moved, 0.0),
        second=aligned(kind, squared, 0.0),
        blobs=blobs,
        ups=aligned(kind, layout.blob_at[layers], 0.0),
        highs=aligned(kind, 4 * batch + LANES, 0.0),
        masses=aligned(kind, 4 * batch + LANES, 0.0),
        block=aligned(single, 8 * LANES, 0.0),
        nothing=aligned(kind, max(layout.columns.max(), layout.ins), 0.0),
        near=aligned(kind, 2 * LANES * layers, 0.0),
        places=np.arange(layout.many + 2) * layout.pitch,
        at=np.zeros(batch + 2, dtype=np.int64),
        begin=np.zeros(batch + 2, dtype=np.int64),
        above=np.zeros(batch + 2, dtype=np.int64),
        still=np.zeros(batch + 2, dtype=np.int64),
    )


@within
def train(
    job: int,
    lines: Flat,
    coming: Flat,
    samples: Samples,
    head: Head,
    rule: Rule,
    span: Span,
    layout: Layout,
    room: Room,
    trained: Trained,
) -> int:
    """Train one head with the features *lines* and return what became of it.

    Meanwhile the features of the head *coming* next are fetched, a part with each step.
    """
    take(lines, head.widths[0], layout, room)
    if span.begin:
        resume(job, span, room)
    else:
        begin(head, layout, room)
    for layer in range(0, len(room.near), 2 * LANES):
        store(room.near, layer, splat(room.near, FAR))
        store(room.near, layer + LANES, splat(room.near, 0.0))
    losses, steps, bad = trained.losses[job], len(samples.sizes), 0.0
    part_of_coming = len(coming) // ((span.end - span.begin) * steps) + 1
    for epoch in range(span.begin, span.end):
        for part in range(steps):
            chosen, size = samples.rows[min(epoch, len(samples.rows) - 1), part], samples.sizes[part]
            forward(chosen, size, head, layout, room)
            fetched = ((epoch - span.begin) * steps + part) * part_of_coming
            for j in range(fetched, min(fetched + part_of_coming, len(coming)), LANES):
                prefetch(coming, j)
            at, last = layout.blob_at[-2], part == steps - 1
            share = 1.0 / size if rule.mean else 1.0
            scores = Scores(
                room.blobs,
                at,
                size,
                layout.columns[-1],
                samples.labels[job],
                chosen,
                share,
                room.ups,
                room.highs,
                room.masses,
            )
            bad += beyond(scores, room)
            losses[epoch] = cross_entropy(scores, last)
            backward(epoch * steps + part + 1, chosen, size, head, rule, layout, room)
        if is_near(rule.kink, room):
            return NEAR
    bad += not_finite(room.second)  # a step divided by what is infinite is no step, and nothing else tells
    if not span.ends:
        suspend(job, span, room)
    elif span.begin and has_late(job, head.widths, span, layout, room):
        return NEAR
    else:
        bad += finish(job, head, layout, room, trained)
    return TRAINED if bad == 0 else NOT_FINITE


@within
def suspend(job: int, span: Span, room: Room) -> None:
    """Leave the state of the training for another call."""
    copy(room.weights, span.weights[job], 0)
    copy(room.first, span.first[job], 0)
    copy(room.second, span.second[job], 0)


@within
def resume(job: int, span: Span, room: Room) -> None:
    """Go on where another call left the training."""
    copy(span.weights[job], room.weights, 0)
    copy(span.first[job], room.first, 0)
    copy(span.second[job], room.second, 0)


@within
def has_late(job: int, widths: Any, span: Span, layout: Layout, room: Room) -> bool:
    """Return whether a unit had its first gradient after the training was resumed: its bias tells."""
    before, found, bias = span.second[job], False, layout.outs * layout.ins
    for layer in range(len(layout.columns)):
        if layer:
            bias += layout.columns[layer - 1] + padded(widths[layer + 1], 4) * layout.columns[layer - 1]
        for j in range(bias, bias + layout.columns[layer]):
            found = found or (before[j] == 0 and room.second[j] != 0)
    return found


@within
def beyond(scores: Scores, room: Room) -> float:
    """Return 0, or NaN where float32 could not hold the scores: a device computes in it and would not get further."""
    found = splat(room.block, 0.0)
    if is_double(scores.y):
        for j in range(scores.at, scores.at + scores.many * scores.width, LANES):
            found = fma(splat(room.block, 0.0), cast(room.block, load(scores.y, j)), found)
    return total(found)  # type: ignore[no-any-return]


@within
def is_near(kink: float, room: Room) -> bool:
    """Return whether the input of a ReLU came so near to zero that rounding may have opened or shut it."""
    found = False
    for layer in range(0, len(room.near), 2 * LANES):
        lowest, highest = room.near[layer], room.near[layer + LANES]
        for j in range(layer, layer + LANES):
            lowest, highest = min(lowest, room.near[j]), max(highest, room.near[j + LANES])
        found = found or lowest < kink * highest
    return found


@within
def take(lines: Any, width: int, layout: Layout, room: Room) -> None:
    """Copy the samples into rows of whole vectors."""
    whole = width // LANES * LANES
    for i in range(len(lines) // width):
        to, at = i * layout.pitch, i * width
        for j in range(0, whole, LANES):
            store(room.x, to + j, cast(room.x, load(lines, at + j)))
        for j in range(whole, width):
            room.x[to + j] = lines[at + j]


@within
def begin(head: Head, layout: Layout, room: Room) -> None:
    """Set the weights to the head's, and all moments to zero; in sample space compute the matrices it needs."""
    weights, ins, outs = room.weights, layout.ins, layout.outs
    if layout.sampled:
        gram(room.x, layout.many, layout.pitch, ins, room.gram, layout.many)
        products(
            room.x,
            room.places,
            layout.samples,
            head.kernel,
            0,
            outs,
            ins,
            head.bias,
            0,
            room.start,
            0,
            layout.columns[0],
        )
        clear(weights, layout.before)
    else:
        copy(head.kernel, weights, 0)
        copy(head.bias, weights, outs * ins)
    copy(head.inner, weights, layout.before)
    clear(room.first, len(room.first))
    clear(room.second, len(room.second))


@within
def clear(values: Flat, count: int) -> None:
    """Set the first *count* values to zero."""
    for j in range(count):
        values[j] = 0


@within
def copy(values: Flat, to: Flat, at: int) -> None:
    """Copy all *values*, to the place *at*."""
    for j in range(len(values)):
        to[at + j] = values[j]


@within
def forward(chosen: Any, size: int, head: Head, layout: Layout, room: Room) -> None:
    """Compute the outputs of all layers for the samples *chosen*."""
    stride, blobs, columns = layout.columns[0], room.blobs, layout.columns
    for i in range(size + 1):
        room.at[i] = chosen[i] * (layout.many if layout.sampled else layout.pitch)
        room.begin[i] = chosen[i] * stride
    if layout.sampled:
        combine(room.gram, room.at, size, layout.many, room.weights, 0, stride, room.start, room.begin, blobs, 0)
    else:
        bias = layout.outs * layout.ins
        products(room.x, room.at, size, room.weights, 0, layout.outs, layout.ins, room.weights, bias, blobs, 0, stride)
    w = layout.before
    for layer in range(1, len(columns)):
        wide, below, deep = columns[layer - 1], layout.blob_at[layer - 1], padded(head.widths[layer + 1], 4)
        near = 2 * LANES * (layer - 1)
        activate(head.activations[layer - 1], blobs, below, size, wide, head.widths[layer], room.near, near)
        for i in range(size + 1):
            room.above[i] = below + i * wide
        bias, here = w + deep * wide, layout.blob_at[layer]
        products(blobs, room.above, size, room.weights, w, deep, wide, room.weights, bias, blobs, here, columns[layer])
        w = bias + columns[layer]


@within
def backward(step: int, chosen: Any, size: int, head: Head, rule: Rule, layout: Layout, room: Room) -> None:
    """Take one step of the optimizer with every layer, from the gradient of the scores."""
    rate, small = -rule.rate, 0.0
    if rule.kind == ADAM:  # the moments lack their factors (1 - beta), which move into rate and epsilon
        correction = math.sqrt(1 - rule.keep2**step)
        scale = math.sqrt(1 - rule.keep2)
        rate *= correction / (1 - rule.keep**step) * (1 - rule.keep) / scale
        small = rule.eps / scale * (1.0 if rule.hat else correction)
    weights, first, second, blobs, ups = room.weights, room.first, room.second, room.blobs, room.ups
    pace = Pace(
        rule.kind,
        splat(weights, rate),
        splat(weights, rule.keep),
        splat(weights, rule.keep - 1),
        splat(weights, rule.keep2),
        splat(weights, rule.keep2 - 1),
        splat(weights, small),
    )
    w = len(weights)
    for layer in range(len(layout.columns) - 1, 0, -1):
        wide, stride, deep = layout.columns[layer - 1], layout.columns[layer], padded(head.widths[layer + 1], 4)
        here, below = layout.blob_at[layer], layout.blob_at[layer - 1]
        bias = w - stride
        w = bias - deep * wide
        for i in range(size + 1):
            room.above[i] = here + i * stride
        combine(ups, room.above, size, deep, weights, w, wide, room.nothing, room.still, ups, below)
        derive(head.activations[layer - 1], blobs, below, ups, size, wide)
        for i in range(size + 1):
            room.above[i] = below + i * wide
        descend(pace, weights, first, second, w, bias, ups, here, stride, blobs, room.above, size, deep, wide)
    stride = layout.columns[0]
    if layout.sampled:
        descend_samples(pace, weights, first, layout.samples, stride, ups, chosen, size)
    else:
        outs, ins = layout.outs, layout.ins
        descend(pace, weights, first, second, 0, outs * ins, ups, 0, stride, room.x, room.at, size, outs, ins)


@within
def finish(job: int, head: Head, layout: Layout, room: Room, trained: Trained) -> float:
    """Hand the weights out, in float32, and return 0, or NaN when something is not finite."""
    weights, ins, outs, width = room.weights, layout.ins, head.widths[1], head.widths[0]
    kernel, bias = trained.kernels[job], trained.biases[job]
    bad: Any = 0.0
    if layout.sampled:
        stride = layout.columns[0]
        bad = gather(
            weights, layout.samples, stride, room.x, layout.pitch, head.kernel, ins, outs, width, kernel, room.block
        )
        for o in range(outs):
            moved = head.bias[o]
            for i in range(layout.samples):
                moved += weights[i * stride + o]
            bias[o] = moved
    else:
        for o in range(outs):
            bias[o] = weights[layout.outs * ins + o]
            for j in range(width):
                kernel[o * width + j] = weights[o * ins + j]
    inner_weights = trained.inner[job]
    for j in range(len(inner_weights)):
        inner_weights[j] = weights[layout.before + j]
    if not layout.sampled:
        bad = not_finite(kernel)
    return bad + not_finite(bias) + not_finite(inner_weights) + not_finite(trained.losses[job])  # type: ignore[no-any-return]


@within
def not_finite(values: Flat) -> Any:
    """Return NaN when one of the *values* is not finite, else 0."""
    bad = np.float32(0)
    for value in values:
        bad += np.float32(0) * value
    return bad

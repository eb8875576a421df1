"""Slices: by index with masks, by size, and reversal. Bounds must be constant."""

from __future__ import annotations

import sys

from headway.coreml.mlprogram.call import Call, Emit
from headway.coreml.mlprogram.failures import broken

__all__ = ["TABLE"]

_END = sys.maxsize


def _slice(call: Call, begin: list[int], end: list[int], stride: list[int]) -> str:
    axes = call.graph.int64s([axis + call.lead for axis in range(len(begin))])
    bounds = (call.graph.int64s(begin), call.graph.int64s(end), axes, call.graph.int64s(stride))
    return call.graph.node("Slice", call.arg("x"), *bounds)


def _masks(call: Call, key: str) -> list[bool]:
    rank = call.tensor("x").rank
    return [bool(v) for v in call.ints(key, [0] * rank)]


def _by_index(call: Call) -> str:
    x = call.tensor("x")
    begin, end, stride = call.ints("begin"), call.ints("end"), call.ints("stride", [1] * x.rank)
    if not len(begin) == len(end) == len(stride) == x.rank or 0 in stride:
        raise broken(f"slices a rank-{x.rank} value by {begin}, {end}, {stride} at {call.where!r}")
    squeezed = _masks(call, "squeeze_mask")
    for axis, (no_begin, no_end) in enumerate(zip(_masks(call, "begin_mask"), _masks(call, "end_mask"), strict=True)):
        backwards = stride[axis] < 0
        if squeezed[axis]:
            end[axis] = begin[axis] + 1 if begin[axis] != -1 else _END
            stride[axis] = 1
            continue
        if no_begin:
            begin[axis] = _END if backwards else 0
        if no_end:
            end[axis] = -_END if backwards else _END
    sliced = _slice(call, begin, end, stride)
    if not any(squeezed):
        return sliced
    axes = [axis + call.lead for axis, gone in enumerate(squeezed) if gone]
    if None in call.out.shape:
        return call.graph.node("Squeeze", sliced, call.graph.int64s(axes))
    return call.to_out(sliced)


def _by_size(call: Call) -> str:
    begin, size = call.ints("begin"), call.ints("size")
    end = [_END if n == -1 else b + n for b, n in zip(begin, size, strict=True)]
    return _slice(call, begin, end, [1] * len(begin))


def _reverse(call: Call) -> str:
    rank = call.tensor("x").rank
    axes = {call.checked_axis(axis, rank) for axis in call.ints("axes", list(range(rank)))}
    turned = [axis in axes for axis in range(rank)]
    return _slice(
        call,
        [-1 if t else 0 for t in turned],
        [-_END if t else _END for t in turned],
        [-1 if t else 1 for t in turned],
    )


TABLE: dict[str, Emit] = {"slice_by_index": _by_index, "slice_by_size": _by_size, "reverse": _reverse}

"""Operations that only move or repeat elements: reshape, transpose, concat, split, stack, tile, pad and the like."""

from __future__ import annotations

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit, onnx_dtype
from headway.coreml.mlprogram.failures import broken, unsupported
from headway.coreml.mlprogram.ops.images import images

__all__ = ["TABLE"]


def _reshape(call: Call) -> str:
    if None not in call.out.shape:
        return call.to_out(call.arg("x"))
    if call.batched:
        raise unsupported("reshape", call.where, "has an open shape, which a batched one needs fixed")
    return call.graph.node("Reshape", call.arg("x"), call.cast(call.arg("shape"), np.int64))


def _expand_dims(call: Call) -> str:
    if None not in call.out.shape:
        return call.to_out(call.arg("x"))
    axes = [call.checked_axis(axis, len(call.out.shape)) + call.lead for axis in call.ints("axes")]
    return call.graph.node("Unsqueeze", call.arg("x"), call.graph.int64s(axes))


def _squeeze(call: Call) -> str:
    if None not in call.out.shape:
        return call.to_out(call.arg("x"))
    shape = call.tensor("x").type.shape
    axes = call.ints("axes", [axis for axis, size in enumerate(shape) if size == 1])
    shifted = [call.checked_axis(axis, len(shape)) + call.lead for axis in axes]
    return call.graph.node("Squeeze", call.arg("x"), call.graph.int64s(shifted))


def _to_declared(call: Call) -> str:
    return call.to_out(call.arg("x"))


def _transpose(call: Call) -> str:
    rank = call.tensor("x").rank
    perm = [call.checked_axis(axis, rank) for axis in call.ints("perm")]
    if sorted(perm) != list(range(rank)):
        raise broken(f"transposes by {perm} at {call.where!r}")
    shifted = [*range(call.lead), *(axis + call.lead for axis in perm)]
    return call.graph.node("Transpose", call.arg("x"), perm=shifted)


def _concat(call: Call) -> str:
    values = call.arguments.get("values", ())
    if not values:
        raise broken(f"concatenates nothing at {call.where!r}")
    axis = call.axis(rank=values[0].rank)
    names = [call.with_batch(value) for value in values]
    if not call.value("interleave", False):
        return call.graph.node("Concat", *names, axis=axis + call.lead)
    after = call.graph.int64s([axis + 1 + call.lead])
    stacked = [call.graph.node("Unsqueeze", name, after) for name in names]
    return call.to_out(call.graph.node("Concat", *stacked, axis=axis + 1 + call.lead))


def _stack(call: Call) -> str:
    values = call.arguments.get("values", ())
    axis = call.axis(default=0, rank=len(call.out.shape)) + call.lead
    at = call.graph.int64s([axis])
    names = [call.graph.node("Unsqueeze", call.with_batch(value), at) for value in values]
    return call.graph.node("Concat", *names, axis=axis)


def _split(call: Call) -> tuple[str, ...]:
    x = call.tensor("x")
    axis = call.axis()
    sizes = [out.type.shape[axis] for out in call.op.outputs]
    if any(size is None for size in sizes):
        raise unsupported("split", call.where, "has an open shape, which it needs fixed")
    return call.graph.nodes("Split", call.name(x), call.graph.int64s(sizes), outputs=len(sizes), axis=axis + call.lead)


def _tile(call: Call) -> str:
    reps = call.ints("reps")
    return call.graph.node("Tile", call.arg("x"), call.graph.int64s([*[1] * call.lead, *reps]))


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


def _pad(call: Call) -> str:
    x = call.tensor("x")
    amounts = call.ints("pad")
    mode = str(call.value("mode", "constant"))
    if mode not in _PAD_MODES or len(amounts) % 2 or len(amounts) > 2 * x.rank:
        raise unsupported("pad", call.where, f"has mode {mode!r} with {len(amounts)} amounts")
    untouched = [0] * (x.rank - len(amounts) // 2 + call.lead)
    pads = call.graph.int64s([*untouched, *amounts[0::2], *untouched, *amounts[1::2]])
    if mode != "constant":
        return call.graph.node("Pad", call.name(x), pads, mode=_PAD_MODES[mode])
    return call.graph.node("Pad", call.name(x), pads, call.scalar(call.value("constant_val", 0.0)))


def _shape(call: Call) -> str:
    x = call.tensor("x")
    if None not in x.type.shape:
        return call.graph.constant(np.array(x.shape, dtype=np.int32))
    return call.cast(call.graph.node("Shape", call.name(x), start=call.lead), np.int32)


def _fill(call: Call) -> str:
    value = np.full(1, call.value("value", 0.0), dtype=onnx_dtype(call.out.dtype))
    return call.graph.node("Expand", call.graph.constant(value), call.graph.int64s(call.out_shape))


def _range(call: Call) -> str:
    start, end, step = call.value("start", 0), call.value("end", 0), call.value("step", 1)
    if step == 0 or abs((end - start) / step) > 1 << 24:
        raise broken(f"makes a range of unreasonable length at {call.where!r}")
    return call.graph.constant(np.arange(start, end, step).astype(onnx_dtype(call.out.dtype)))


def _one_hot(call: Call) -> str:
    indices = call.tensor("indices")
    axis = call.checked_axis(call.value("axis", -1), indices.rank + 1)
    # ONNX Runtime has this operation for few types: int64 indices and float values are one of them.
    values = np.array([call.value("off_value", 0), call.value("on_value", 1)], dtype=np.float32)
    depth = call.graph.scalar(call.value("one_hot_vector_size", 1), np.int64)
    places = call.cast(call.name(indices), np.int64)
    hot = call.graph.node("OneHot", places, depth, call.graph.constant(values), axis=axis + call.lead)
    return call.cast(hot, onnx_dtype(call.out.dtype))


def _band_part(call: Call) -> str:
    x = call.tensor("x")
    rows, columns = np.indices(x.shape[-2:])
    lower, upper = call.value("lower", -1), call.value("upper", -1)
    keep = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return call.graph.node("Where", call.graph.constant(keep), call.name(x), call.scalar(0))


def _blocks(onnx: str, key: str, **attributes: str) -> Emit:
    def emit(call: Call) -> str:
        size = int(call.value(key, 1))
        return call.to_out(call.graph.node(onnx, images(call, call.tensor("x")), blocksize=size, **attributes))

    return emit


def _pixel_unshuffle(call: Call) -> str:
    x, size = call.tensor("x"), int(call.value("downscale_factor", 1))
    _, channels, height, width = x.shape
    blocks = [-1, channels, height // size, size, width // size, size]
    apart = call.reshape(call.name(x), blocks)
    return call.to_out(call.graph.node("Transpose", apart, perm=[0, 1, 3, 5, 2, 4]))


TABLE: dict[str, Emit] = {
    "reshape": _reshape,
    "reshape_like": _to_declared,
    "flatten2d": _to_declared,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "identity": lambda call: call.arg("x"),
    "transpose": _transpose,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "tile": _tile,
    "pad": _pad,
    "shape": _shape,
    "fill": _fill,
    "fill_like": _fill,
    "range_1d": _range,
    "one_hot": _one_hot,
    "band_part": _band_part,
    "depth_to_space": _blocks("DepthToSpace", "block_size", mode="DCR"),
    "space_to_depth": _blocks("SpaceToDepth", "block_size"),
    "pixel_shuffle": _blocks("DepthToSpace", "upscale_factor", mode="CRD"),
    "pixel_unshuffle": _pixel_unshuffle,
}

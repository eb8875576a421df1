"""Gathering by index. A compressed table is gathered as codes and only the gathered rows are decompressed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.mlprogram.call import Call, Emit, Tensor
from headway.coreml.mlprogram.constants import Affine, Palette

__all__ = ["TABLE"]

_LARGE = 8
"""How many times as many values as pairs of entries a table has whose values are looked up in pairs."""


def _gather(call: Call) -> str:
    x, indices = call.tensor("x"), call.tensor("indices")
    axis = call.axis(default=0)
    batch_dims = int(call.value("batch_dims", 0))
    if axis == 0 and batch_dims == 0 and x.rank > 1:
        if isinstance(x.constant, Affine):
            return _dequantised_rows(call, x, x.constant, call.name(indices))
        if isinstance(x.constant, Palette) and x.constant.entries.dtype.kind == "f":
            return _looked_up_rows(call, x, x.constant, indices)
    if batch_dims == 0 and not (x.batched and indices.batched):
        return _from_one_table(call, x, indices, axis)
    return _per_batch(call, x, indices, axis, batch_dims)


def _from_one_table(call: Call, x: Tensor, indices: Tensor, axis: int) -> str:
    shift = int(x.batched)
    gathered = call.graph.node("Gather", call.name(x), call.name(indices), axis=axis + shift)
    if not indices.batched or axis == 0:
        return gathered
    # The batch of the indices landed where the axis was: bring it to the front.
    rank = len(call.out.shape) + 1
    return call.graph.node("Transpose", gathered, perm=[axis, *(a for a in range(rank) if a != axis)])


def _per_batch(call: Call, x: Tensor, indices: Tensor, axis: int, batch_dims: int) -> str:
    """Each batch element has its own table: move the axis behind the batch axes and use ``GatherND``."""
    graph, lead = call.graph, call.lead
    batch = batch_dims + lead
    table = call.with_batch(x)
    middle = list(range(batch, axis + lead))
    if middle:
        rest = range(axis + lead + 1, x.rank + lead)
        table = graph.node("Transpose", table, perm=[*range(batch), axis + lead, *middle, *rest])
    places = graph.node("Unsqueeze", call.with_batch(indices), graph.int64s([-1]))
    gathered = graph.node("GatherND", table, call.cast(places, np.int64), batch_dims=batch)
    if not middle:
        return gathered
    count = indices.rank - batch_dims
    picked = range(batch, batch + count)
    before = range(batch + count, batch + count + len(middle))
    after = range(batch + count + len(middle), len(call.out.shape) + lead)
    return graph.node("Transpose", gathered, perm=[*range(batch), *before, *picked, *after])


def _looked_up_rows(call: Call, x: Tensor, table: Palette, indices: Tensor) -> str:
    """Look codes up, two at a time in a large table: what a look-up costs hardly depends on how much it finds."""
    graph, entries = call.graph, table.entries.astype(np.float32)
    paired = x.shape[-1] % 2 == 0 and math.prod(x.shape) > _LARGE * entries.size**2
    if paired:
        entries = np.stack([entries.repeat(entries.size), np.tile(entries, entries.size)], axis=1)

    def codes() -> NDArray[Any]:
        single = table.codes()
        if not paired:
            return single
        pairs: NDArray[Any] = single[..., ::2].astype(np.uint16) * np.uint16(table.entries.size) + single[..., 1::2]
        return pairs

    rows = graph.node("Gather", call.written(table, "codes", codes), call.name(indices), axis=0)
    found = graph.node("Gather", graph.constant(entries), call.cast(rows, np.int32), axis=0)
    return call.reshape(found, [*[-1] * indices.batched, *call.out_shape]) if paired else found


def _dequantised_rows(call: Call, x: Tensor, table: Affine, indices: str) -> str:
    graph = call.graph
    codes = graph.node("Gather", call.written(table, "codes", table.codes), indices, axis=0)
    rows = call.cast(codes, np.float32)
    for op, values in (("Sub", table.zero_point), ("Mul", table.scale)):
        if op == "Sub" and not values.any():
            continue
        rows = graph.node(op, rows, _row_values(call, x, table, values, indices))
    return rows


def _row_values(call: Call, x: Tensor, table: Affine, values: np.ndarray, indices: str) -> str:  # type: ignore[type-arg]
    """The scale or zero point of each gathered row, shaped to broadcast against it."""
    if values.size == 1 or table.axis != 0:
        return call.graph.constant(values.reshape([-1, *[1] * (x.rank - 1 - table.axis)]))
    per_row = call.graph.constant(values.reshape([-1, *[1] * (x.rank - 1)]))
    return call.graph.node("Gather", per_row, indices, axis=0)


def _along_axis(call: Call) -> str:
    x, indices = call.with_batch(call.tensor("x")), call.with_batch(call.tensor("indices"))
    return call.graph.node("GatherElements", x, indices, axis=call.axis(default=0) + call.lead)


def _gather_nd(call: Call) -> str:
    x = call.with_batch(call.tensor("x"))
    indices = call.cast(call.with_batch(call.tensor("indices")), np.int64)
    return call.graph.node("GatherND", x, indices, batch_dims=int(call.value("batch_dims", 0)) + call.lead)


TABLE: dict[str, Emit] = {
    "gather": _gather,
    "gather_along_axis": _along_axis,
    "gather_nd": _gather_nd,
}

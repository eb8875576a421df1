"""Quantisation of activations (iOS 17): simulated exactly, in float32, with the codes carried as int32."""

from __future__ import annotations

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit
from headway.coreml.mlprogram.dtypes import dtype_named

__all__ = ["TABLE"]


def _vector(call: Call, key: str, rank: int) -> str:
    values = call.array(key).astype(np.float32)
    if values.ndim == 0:
        return call.graph.constant(values)
    axis = call.checked_axis(int(call.value("axis", 0)), rank)
    return call.graph.constant(values.reshape([-1, *[1] * (rank - 1 - axis)]))


def _quantise(call: Call) -> str:
    x, graph = call.tensor("input"), call.graph
    codes = graph.node("Round", graph.node("Div", call.name(x), _vector(call, "scale", x.rank)))
    if call.has("zero_point"):
        codes = graph.node("Add", codes, _vector(call, "zero_point", x.rank))
    info = np.iinfo(dtype_named(str(call.value("output_dtype", "int8"))).numpy)
    clipped = graph.node("Clip", codes, graph.scalar(info.min), graph.scalar(info.max))
    return call.cast(clipped, np.int32)


def _dequantise(call: Call) -> str:
    x, graph = call.tensor("input"), call.graph
    values = call.cast(call.name(x), np.float32)
    if call.has("zero_point"):
        values = graph.node("Sub", values, _vector(call, "zero_point", x.rank))
    return graph.node("Mul", values, _vector(call, "scale", x.rank))


TABLE: dict[str, Emit] = {"quantize": _quantise, "dequantize": _dequantise}

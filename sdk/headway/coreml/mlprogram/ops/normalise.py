"""Normalisation layers. Batch normalisation is folded to one multiplication and one addition per channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headway.coreml.mlprogram.call import Call, Emit
from headway.coreml.mlprogram.ops.reduce import reduction_axes

__all__ = ["TABLE"]


def _vector(call: Call, key: str, default: float, size: int) -> NDArray[np.float32]:
    if not call.has(key):
        return np.full(size, default, np.float32)
    return call.array(key).astype(np.float32).reshape(-1)


def _layer_norm(call: Call) -> str:
    x = call.tensor("x")
    axes = sorted(axis - call.lead for axis in reduction_axes(call))
    epsilon = float(call.value("epsilon", 1e-5))
    if axes != list(range(x.rank - len(axes), x.rank)):
        return _scattered_layer_norm(call, axes, epsilon)
    shape = x.shape[axes[0] :]
    gamma = call.arg("gamma") if call.has("gamma") else call.graph.constant(np.ones(shape, np.float32))
    inputs = [call.name(x), gamma] + ([call.arg("beta")] if call.has("beta") else [])
    return call.graph.node("LayerNormalization", *inputs, axis=-len(axes), epsilon=epsilon)


def _scattered_layer_norm(call: Call, axes: list[int], epsilon: float) -> str:
    """Layer normalisation over axes that are not the last ones."""
    shape = [size if axis in axes else 1 for axis, size in enumerate(call.tensor("x").shape)]
    normal = _standardised(call, [axis + call.lead for axis in axes], epsilon)
    return _affine(call, normal, shape)


def _standardised(call: Call, axes: list[int], epsilon: float) -> str:
    graph, over = call.graph, call.graph.int64s(axes)
    x = call.arg("x")
    centred = graph.node("Sub", x, graph.node("ReduceMean", x, over, keepdims=1))
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), over, keepdims=1)
    deviation = graph.node("Sqrt", graph.node("Add", variance, graph.scalar(epsilon)))
    return graph.node("Div", centred, deviation)


def _affine(call: Call, normal: str, shape: list[int]) -> str:
    for op, key in (("Mul", "gamma"), ("Add", "beta")):
        if call.has(key):
            operand = call.array(key).astype(np.float32).reshape(shape)
            normal = call.graph.node(op, normal, call.graph.constant(operand))
    return normal


def _instance_norm(call: Call) -> str:
    x = call.tensor("x")
    spatial = [axis + call.lead for axis in range(2, x.rank)]
    normal = _standardised(call, spatial, float(call.value("epsilon", 1e-5)))
    return _affine(call, normal, [-1, *[1] * (x.rank - 2)])


def _batch_norm(call: Call) -> str:
    x = call.tensor("x")
    mean = call.array("mean").astype(np.float32)
    variance = call.array("variance").astype(np.float32)
    epsilon = np.float32(call.value("epsilon", 1e-5))
    factor = _vector(call, "gamma", 1, mean.size) / np.sqrt(variance + epsilon)
    offset = _vector(call, "beta", 0, mean.size) - mean * factor
    channel = [-1, *[1] * (x.rank - 2)]
    scaled = call.graph.node("Mul", call.name(x), call.graph.constant(factor.reshape(channel)))
    return call.graph.node("Add", scaled, call.graph.constant(offset.reshape(channel)))


def _l2_norm(call: Call) -> str:
    graph, x, rank = call.graph, call.arg("x"), call.tensor("x").rank
    over = graph.int64s([axis + call.lead for axis in range(rank - 3, rank)])
    total = graph.node("ReduceSumSquare", x, over, keepdims=1)
    shifted = graph.node("Add", total, graph.scalar(float(call.value("epsilon", 1e-6))))
    return graph.node("Div", x, graph.node("Sqrt", shifted))


def _local_response_norm(call: Call) -> str:
    x = call.tensor("x")
    flat = call.reshape(call.name(x), [-1, *x.shape[1:]])
    result = call.graph.node(
        "LRN",
        flat,
        size=int(call.value("size", 1)),
        alpha=float(call.value("alpha", 1e-4)),
        beta=float(call.value("beta", 0.75)),
        bias=float(call.value("k", 1.0)),
    )
    return call.to_out(result)


TABLE: dict[str, Emit] = {
    "layer_norm": _layer_norm,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "l2_norm": _l2_norm,
    "local_response_norm": _local_response_norm,
}

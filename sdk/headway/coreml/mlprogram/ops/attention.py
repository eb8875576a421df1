"""iOS 18's fused attention, written out: softmax(QKᵀ/√E + mask)·V over the last two axes."""

from __future__ import annotations

import math

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit, Tensor

__all__ = ["TABLE"]


def _attention(call: Call) -> str:
    query, key, value = call.tensor("query"), call.tensor("key"), call.tensor("value")
    graph = call.graph
    names = call.aligned(query, key, value)
    own = key.rank + int(key.batched)
    perm = [*range(own - 2), own - 1, own - 2]
    scaled = graph.node("Mul", names[0], graph.scalar(1 / math.sqrt(query.shape[-1])))
    scores = graph.node("MatMul", scaled, graph.node("Transpose", names[1], perm=perm))
    if call.has("attn_mask"):
        scores = _masked(call, scores, call.tensor("attn_mask"), query.rank)
    return graph.node("MatMul", graph.node("Softmax", scores, axis=-1), names[2])


def _masked(call: Call, scores: str, mask: Tensor, rank: int) -> str:
    name = call.raised(mask, rank)
    if mask.type.dtype.numpy.kind != "b":
        return call.graph.node("Add", scores, name)
    return call.graph.node("Where", name, scores, call.graph.scalar(-np.inf))


TABLE: dict[str, Emit] = {"scaled_dot_product_attention": _attention}

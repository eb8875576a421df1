"""Reductions, arg-reductions, sorting and running sums."""

from __future__ import annotations

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit, onnx_dtype
from headway.coreml.mlprogram.failures import broken

__all__ = ["TABLE", "reduction_axes"]


def reduction_axes(call: Call) -> list[int]:
    """The per-item axes that ``axes`` names (all when absent), shifted past the batch."""
    rank = call.tensor("x").rank
    axes = call.ints("axes", list(range(rank)))
    return [call.checked_axis(axis, rank) + call.lead for axis in axes]


def _reduce(onnx: str) -> Emit:
    def emit(call: Call) -> str:
        axes = call.graph.int64s(reduction_axes(call))
        return call.graph.node(onnx, call.arg("x"), axes, keepdims=int(call.value("keep_dims", False)))

    return emit


def _log_sum(call: Call) -> str:
    return call.graph.node("Log", _reduce("ReduceSum")(call))  # type: ignore[arg-type]


def _arg(onnx: str) -> Emit:
    def emit(call: Call) -> str:
        keep = int(call.value("keep_dims", False))
        index = call.graph.node(onnx, call.arg("x"), axis=call.axis() + call.lead, keepdims=keep)
        return call.cast(index, onnx_dtype(call.out.dtype))

    return emit


def _sorted(call: Call, count: int) -> tuple[str, str]:
    values, indices = call.graph.nodes(
        "TopK",
        call.arg("x"),
        call.graph.int64s([count]),
        outputs=2,
        axis=call.axis() + call.lead,
        largest=int(not call.value("ascending", False)),
    )
    return values, call.cast(indices, np.int32)


def _topk(call: Call) -> tuple[str, ...]:
    size = call.tensor("x").type.shape[call.axis()]
    count = int(call.value("k", 1))
    if count == -1 and size is not None:
        count = size
    if count < 0:
        raise broken(f"asks for the top {count} at {call.where!r}")
    return _sorted(call, count)[: len(call.op.outputs)]


def _argsort(call: Call) -> str:
    return _sorted(call, call.out_shape[call.axis()])[1]


def _cumsum(call: Call) -> str:
    axis = call.graph.scalar(call.axis(default=0) + call.lead, np.int64)
    exclusive, reverse = int(call.value("exclusive", False)), int(call.value("reverse", False))
    return call.graph.node("CumSum", call.arg("x"), axis, exclusive=exclusive, reverse=reverse)


TABLE: dict[str, Emit] = {
    "reduce_sum": _reduce("ReduceSum"),
    "reduce_mean": _reduce("ReduceMean"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_prod": _reduce("ReduceProd"),
    "reduce_l1_norm": _reduce("ReduceL1"),
    "reduce_l2_norm": _reduce("ReduceL2"),
    "reduce_log_sum_exp": _reduce("ReduceLogSumExp"),
    "reduce_sum_square": _reduce("ReduceSumSquare"),
    "reduce_log_sum": _log_sum,
    "reduce_argmax": _arg("ArgMax"),
    "reduce_argmin": _arg("ArgMin"),
    "topk": _topk,
    "argsort": _argsort,
    "cumsum": _cumsum,
}

"""Element-wise arithmetic, comparison, logic and casts, with numpy broadcasting per item.

Semantics are those of coremltools' value inference: ``mod`` and ``floor_div`` follow the divisor's sign, ``round`` goes
to even, ``log``, ``rsqrt`` and ``inverse`` add their epsilon to the argument.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit, Tensor, onnx_dtype
from headway.coreml.mlprogram.dtypes import dtype_named

__all__ = ["TABLE", "pointwise"]


def _binary(onnx: str, *, negate: bool = False) -> Emit:
    def emit(call: Call) -> str:
        rows = row_operands(call)
        if rows is not None:
            return call.from_rows(call.graph.node(onnx, *rows))
        x, y = call.aligned(call.tensor("x"), call.tensor("y"))
        result = call.graph.node(onnx, x, y)
        return call.graph.node("Not", result) if negate else result

    return emit


def row_operands(call: Call) -> tuple[str, str] | None:
    """Both operands as matrices, when one is a product's matrix and the other has its shape or is one row of it."""
    x, y = call.tensor("x"), call.tensor("y")
    found = (call.rows_of(x), call.rows_of(y))
    if found == (None, None) or call.out.dtype.numpy.kind != "f" or None in call.out.shape:
        return None
    names = []
    for tensor, rows in zip((x, y), found, strict=True):
        if rows is None:
            rows = _other_rows(call, tensor)
        elif tensor.type.shape != call.out.shape:
            rows = None
        if rows is None:
            return None
        names.append(rows)
    return names[0], names[1]


def _other_rows(call: Call, tensor: Tensor) -> str | None:
    width = call.out_shape[-1]
    if tensor.type.shape == call.out.shape and tensor.batched == call.batched and tensor.constant is None:
        return call.as_rows(call.name(tensor), width)
    constant = tensor.constant
    count = math.prod(tensor.shape)
    # One row is a single value, or all its values along the last axis; [width, 1] would be a column.
    if constant is None or not (count == 1 or (count == width and tensor.shape[-1] == width)):
        return None
    dtype = onnx_dtype(tensor.type.dtype)
    return call.written(constant, "row", lambda: constant.array().astype(dtype).reshape(-1))


def pointwise(onnx: str, **attributes: Any) -> Emit:
    """An operation of one argument that treats each element alone."""

    def emit(call: Call) -> str:
        rows = call.rows_of(call.tensor("x"))
        if rows is None or call.out.dtype.numpy.kind != "f":
            return call.graph.node(onnx, call.arg("x"), **attributes)
        return call.from_rows(call.graph.node(onnx, rows, **attributes))

    return emit


def _is_float(call: Call) -> bool:
    return call.tensor("x").type.dtype.is_float


def _real_div(call: Call) -> str:
    x, y = call.aligned(call.tensor("x"), call.tensor("y"))
    if _is_float(call):
        return call.graph.node("Div", x, y)
    quotient = call.graph.node("Div", call.cast(x, np.float64), call.cast(y, np.float64))
    return call.cast(quotient, onnx_dtype(call.out.dtype))


def _floor_div(call: Call) -> str:
    x, y = call.aligned(call.tensor("x"), call.tensor("y"))
    if _is_float(call):
        return call.graph.node("Floor", call.graph.node("Div", x, y))
    quotient = call.graph.node("Div", call.cast(x, np.float64), call.cast(y, np.float64))
    return call.cast(call.graph.node("Floor", quotient), onnx_dtype(call.out.dtype))


def _mod(call: Call) -> str:
    x, y = call.aligned(call.tensor("x"), call.tensor("y"))
    if not _is_float(call):
        return call.graph.node("Mod", x, y)
    whole = call.graph.node("Floor", call.graph.node("Div", x, y))
    return call.graph.node("Sub", x, call.graph.node("Mul", whole, y))


def _plus_epsilon(call: Call, default: float) -> str:
    epsilon = float(call.value("epsilon", default))
    x = call.arg("x")
    return call.graph.node("Add", x, call.graph.scalar(epsilon)) if epsilon else x


def _log(call: Call) -> str:
    return call.graph.node("Log", _plus_epsilon(call, 1e-45))


def _rsqrt(call: Call) -> str:
    return call.graph.node("Reciprocal", call.graph.node("Sqrt", _plus_epsilon(call, 1e-12)))


def _inverse(call: Call) -> str:
    return call.graph.node("Reciprocal", _plus_epsilon(call, 1e-4))


def _square(call: Call) -> str:
    x = call.arg("x")
    return call.graph.node("Mul", x, x)


def _exp2(call: Call) -> str:
    return call.graph.node("Pow", call.scalar(2), call.arg("x"))


def _clip(call: Call) -> str:
    low, high = call.value("alpha", 0.0), call.value("beta", 1.0)
    return call.graph.node("Clip", call.arg("x"), call.scalar(low), call.scalar(high))


def _threshold(call: Call) -> str:
    return call.graph.node("Max", call.arg("x"), call.scalar(call.value("alpha", 0.0)))


def _cast(call: Call) -> str:
    x = call.tensor("x")
    target = onnx_dtype(dtype_named(str(call.value("dtype", "fp32"))))
    return call.name(x) if onnx_dtype(x.type.dtype) == target else call.cast(call.name(x), target)


def _select(call: Call) -> str:
    return call.graph.node("Where", *call.aligned(call.tensor("cond"), call.tensor("a"), call.tensor("b")))


TABLE: dict[str, Emit] = {
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "real_div": _real_div,
    "floor_div": _floor_div,
    "mod": _mod,
    "pow": _binary("Pow"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "equal": _binary("Equal"),
    "not_equal": _binary("Equal", negate=True),
    "greater": _binary("Greater"),
    "greater_equal": _binary("GreaterOrEqual"),
    "less": _binary("Less"),
    "less_equal": _binary("LessOrEqual"),
    "logical_and": _binary("And"),
    "logical_or": _binary("Or"),
    "logical_xor": _binary("Xor"),
    "logical_not": pointwise("Not"),
    "abs": pointwise("Abs"),
    "acos": pointwise("Acos"),
    "asin": pointwise("Asin"),
    "atan": pointwise("Atan"),
    "atanh": pointwise("Atanh"),
    "ceil": pointwise("Ceil"),
    "cos": pointwise("Cos"),
    "cosh": pointwise("Cosh"),
    "erf": pointwise("Erf"),
    "exp": pointwise("Exp"),
    "floor": pointwise("Floor"),
    "round": pointwise("Round"),
    "sign": pointwise("Sign"),
    "sin": pointwise("Sin"),
    "sinh": pointwise("Sinh"),
    "sqrt": pointwise("Sqrt"),
    "tan": pointwise("Tan"),
    "exp2": _exp2,
    "square": _square,
    "log": _log,
    "rsqrt": _rsqrt,
    "inverse": _inverse,
    "clip": _clip,
    "threshold": _threshold,
    "cast": _cast,
    "select": _select,
}

"""Element-wise arithmetic, comparison, logic and casts, with numpy broadcasting per item.

Semantics are those of coremltools' value inference: ``mod`` and ``floor_div`` follow the divisor's sign, ``round`` goes
to even, ``log``, ``rsqrt`` and ``inverse`` add their epsilon to the argument.
"""

from __future__ import annotations

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit, onnx_dtype
from headway.coreml.mlprogram.dtypes import dtype_named

__all__ = ["TABLE"]


def _binary(onnx: str, *, negate: bool = False) -> Emit:
    def emit(call: Call) -> str:
        x, y = call.aligned(call.tensor("x"), call.tensor("y"))
        result = call.graph.node(onnx, x, y)
        return call.graph.node("Not", result) if negate else result

    return emit


def _unary(onnx: str) -> Emit:
    return lambda call: call.graph.node(onnx, call.arg("x"))


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
    "logical_not": _unary("Not"),
    "abs": _unary("Abs"),
    "acos": _unary("Acos"),
    "asin": _unary("Asin"),
    "atan": _unary("Atan"),
    "atanh": _unary("Atanh"),
    "ceil": _unary("Ceil"),
    "cos": _unary("Cos"),
    "cosh": _unary("Cosh"),
    "erf": _unary("Erf"),
    "exp": _unary("Exp"),
    "floor": _unary("Floor"),
    "round": _unary("Round"),
    "sign": _unary("Sign"),
    "sin": _unary("Sin"),
    "sinh": _unary("Sinh"),
    "sqrt": _unary("Sqrt"),
    "tan": _unary("Tan"),
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

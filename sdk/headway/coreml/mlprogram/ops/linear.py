"""Matrix products. Weights that are constants stay 8-bit in the int8 mode.

The int8 mode quantises the activation per tensor while running (uint8) and multiplies by int8 weights with one scale
per output column; weights that are not affine per output column are quantised anew, symmetrically per column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headway.coreml.mlprogram.call import Call, Emit, Tensor
from headway.coreml.mlprogram.constants import Affine, Constant, quantise_rows
from headway.coreml.mlprogram.failures import unsupported

__all__ = ["TABLE"]

# Below this many weights the conversion of activations costs more than the smaller product saves.
_INT8_MIN_WEIGHTS = 2048


def _linear(call: Call) -> str:
    weight = call.tensor("weight")
    if weight.constant is None or weight.rank != 2:
        raise unsupported("linear", call.where, "needs a constant matrix as its weight")
    bias = call.tensor("bias") if call.has("bias") else None
    return times_matrix(call, call.arg("x"), weight, bias, transposed=True)


def times_matrix(call: Call, x: str, weight: Tensor, bias: Tensor | None, *, transposed: bool) -> str:
    """``x · W (+ bias)`` for a constant matrix; *transposed* says that the constant holds ``Wᵀ`` (``[out, in]``)."""
    constant = weight.constant
    assert constant is not None
    rows, columns = weight.shape
    if call.state.options.compute == "int8" and rows * columns >= _INT8_MIN_WEIGHTS:
        return _int8_product(call, x, constant, bias, transposed=transposed)
    form = "T" if transposed else ""
    matrix = call.written(constant, form, lambda: _oriented(constant, transposed=transposed))
    if bias is None or None in call.out.shape:
        product = call.graph.node("MatMul", x, matrix)
        return product if bias is None else call.graph.node("Add", product, call.name(bias))
    # Gemm adds the bias while it writes the product; it wants matrices.
    width = columns if transposed else rows
    return call.from_rows(call.graph.node("Gemm", call.as_rows(x, width), matrix, call.name(bias)))


def _oriented(constant: Constant, *, transposed: bool) -> NDArray[np.float32]:
    values = constant.array().astype(np.float32)
    return values.T if transposed else values


def _int8_product(call: Call, x: str, constant: Constant, bias: Tensor | None, *, transposed: bool) -> str:
    codes, scale = _columns(constant, transposed=transposed)
    graph, state = call.graph, call.state
    if x not in state.quantised:
        quantised, step, zero = graph.nodes("DynamicQuantizeLinear", x, outputs=3)
        state.quantised[x] = (quantised, step, zero)
    quantised, step, zero = state.quantised[x]
    weight = call.written(constant, f"q{transposed}", lambda: codes)
    inputs = [quantised, weight, step, graph.constant(scale), zero, ""]
    if bias is not None:
        inputs.append(call.name(bias))
    while inputs[-1] == "":
        inputs.pop()
    return graph.node("MatMulIntegerToFloat", *inputs, domain="com.microsoft")


def _columns(constant: Constant, *, transposed: bool) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Int8 codes ``[in, out]`` and one scale per output column."""
    out_axis = 0 if transposed else 1
    if isinstance(constant, Affine) and _keeps(constant, out_axis):
        codes = constant.codes()
        scale = np.broadcast_to(constant.scale, (codes.shape[out_axis],)).astype(np.float32)
        return np.ascontiguousarray(codes.T if transposed else codes), scale
    values = constant.array().astype(np.float32)
    codes, scale = quantise_rows(values if transposed else values.T)
    return np.ascontiguousarray(codes.T), scale


def _keeps(constant: Affine, out_axis: int) -> bool:
    """Whether the stored codes can be multiplied as they are: symmetric int8, scaled per output or as a whole."""
    per_output = constant.scale.size == 1 or constant.axis == out_axis
    return per_output and not constant.zero_point.any() and constant.codes().dtype == np.int8


def _matmul(call: Call) -> str:
    x, y = call.tensor("x"), call.tensor("y")
    turn_x, turn_y = bool(call.value("transpose_x", False)), bool(call.value("transpose_y", False))
    if min(x.rank, y.rank) < 2:
        raise unsupported("matmul", call.where, "has a vector operand")
    if y.constant is not None and y.rank == 2 and x.constant is None and not turn_x:
        return times_matrix(call, call.name(x), y, None, transposed=turn_y)
    rank = max(x.rank, y.rank)
    names = []
    for tensor, turned in ((x, turn_x), (y, turn_y)):
        name = call.raised(tensor, rank)
        names.append(_swapped(call, tensor, name, rank) if turned else name)
    return call.graph.node("MatMul", *names)


def _swapped(call: Call, tensor: Tensor, name: str, rank: int) -> str:
    own = rank + call.lead if tensor.batched else tensor.rank
    perm = list(range(own))
    perm[-1], perm[-2] = perm[-2], perm[-1]
    return call.graph.node("Transpose", name, perm=perm)


def _einsum(call: Call) -> str:
    values = call.arguments.get("values", ())
    left, _, right = str(call.value("equation", "")).replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(values) or not right or "Z" in left:
        raise unsupported("einsum", call.where, f"has the equation {left}->{right}")
    labelled = [("Z" if v.batched else "") + term for v, term in zip(values, terms, strict=True)]
    equation = f"{','.join(labelled)}->{'Z' * call.lead}{right}"
    return call.graph.node("Einsum", *(call.name(v) for v in values), equation=equation)


TABLE: dict[str, Emit] = {"linear": _linear, "matmul": _matmul, "einsum": _einsum}

"""Convolutions and transposed convolutions, 1 to 3 spatial dimensions."""

from __future__ import annotations

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit, Tensor
from headway.coreml.mlprogram.failures import unsupported
from headway.coreml.mlprogram.ops.images import images, padding

__all__ = ["TABLE"]


def _conv(call: Call) -> str:
    x, weight = call.tensor("x"), call.tensor("weight")
    if weight.batched:
        raise unsupported("conv", call.where, "has a weight that depends on the input")
    spatial = x.rank - 2
    kernel = list(weight.shape[2:])
    strides, dilations = call.ints("strides", [1] * spatial), call.ints("dilations", [1] * spatial)
    inputs = [images(call, x), call.name(weight)] + ([call.arg("bias")] if call.has("bias") else [])
    result = call.graph.node(
        "Conv",
        *inputs,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=padding(call, kernel, strides, dilations),
        group=int(call.value("groups", 1)),
    )
    return call.to_out(result) if call.batched else result


def _conv_transpose(call: Call) -> str:
    x, weight = call.tensor("x"), call.tensor("weight")
    spatial = x.rank - 2
    kernel = list(weight.shape[2:])
    strides, dilations = call.ints("strides", [1] * spatial), call.ints("dilations", [1] * spatial)
    begins, extra = _transposed_pads(call, x, kernel, strides, dilations)
    inputs = [images(call, x), call.name(weight)]
    if call.has("bias"):
        inputs.append(call.graph.constant(call.array("bias").astype(np.float32)))
    result = call.graph.node(
        "ConvTranspose",
        *inputs,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=begins,
        output_padding=extra,
        group=int(call.value("groups", 1)),
    )
    return call.to_out(result) if call.batched else result


def _transposed_pads(
    call: Call, x: Tensor, kernel: list[int], strides: list[int], dilations: list[int]
) -> tuple[list[int], list[int]]:
    """Pads, and the extra rows at the end, that give the declared result size."""
    custom = str(call.value("pad_type", "valid")).lower() == "custom"
    pad = call.ints("pad", [0] * 2 * len(kernel)) if custom else [0] * 2 * len(kernel)
    begins, ends, extra = pad[0::2], pad[1::2], []
    full = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True)]
    for axis, wanted in enumerate(call.out_shape[2:]):
        surplus = full[axis] - begins[axis] - ends[axis] - wanted
        if surplus > 0:
            begins[axis] += surplus // 2
            ends[axis] += surplus - surplus // 2
        extra.append(max(-surplus, 0))
    return [*begins, *ends], extra


TABLE: dict[str, Emit] = {"conv": _conv, "conv_transpose": _conv_transpose}

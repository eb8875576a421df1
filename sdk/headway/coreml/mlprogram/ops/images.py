"""What operations on images share: the batch folded into ONNX's own, and MIL's padding as ONNX pads."""

from __future__ import annotations

from headway.coreml.mlprogram.call import Call, Tensor
from headway.coreml.mlprogram.failures import broken, unsupported

__all__ = ["images", "padding"]


def images(call: Call, x: Tensor) -> str:
    """``[n, N, C, …]`` as ``[n·N, C, …]``: the layout that ONNX wants."""
    return call.reshape(call.name(x), [-1, *x.shape[1:]]) if x.batched else call.name(x)


def padding(call: Call, kernel: list[int], strides: list[int], dilations: list[int]) -> list[int]:
    """ONNX pads (all begins, then all ends) for MIL's ``pad_type`` and ``pad``."""
    spatial = len(kernel)
    kind = str(call.value("pad_type", "valid")).lower()
    if kind == "valid":
        return [0] * 2 * spatial
    if kind == "custom":
        pad = call.ints("pad", [0] * 2 * spatial)
        if len(pad) != 2 * spatial:
            raise broken(f"gives {len(pad)} pads for {spatial} spatial dimensions at {call.where!r}")
        return [*pad[0::2], *pad[1::2]]
    if kind not in ("same", "same_lower"):
        raise unsupported(call.op.kind, call.where, f"has the unknown padding {kind!r}")
    begins, ends = [], []
    for size, k, s, d in zip(call.tensor("x").shape[2:], kernel, strides, dilations, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        less, more = total // 2, total - total // 2
        begins.append(more if kind == "same_lower" else less)
        ends.append(less if kind == "same_lower" else more)
    return [*begins, *ends]

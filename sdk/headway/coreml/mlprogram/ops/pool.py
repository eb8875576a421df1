"""Pooling and resizing of images."""

from __future__ import annotations

from typing import Any

from headway.coreml.mlprogram.call import Call, Emit
from headway.coreml.mlprogram.failures import unsupported
from headway.coreml.mlprogram.ops.images import images, padding

__all__ = ["TABLE"]


def _pool(onnx: str) -> Emit:
    def emit(call: Call) -> str:
        kernel = call.ints("kernel_sizes")
        strides = call.ints("strides", [1] * len(kernel))
        extra: dict[str, Any] = {}
        if onnx == "AveragePool":
            extra["count_include_pad"] = int(not call.value("exclude_padding_from_average", False))
        if onnx == "LpPool":
            extra["p"] = 2
        result = call.graph.node(
            onnx,
            images(call, call.tensor("x")),
            kernel_shape=kernel,
            strides=strides,
            pads=padding(call, kernel, strides, [1] * len(kernel)),
            ceil_mode=int(call.value("ceil_mode", False)),
            **extra,
        )
        return call.to_out(result) if call.batched else result

    return emit


def _resize(call: Call, mode: str, transform: str) -> str:
    sizes = call.graph.int64s(call.out_shape[-2:])
    result = call.graph.node(
        "Resize",
        images(call, call.tensor("x")),
        "",
        "",
        sizes,
        mode=mode,
        coordinate_transformation_mode=transform,
        nearest_mode="floor",
        axes=[2, 3],
    )
    return call.to_out(result) if call.batched else result


def _nearest(call: Call) -> str:
    return _resize(call, "nearest", "asymmetric")


def _bilinear(call: Call) -> str:
    if call.value("align_corners", True):
        return _resize(call, "linear", "align_corners")
    if not call.value("half_pixel_centers", True):
        return _resize(call, "linear", "asymmetric")
    return _resize(call, "linear", "half_pixel")


_SAMPLING = {
    "STRICT_ALIGN_CORNERS": "align_corners",
    "ALIGN_CORNERS": "align_corners",
    "DEFAULT": "asymmetric",
    "UNALIGN_CORNERS": "half_pixel",
}


def _resize_bilinear(call: Call) -> str:
    sampling = str(call.value("sampling_mode", "DEFAULT"))
    if sampling not in _SAMPLING:
        raise unsupported("resize_bilinear", call.where, f"has the sampling mode {sampling!r}")
    return _resize(call, "linear", _SAMPLING[sampling])


def _global_rank_check(emit: Emit) -> Emit:
    def checked(call: Call) -> str | tuple[str, ...]:
        if call.tensor("x").rank != 4:
            raise unsupported(call.op.kind, call.where, "works on rank-4 images only")
        return emit(call)

    return checked


TABLE: dict[str, Emit] = {
    "avg_pool": _pool("AveragePool"),
    "max_pool": _pool("MaxPool"),
    "l2_pool": _pool("LpPool"),
    "upsample_nearest_neighbor": _global_rank_check(_nearest),
    "resize_nearest_neighbor": _global_rank_check(_nearest),
    "upsample_bilinear": _global_rank_check(_bilinear),
    "resize_bilinear": _global_rank_check(_resize_bilinear),
}

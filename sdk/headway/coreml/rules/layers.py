"""Parameters of single layers: sizes of weights, precision, geometry.  For every layer, updatable or not."""

from __future__ import annotations

from collections.abc import Callable

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView
from headway.coreml.weights import count_of, kind_of

__all__ = ["check_layers"]

_HINT = "Export the model again; sizes and geometry must agree."


def check_layers(view: NetworkView) -> Findings:
    """Rules ``layer_parameters`` and ``mixed_precision``."""
    for layer in view.network.layers:
        kind = layer.WhichOneof("layer")
        if kind is None:
            yield _bad(layer, "The layer has no type.")
        elif kind in _CHECKS:
            yield from _CHECKS[kind](layer)


def _bad(layer: Message, message: str) -> Finding:
    return Finding("layer_parameters", layer.name, message, _HINT)


def _inner_product(layer: Message) -> Findings:
    body = layer.innerProduct
    if not body.inputChannels or not body.outputChannels:
        yield _bad(layer, "The layer has no input or no output channels.")
        return
    yield from _sizes(layer, body, int(body.inputChannels) * int(body.outputChannels), int(body.outputChannels))


def _convolution(layer: Message) -> Findings:
    body = layer.convolution
    groups = int(body.nGroups) or 1
    if not body.outputChannels or not body.kernelChannels or body.outputChannels % groups:
        yield _bad(layer, "Output channels and kernel channels must be positive and divide into the groups.")
        return
    if not _pairs(body.kernelSize, body.stride, body.dilationFactor):
        yield _bad(layer, "Kernel size, stride and dilation must be two positive numbers each.")
        return
    if body.WhichOneof("ConvolutionPaddingType") is None:
        yield _bad(layer, "The layer does not say how to pad.")
    kernel = [int(size) for size in body.kernelSize] or [3, 3]
    count = int(body.outputChannels) * int(body.kernelChannels) * kernel[0] * kernel[1]
    if body.isDeconvolution:
        count //= groups
    yield from _sizes(layer, body, count, int(body.outputChannels))


def _pairs(*values: Message) -> bool:
    return all(len(pair) in (0, 2) and 0 not in pair for pair in values)


def _sizes(layer: Message, body: Message, weights: int, biases: int) -> Findings:
    kinds = [kind_of(body.weights)] + ([kind_of(body.bias)] if body.hasBias else [])
    if set(kinds) == {"float16", "float32"} or "mixed" in kinds:
        message = "Weights and bias have different precisions."
        yield Finding("mixed_precision", layer.name, message, "Use float32 for both.")
    if kinds[0] != "quantised" and count_of(body.weights) != weights:
        yield _bad(layer, f"The layer has {count_of(body.weights)} weights where its shape needs {weights}.")
    if body.hasBias and kinds[1] != "quantised" and count_of(body.bias) != biases:
        yield _bad(layer, f"The layer has {count_of(body.bias)} biases where its shape needs {biases}.")


def _pooling(layer: Message) -> Findings:
    body = layer.pooling
    if not _pairs(body.kernelSize, body.stride):
        yield _bad(layer, "Kernel size and stride must be two positive numbers each.")
    elif not body.globalPooling and body.WhichOneof("PoolingPaddingType") is None:
        yield _bad(layer, "The layer does not say how to pad.")


def _batchnorm(layer: Message) -> Findings:
    body = layer.batchnorm
    names = ["gamma", "beta"]
    if not (body.computeMeanVar and body.instanceNormalization):
        names += ["mean", "variance"]
    for name in names:
        params = getattr(body, name)
        if kind_of(params) != "quantised" and count_of(params) != body.channels:
            yield _bad(layer, f"{name} has {count_of(params)} values for {body.channels} channels.")


def _activation(layer: Message) -> Findings:
    if layer.activation.WhichOneof("NonlinearityType") is None:
        yield _bad(layer, "The activation has no kind.")


_CHECKS: dict[str, Callable[[Message], Findings]] = {
    "innerProduct": _inner_product,
    "convolution": _convolution,
    "pooling": _pooling,
    "batchnorm": _batchnorm,
    "activation": _activation,
}

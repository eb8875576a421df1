"""From a layer of the specification to an executable layer, one small reader per layer type.

Every option that would change the result and that is not executed here is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from headway.coreml.neuralnetwork.convolution import Convolution
from headway.coreml.neuralnetwork.dense import InnerProduct
from headway.coreml.neuralnetwork.layer import Layer, unsupported
from headway.coreml.neuralnetwork.pointwise import Activation, BatchNorm, Flatten, Softmax
from headway.coreml.neuralnetwork.pooling import Pooling
from headway.coreml.neuralnetwork.windows import window_of
from headway.coreml.proto import Message
from headway.coreml.weights import Float32, read_weights

__all__ = ["Compiled", "compile_layer"]

Compiled = tuple[Layer, dict[str, Float32]]
"""A layer and the initial values of its weights."""


def compile_layer(layer: Message) -> Compiled:
    """Return the executable form of *layer*.

    Raises:
        IncompatibleError: code ``unsupported_layer``, for a type or option that is not executed here.
    """
    kind = layer.WhichOneof("layer")
    reader = _READERS.get(kind or "")
    if reader is None:
        raise unsupported(layer.name, f"the layer type '{kind}'")
    return reader(layer)


def _dense(layer: Message) -> Compiled:
    body = layer.innerProduct
    if body.int8DynamicQuantize:
        raise unsupported(layer.name, "int8 dynamic quantisation")
    channels_in, channels_out = int(body.inputChannels), int(body.outputChannels)
    made = InnerProduct(layer.name, channels_in, channels_out, bool(body.hasBias))
    return made, _kernel_and_bias(layer.name, body, (channels_out, channels_in))


def _convolution(layer: Message) -> Compiled:
    body = layer.convolution
    window = window_of(body, default_kernel=3)
    if body.isDeconvolution or window is None:
        raise unsupported(layer.name, "deconvolution or an unknown padding")
    channels_out, kernel_channels = int(body.outputChannels), int(body.kernelChannels)
    groups = int(body.nGroups) or 1
    if channels_out % groups or 0 in (*window.stride, *window.dilation, *window.kernel):
        raise unsupported(layer.name, "groups that do not divide the channels, or a stride of zero")
    made = Convolution(layer.name, channels_out, kernel_channels, groups, window, bool(body.hasBias))
    return made, _kernel_and_bias(layer.name, body, (channels_out, kernel_channels, *window.kernel))


def _kernel_and_bias(name: str, body: Message, shape: tuple[int, ...]) -> dict[str, Float32]:
    found = {f"{name}.weights": _vector(name, body.weights, shape)}
    if body.hasBias:
        found[f"{name}.biases"] = _vector(name, body.bias, shape[:1])
    return found


def _vector(name: str, params: Message, shape: tuple[int, ...]) -> Float32:
    values = read_weights(params, shape)
    if values is None:
        raise unsupported(name, f"quantised weights, or weights that are not of the shape {list(shape)},")
    return values


def _activation(layer: Message) -> Compiled:
    kind = layer.activation.WhichOneof("NonlinearityType")
    if kind not in ("ReLU", "sigmoid", "tanh"):
        raise unsupported(layer.name, f"the activation '{kind}'")
    return Activation(kind), {}


def _softmax(layer: Message) -> Compiled:
    return Softmax(), {}


def _flatten(layer: Message) -> Compiled:
    return Flatten(channel_last=layer.flatten.mode == 1), {}


def _batchnorm(layer: Message) -> Compiled:
    body = layer.batchnorm
    if body.computeMeanVar or body.instanceNormalization:
        raise unsupported(layer.name, "batchnorm with statistics of the batch")
    shape = (int(body.channels),)
    made = BatchNorm.of(
        layer.name,
        gamma=_vector(layer.name, body.gamma, shape),
        beta=_vector(layer.name, body.beta, shape),
        mean=_vector(layer.name, body.mean, shape),
        variance=_vector(layer.name, body.variance, shape),
        epsilon=float(body.epsilon) or 1e-5,
    )
    if not (np.isfinite(made.scale).all() and np.isfinite(made.shift).all()):
        raise unsupported(layer.name, "a variance that is not positive")
    return made, {}


def _pooling(layer: Message) -> Compiled:
    body = layer.pooling
    if body.type not in (0, 1):
        raise unsupported(layer.name, "L2 pooling")
    kind: Literal["max", "average"] = "max" if body.type == 0 else "average"
    if body.globalPooling:
        return Pooling(layer.name, kind, None), {}
    window = window_of(body, default_kernel=3)
    if window is None or 0 in (*window.stride, *window.kernel):
        raise unsupported(layer.name, "pooling that includes the last pixel, or a stride of zero")
    return Pooling(layer.name, kind, window, bool(body.avgPoolExcludePadding)), {}


_READERS: dict[str, Callable[[Message], Compiled]] = {
    "innerProduct": _dense,
    "convolution": _convolution,
    "activation": _activation,
    "softmax": _softmax,
    "flatten": _flatten,
    "batchnorm": _batchnorm,
    "pooling": _pooling,
}

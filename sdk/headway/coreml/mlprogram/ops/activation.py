"""Activation functions, as MIL defines them."""

from __future__ import annotations

import math

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit
from headway.coreml.mlprogram.failures import unsupported
from headway.coreml.mlprogram.ops.elementwise import pointwise

__all__ = ["TABLE"]


def _softmax(call: Call) -> str:
    return call.graph.node("Softmax", call.arg("x"), axis=call.axis() + call.lead)


def _relu6(call: Call) -> str:
    return call.graph.node("Clip", call.arg("x"), call.scalar(0), call.scalar(6))


def _leaky_relu(call: Call) -> str:
    return call.graph.node("LeakyRelu", call.arg("x"), alpha=float(call.value("alpha", 0.01)))


def _elu(call: Call) -> str:
    return call.graph.node("Elu", call.arg("x"), alpha=float(call.value("alpha", 1.0)))


def _per_channel(call: Call, key: str) -> str:
    """The vector *key* shaped to multiply along axis 1, MIL's channel axis."""
    rank = call.tensor("x").rank
    vector = call.array(key).astype(np.float32).reshape(-1)
    return call.graph.constant(vector.reshape(-1, *[1] * max(rank - 2, 0)))


def _prelu(call: Call) -> str:
    return call.graph.node("PRelu", call.arg("x"), _per_channel(call, "alpha"))


_GELU = {
    "EXACT": pointwise("Gelu", approximate="none"),
    "TANH_APPROXIMATION": pointwise("Gelu", approximate="tanh"),
}


def _gelu(call: Call) -> str | tuple[str, ...]:
    mode = str(call.value("mode", "EXACT"))
    if mode in _GELU:
        return _GELU[mode](call)
    if mode == "SIGMOID_APPROXIMATION":
        x = call.arg("x")
        gate = call.graph.node("Sigmoid", call.graph.node("Mul", x, call.scalar(1.702)))
        return call.graph.node("Mul", x, gate)
    raise unsupported("gelu", call.where, f"has the unknown mode {mode!r}")


def _silu(call: Call) -> str:
    x = call.arg("x")
    return call.graph.node("Mul", x, call.graph.node("Sigmoid", x))


def _sigmoid_hard(call: Call) -> str:
    alpha, beta = float(call.value("alpha", 0.2)), float(call.value("beta", 0.5))
    return call.graph.node("HardSigmoid", call.arg("x"), alpha=alpha, beta=beta)


def _scaled(call: Call, x: str, key: str, default: float) -> str:
    factor = float(call.value(key, default))
    return x if factor == 1 else call.graph.node("Mul", x, call.scalar(factor))


def _scaled_tanh(call: Call) -> str:
    return _scaled(call, call.graph.node("Tanh", _scaled(call, call.arg("x"), "beta", 1.0)), "alpha", 1.0)


def _linear_activation(call: Call) -> str:
    scaled = _scaled(call, call.arg("x"), "alpha", 1.0)
    return call.graph.node("Add", scaled, call.scalar(float(call.value("beta", 0.0))))


def _softplus_parametric(call: Call) -> str:
    inner = call.graph.node("Mul", call.arg("x"), _per_channel(call, "beta"))
    return call.graph.node("Mul", call.graph.node("Softplus", inner), _per_channel(call, "alpha"))


def _clamped_relu(call: Call) -> str:
    leaky = call.graph.node("LeakyRelu", call.arg("x"), alpha=float(call.value("alpha", 0.0)))
    high = float(call.value("beta", math.inf))
    return call.graph.node("Min", leaky, call.scalar(high))


def _thresholded_relu(call: Call) -> str:
    x, zero = call.arg("x"), call.scalar(0)
    keep = call.graph.node("GreaterOrEqual", x, call.scalar(float(call.value("alpha", 1.0))))
    return call.graph.node("Where", keep, x, zero)


TABLE: dict[str, Emit] = {
    "relu": pointwise("Relu"),
    "sigmoid": pointwise("Sigmoid"),
    "tanh": pointwise("Tanh"),
    "softplus": pointwise("Softplus"),
    "softsign": pointwise("Softsign"),
    "softmax": _softmax,
    "relu6": _relu6,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "prelu": _prelu,
    "gelu": _gelu,
    "silu": _silu,
    "sigmoid_hard": _sigmoid_hard,
    "scaled_tanh": _scaled_tanh,
    "linear_activation": _linear_activation,
    "softplus_parametric": _softplus_parametric,
    "clamped_relu": _clamped_relu,
    "thresholded_relu": _thresholded_relu,
}

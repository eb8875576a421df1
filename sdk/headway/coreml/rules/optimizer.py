"""Optimizer and epochs: present, complete, with defaults inside what they allow."""

from __future__ import annotations

import math

from headway.coreml.proto import Message
from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView

__all__ = ["check_optimizer"]

_NEEDED = {
    "sgdOptimizer": ("learningRate", "miniBatchSize"),
    "adamOptimizer": ("learningRate", "miniBatchSize", "beta1", "beta2", "eps"),
}
_REAL = ("learningRate", "momentum", "beta1", "beta2", "eps")


def check_optimizer(view: NetworkView) -> Findings:
    """Rules ``optimizer_kind``, ``optimizer_parameters``, ``epochs_missing`` and ``parameter_*``.

    Momentum, shuffle and seed may be absent.
    """
    update = view.network.updateParams
    kind = update.optimizer.WhichOneof("OptimizerType")
    if kind is None:
        yield Finding("optimizer_kind", None, "The model names no optimizer.", "Set SGD or Adam.")
    else:
        yield from _optimizer(kind, getattr(update.optimizer, kind))
    if update.HasField("epochs"):
        yield from _integer("epochs", update.epochs, positive=True)
    else:
        message = "The number of epochs is not given."
        yield Finding("epochs_missing", None, message, "Call set_epochs, with an allowed set.")
    if update.HasField("seed"):
        yield from _integer("seed", update.seed, positive=False)


def _optimizer(kind: str, body: Message) -> Findings:
    for name in _NEEDED[kind]:
        if not body.HasField(name):
            message = f"The optimizer lacks the parameter {name}."
            yield Finding("optimizer_parameters", None, message, "Set it, with an allowed set or range.")
    if body.HasField("miniBatchSize"):
        yield from _integer("miniBatchSize", body.miniBatchSize, positive=True)
    for name in _REAL:
        if name in body.DESCRIPTOR.fields_by_name and body.HasField(name):
            yield from _real(name, getattr(body, name))


def _integer(name: str, message: Message, *, positive: bool) -> Findings:
    default = message.defaultValue
    if positive and default <= 0:
        text = f"The default {default} of {name} is not positive."
        yield Finding("parameter_positive", None, text, "Choose at least 1.")
        return
    kind = message.WhichOneof("AllowedValues")
    if kind == "set":
        if positive and any(value <= 0 for value in message.set.values):
            text = f"The allowed set of {name} holds a value that is not positive."
            yield Finding("parameter_set", None, text, "Allow only values from 1.")
        elif default not in message.set.values:
            text = f"The default {default} of {name} is not in its allowed set."
            yield Finding("parameter_set", None, text, "Add it to the set.")
    elif kind == "range":
        low, high = message.range.minValue, message.range.maxValue
        if (positive and low <= 0) or low > high:
            text = f"The allowed range {low} to {high} of {name} is empty or not positive."
            yield Finding("parameter_range", None, text, "Give a minimum from 1 and a maximum above it.")
        elif not low <= default <= high:
            text = f"The default {default} of {name} is outside its allowed range {low} to {high}."
            yield Finding("parameter_range", None, text, "Move the default or widen the range.")


def _real(name: str, message: Message) -> Findings:
    default = message.defaultValue
    bounded = message.WhichOneof("AllowedValues") == "range"
    low, high = (message.range.minValue, message.range.maxValue) if bounded else (-math.inf, math.inf)
    if not math.isfinite(default) or math.isnan(low) or math.isnan(high) or low > high:
        text = f"The default or the allowed range of {name} is no range of numbers."
        yield Finding("parameter_range", None, text, "Give finite numbers, the minimum first.")
    elif not low <= default <= high:
        text = f"The default {default:g} of {name} is outside its allowed range {low:g} to {high:g}."
        yield Finding("parameter_range", None, text, "Move the default or widen the range.")

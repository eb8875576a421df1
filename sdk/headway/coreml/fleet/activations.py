"""Activations on stacked blobs, written into place."""

from __future__ import annotations

import numpy as np

from headway.coreml.weights import Float32

__all__ = ["activate", "derive"]


def activate(kind: str, blob: Float32, out: Float32) -> None:
    """Write the activation *kind* (``ReLU``, ``sigmoid``, ``tanh``) of *blob* into *out*."""
    if kind == "ReLU":
        np.maximum(blob, np.float32(0), out=out)
    elif kind == "tanh":
        np.tanh(blob, out=out)
    else:
        small = np.exp(-np.abs(blob))
        np.copyto(out, np.where(blob >= 0, 1 / (1 + small), small / (1 + small)))


def derive(kind: str, hidden: Float32, gradient: Float32) -> None:
    """Multiply *gradient*, in place, by the derivative of the activation whose output is *hidden*."""
    if kind == "ReLU":
        gradient *= np.sign(hidden)  # the output is never negative, so this is 1 where it passes and else 0
    elif kind == "tanh":
        gradient *= 1 - hidden * hidden
    else:
        gradient *= hidden * (1 - hidden)

"""Weight parameters of NeuralNetwork layers as numpy arrays, and back.

Core ML stores float32 weights row-major in ``WeightParams.floatValue`` (NeuralNetwork.proto), float16 as raw bytes in
``float16Value``; quantised forms are not read here, since an updatable layer cannot have them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.proto import Message

__all__ = ["Float32", "Float64", "Floats", "count_of", "kind_of", "read_weights", "write_weights"]

Float32 = NDArray[np.float32]
"""An array of float32."""

Float64 = NDArray[np.float64]
"""An array of float64."""

Floats = NDArray[Any]
"""An array of float32 in a prediction, of float64 in a training."""


def kind_of(params: Message) -> str:
    """Name how *params* stores its numbers: ``float32``, ``float16``, ``quantised``, ``mixed`` or ``empty``."""
    kinds = [
        kind
        for kind, present in (
            ("float32", len(params.floatValue) > 0),
            ("float16", len(params.float16Value) > 0),
            ("quantised", len(params.rawValue) > 0 or len(params.int8RawValue) > 0),
        )
        if present
    ]
    if not kinds:
        return "quantised" if params.HasField("quantization") else "empty"
    if len(kinds) > 1:
        return "mixed"
    return "quantised" if params.HasField("quantization") else kinds[0]


def count_of(params: Message) -> int:
    """Number of values stored in *params* as float32 or float16."""
    return len(params.floatValue) or len(params.float16Value) // 2


def read_weights(params: Message, shape: tuple[int, ...]) -> Float32 | None:
    """Return the values of *params* as a writable float32 array of *shape*, or None when they do not fit it."""
    kind = kind_of(params)
    if kind == "float32":
        flat: NDArray[Any] = np.array(params.floatValue, dtype=np.float32)
    elif kind == "float16" and len(params.float16Value) % 2 == 0:
        flat = np.frombuffer(params.float16Value, dtype="<f2").astype(np.float32)
    else:
        return None
    return flat.reshape(shape) if flat.size == math.prod(shape) else None


def write_weights(params: Message, values: Float32) -> None:
    """Replace the values of *params* by *values* (float32, row-major), keeping its other fields."""
    params.ClearField("float16Value")
    params.ClearField("floatValue")
    params.floatValue.extend(np.asarray(values, dtype=np.float32).ravel().tolist())

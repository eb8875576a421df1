"""What a head's weights say of cached features, in numpy: for heads that are tried, not released."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def logits(weights: Mapping[str, Float32], features: Float32) -> Float32:
    """Return float32 [n, K] of dense layers `dense_0`, `dense_1` … with ReLU between, on features [n, D]."""
    values = features
    for index in range(len(weights) // 2):
        values = np.maximum(values, 0) if index else values
        values = values @ weights[f"dense_{index}.weights"].T + weights[f"dense_{index}.biases"]
    return values

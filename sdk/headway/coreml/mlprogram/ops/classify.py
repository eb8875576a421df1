"""The last operation of a classifier: probabilities in the order of the class list, and the most probable class.

Core ML gives the probabilities as a dictionary; here they are an array ``[classes]``, as for neural networks.
"""

from __future__ import annotations

import numpy as np

from headway.coreml.mlprogram.call import Call, Emit
from headway.coreml.mlprogram.failures import broken

__all__ = ["TABLE"]


def _classify(call: Call) -> tuple[str, ...]:
    probabilities, classes = call.tensor("probabilities"), call.array("classes")
    if len(call.op.outputs) != 2 or int(np.prod(probabilities.shape)) != classes.size:
        raise broken(f"has {classes.size} classes for {list(probabilities.shape)} probabilities at {call.where!r}")
    flat = call.reshape(call.name(probabilities), [*[-1] * call.lead, classes.size])
    index = call.graph.node("ArgMax", flat, axis=call.lead, keepdims=0)
    names = classes.astype(object if classes.dtype.kind == "U" else np.int64)
    return call.graph.node("Gather", call.graph.constant(names), index, axis=0), flat


TABLE: dict[str, Emit] = {"classify": _classify}

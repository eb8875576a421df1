"""Building one ONNX graph: nodes with fresh names, constants written to a side file as soon as they are used.

The graph file stays small and the weights are mapped by ONNX Runtime from the side file, so compiling a large package
never holds more than one weight in memory.
"""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from headway.coreml.mlprogram.artefact import WEIGHTS

__all__ = ["OPSET", "Graph", "value_info"]

OPSET = 21
_IR_VERSION = 10
_ALIGN = 64
_INLINE_BYTES = 1024


class Graph:
    """Collects nodes and constants; ``model()`` gives the finished ONNX model."""

    def __init__(self, weights: BinaryIO) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._initialisers: list[Any] = []
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def fresh(self) -> str:
        """Return an unused value name."""
        self._count += 1
        return f"v{self._count}"

    def node(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output and return the output's name; an empty input name is an absent one."""
        return self.nodes(op, *inputs, outputs=1, domain=domain, **attributes)[0]

    def nodes(self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> tuple[str, ...]:
        """Append a node with *outputs* outputs and return their names."""
        names = tuple(self.fresh() for _ in range(outputs))
        self._nodes.append(helper.make_node(op, list(inputs), list(names), domain=domain, **attributes))
        return names

    def rename(self, name: str, target: str) -> None:
        """Give the value *name* the further name *target* (for graph outputs)."""
        self._nodes.append(helper.make_node("Identity", [name], [target]))

    def constant(self, array: NDArray[Any]) -> str:
        """Write *array* as an initialiser and return its name; equal small ones are shared."""
        if array.dtype.kind == "O":
            self._initialisers.append(onnx.numpy_helper.from_array(array, name := self.fresh()))
            return name
        contiguous = np.ascontiguousarray(array).reshape(array.shape)
        if contiguous.nbytes <= _INLINE_BYTES:
            key = (contiguous.dtype.str, contiguous.shape, contiguous.tobytes())
            if key not in self._small:
                self._small[key] = name = self.fresh()
                self._initialisers.append(onnx.numpy_helper.from_array(contiguous, name))
            return self._small[key]
        name = self.fresh()
        offset = math.ceil(self._weights.tell() / _ALIGN) * _ALIGN
        self._weights.seek(offset)
        self._weights.write(contiguous.data.cast("B"))
        tensor = TensorProto(
            name=name,
            dims=contiguous.shape,
            data_type=helper.np_dtype_to_tensor_dtype(contiguous.dtype),
            data_location=TensorProto.EXTERNAL,
        )
        for key_, value in (("location", WEIGHTS), ("offset", str(offset)), ("length", str(contiguous.nbytes))):
            tensor.external_data.add(key=key_, value=value)
        self._initialisers.append(tensor)
        return name

    def int64s(self, values: Any) -> str:
        """A 1-D int64 constant, as ONNX wants shapes and axes."""
        return self.constant(np.asarray(values, dtype=np.int64).reshape(-1))

    def scalar(self, value: float, dtype: Any = np.float32) -> str:
        """A rank-0 constant."""
        return self.constant(np.asarray(value, dtype=dtype))

    def _needed(self, wanted: set[str]) -> list[Any]:
        """The nodes that the *wanted* values depend on; emitters may append views that nobody uses."""
        kept = []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        return kept[::-1]

    def model(self, inputs: list[Any], outputs: list[Any]) -> bytes:
        """Return the serialised model with the given ``ValueInfoProto`` inputs and outputs."""
        nodes = self._needed({output.name for output in outputs})
        graph = helper.make_graph(nodes, "headway", inputs, outputs, self._initialisers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="headway", ir_version=_IR_VERSION)
        data: bytes = model.SerializeToString()
        return data


def value_info(name: str, dtype: np.dtype[Any], shape: tuple[int | str | None, ...]) -> Any:
    """Describe a graph input or output; a string names a dynamic dimension."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), list(shape))

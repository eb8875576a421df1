"""From one MIL function to an ONNX graph, operation by operation.

Everything is written per item; with ``batch`` every input gets a leading batch axis and so does whatever depends on one
(see :mod:`headway.coreml.mlprogram.call`), so a program traced at batch 1 runs any number of items in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.coreml.mlprogram.artefact import Port
from headway.coreml.mlprogram.call import Call, State, Tensor, onnx_dtype
from headway.coreml.mlprogram.constants import Dense
from headway.coreml.mlprogram.failures import broken, unsupported
from headway.coreml.mlprogram.graph import Graph, value_info
from headway.coreml.mlprogram.ir import Function, Literal, Operation, Reference, Typed
from headway.coreml.mlprogram.ops import EMITTERS, FOLDERS
from headway.coreml.mlprogram.options import ProgramOptions

__all__ = ["Translation", "can_batch", "translate"]

# Results that are merely moved inputs: already rounded.
_MOVES = frozenset(
    [
        *("reshape", "reshape_like", "flatten2d", "expand_dims", "squeeze", "identity", "transpose"),
        *("concat", "stack", "split", "tile", "slice_by_index", "slice_by_size", "reverse"),
        *("gather", "gather_along_axis", "gather_nd", "relu"),
    ]
)


_MALFORMED = (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, ZeroDivisionError)
"""What an emitter or numpy raises when the arguments of an operation contradict each other."""


@dataclass(frozen=True, slots=True)
class Translation:
    """The serialised ONNX model and its ports."""

    model: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    batched: bool


def can_batch(function: Function) -> bool:
    """Whether a batch axis can be added: every input and every result has a fixed shape."""
    types = [value.type for value in function.inputs]
    types += [output.type for op in function.operations for output in op.outputs]
    return all(size is not None for declared in types for size in declared.shape)


def translate(function: Function, graph: Graph, options: ProgramOptions, *, batch: bool) -> Translation:
    """Append *function* to *graph* and return the finished model.

    Raises :class:`IncompatibleError` (``unknown_op``) naming the first operation that cannot be executed.
    """
    translator = _Translator(graph, options, batch)
    inputs = tuple(translator.input(value) for value in function.inputs)
    for op in function.operations:
        translator.operation(op)
    outputs = tuple(translator.output(name) for name in function.outputs)
    model = graph.model([translator.info(p) for p in inputs], [translator.info(p) for p in outputs])
    translator.release()
    return Translation(model, inputs, outputs, batch)


class _Translator:
    def __init__(self, graph: Graph, options: ProgramOptions, batch: bool) -> None:
        self._state = State(graph, options)
        self._graph = graph
        self._batch = batch
        self._half = options.precision == "float16"
        self._values: dict[str, Tensor] = {}

    def input(self, value: Typed) -> Port:
        dtype = onnx_dtype(value.type.dtype)
        port = Port(value.name, f"input:{value.name}", dtype.name, value.type.shape)
        name = port.value
        if self._batch and self._state.items is None:
            self._state.items = self._graph.node("Shape", name, start=0, end=1)
        if self._half and value.type.dtype.name == "fp16":
            name = self._to_half_and_back(name)
        self._values[value.name] = Tensor(value.type, name, batched=self._batch)
        return port

    def output(self, name: str) -> Port:
        tensor = self._values.get(name)
        if tensor is None:
            raise broken(f"has no value for its output {name!r}")
        dtype = onnx_dtype(tensor.type.dtype)
        port = Port(name, f"output:{name}", dtype.name, tensor.type.shape)
        op = Operation("identity", {}, (Typed(name, tensor.type),))
        call = Call(self._state, op, {"x": (tensor,)})
        call.batched = self._batch
        self._graph.rename(call.with_batch(tensor), port.value)
        return port

    def info(self, port: Port) -> Any:
        open_dims = [f"{port.value}.{axis}" if size is None else size for axis, size in enumerate(port.shape)]
        return value_info(port.value, np.dtype(port.dtype), (*(["items"] if self._batch else []), *open_dims))

    def release(self) -> None:
        """Break the cycles between calls and constants, so that their memory is free before the session loads."""
        self._state.written.clear()
        self._values.clear()

    def operation(self, op: Operation) -> None:
        if op.kind == "const":
            if len(op.inputs.get("val", ())) != 1:
                raise broken("has a constant without a value")
            self._define(op, self._argument(op.inputs["val"][0]))
            return
        arguments = {key: tuple(self._argument(ref) for ref in refs) for key, refs in op.inputs.items()}
        if not op.outputs:
            raise broken(f"has an operation {op.kind} without a result")
        call = Call(self._state, op, arguments)
        try:
            self._emit(op, call)
        except _MALFORMED as error:
            raise unsupported(op.kind, call.where, f"cannot be executed ({error})") from error

    def _emit(self, op: Operation, call: Call) -> None:
        if op.kind in FOLDERS:
            for output, constant in zip(op.outputs, FOLDERS[op.kind](call), strict=True):
                self._values[output.name] = Tensor(output.type, constant=constant)
            return
        emit = EMITTERS.get(op.kind)
        if emit is None:
            raise unsupported(op.kind, call.where)
        result = emit(call)
        names = (result,) if isinstance(result, str) else result
        for output, name in zip(op.outputs, names, strict=True):
            if self._half and output.type.dtype.name == "fp16" and op.kind not in _MOVES:
                name = self._to_half_and_back(name)
            self._values[output.name] = Tensor(output.type, name, batched=call.batched)

    def _define(self, op: Operation, tensor: Tensor) -> None:
        for output in op.outputs:
            self._values[output.name] = tensor

    def _argument(self, reference: Reference) -> Tensor:
        if isinstance(reference, Literal):
            return Tensor(reference.type, constant=Dense(reference.load))
        found = self._values.get(reference)
        if found is None:
            raise broken(f"uses {reference!r} before it is made")
        return found

    def _to_half_and_back(self, name: str) -> str:
        from onnx import TensorProto

        half = self._graph.node("Cast", name, to=TensorProto.FLOAT16)
        return self._graph.node("Cast", half, to=TensorProto.FLOAT)

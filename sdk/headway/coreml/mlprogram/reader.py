"""From the protobuf message of an ML Program to :mod:`~headway.coreml.mlprogram.ir`.

Every size a literal claims is checked against the bytes that back it. Raises :class:`RefusedError` for a message that
contradicts itself and :class:`IncompatibleError` for things MIL allows and this runtime does not execute.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.mlprogram.blob import BlobFile, unpack_bits
from headway.coreml.mlprogram.dtypes import DTYPES, dtype_of
from headway.coreml.mlprogram.failures import broken, unsupported
from headway.coreml.mlprogram.ir import Function, Literal, Operation, Reference, TensorType, Typed
from headway.coreml.proto import Message

__all__ = ["WeightSource", "read_function"]

WeightSource = Callable[[str], Path | bytes]
"""Finds a weight file by the name the program uses (``@model_path/weights/weight.bin``)."""

_MAX_RANK = 16
_MAX_SIZE = 1 << 31


def read_function(model: Message, weight_file: WeightSource) -> Function:
    """Return the ``main`` function of *model*; *weight_file* gives the file that the program calls by a name."""
    if model.WhichOneof("Type") != "mlProgram":
        raise RefusedError(
            "not_mlprogram",
            f"The model is a {model.WhichOneof('Type') or 'empty specification'}, not an ML Program.",
            hint="Give the base package; heads are NeuralNetworks and are run by their own executor.",
        )
    functions = model.mlProgram.functions
    if "main" not in functions:
        raise broken("has no function named main")
    function = functions["main"]
    block = function.block_specializations.get(function.opset)
    if block is None:
        raise broken(f"has no block for its opset {function.opset!r}")
    reader = _Reader(weight_file)
    inputs = tuple(Typed(value.name, reader.tensor_type(value.type)) for value in function.inputs)
    operations = tuple(reader.operation(op) for op in block.operations)
    return Function(inputs, operations, tuple(block.outputs), function.opset)


class _Reader:
    """Keeps the weight files that literals of one program point at open (mapped)."""

    def __init__(self, weight_file: WeightSource) -> None:
        self._weight_file = weight_file
        self._blobs: dict[str, BlobFile] = {}

    def operation(self, op: Message) -> Operation:
        outputs = tuple(Typed(value.name, self.output_type(op, value.type)) for value in op.outputs)
        where = outputs[0].name if outputs else ""
        if len(op.blocks):
            raise unsupported(op.type, where, "has nested blocks; control flow is not executed here")
        inputs: dict[str, tuple[Reference, ...]] = {
            key: (self.literal(value),) for key, value in op.attributes.items() if key != "name"
        }
        for key, argument in op.inputs.items():
            inputs[key] = tuple(
                binding.name if binding.WhichOneof("binding") == "name" else self.literal(binding.value)
                for binding in argument.arguments
            )
        return Operation(op.type, inputs, outputs)

    def output_type(self, op: Message, value_type: Message) -> TensorType:
        """The type of a result; a classifier's dictionary counts as the vector of its values."""
        if op.type != "classify" or value_type.WhichOneof("type") != "dictionaryType":
            return self.tensor_type(value_type)
        classes = op.inputs["classes"].arguments
        return TensorType(DTYPES[11], (len(classes[0].value.immediateValue.list.values),) if classes else (None,))

    def tensor_type(self, value_type: Message) -> TensorType:
        kind = value_type.WhichOneof("type")
        if kind != "tensorType":
            raise IncompatibleError(
                "unknown_type",
                f"The program uses a value of kind {kind}; only tensors are executed here.",
                hint="Export a stateless model without lists, tuples or dictionaries.",
            )
        tensor = value_type.tensorType
        if tensor.rank != len(tensor.dimensions) or not 0 <= tensor.rank <= _MAX_RANK:
            raise broken(f"declares rank {tensor.rank} with {len(tensor.dimensions)} dimensions")
        shape = tuple(
            int(d.constant.size) if d.WhichOneof("dimension") == "constant" else None for d in tensor.dimensions
        )
        if any(size is not None and size > _MAX_SIZE for size in shape):
            raise broken(f"declares the unreasonable shape {list(shape)}")
        return TensorType(dtype_of(tensor.dataType), shape)

    def literal(self, value: Message) -> Literal:
        if value.type.WhichOneof("type") == "listType":
            return self._list(value)
        declared = self.tensor_type(value.type)
        where = value.WhichOneof("value")
        if where == "blobFileValue":
            blob = value.blobFileValue
            return Literal(declared, self._from_blob(declared, blob.fileName, int(blob.offset)))
        if where == "immediateValue" and value.immediateValue.WhichOneof("value") == "tensor":
            tensor = value.immediateValue.tensor
            return Literal(declared, lambda: _immediate(declared, tensor))
        raise broken("has a constant without a value")

    def _list(self, value: Message) -> Literal:
        """A list of scalars of one type, as a vector."""
        items = [self.literal(item) for item in value.immediateValue.list.values]
        if not items or any(item.type != items[0].type or item.type.shape for item in items):
            raise broken("has a list that is not one of scalars of one type")
        declared = TensorType(items[0].type.dtype, (len(items),))
        return Literal(declared, lambda: np.array([item.load().item() for item in items]))

    def _from_blob(self, declared: TensorType, file_name: str, offset: int) -> Callable[[], NDArray[Any]]:
        shape, count = _known(declared)

        def load() -> NDArray[Any]:
            return self._blob(file_name).read(offset, declared.dtype, count).reshape(shape)

        return load

    def _blob(self, file_name: str) -> BlobFile:
        if file_name not in self._blobs:
            self._blobs[file_name] = BlobFile(file_name, self._weight_file(file_name))
        return self._blobs[file_name]


def _known(declared: TensorType) -> tuple[tuple[int, ...], int]:
    shape = tuple(size for size in declared.shape if size is not None)
    if len(shape) != len(declared.shape):
        raise broken("declares a constant of unknown shape")
    return shape, math.prod(shape)


def _immediate(declared: TensorType, tensor: Message) -> NDArray[Any]:
    shape, count = _known(declared)
    dtype = declared.dtype
    field = tensor.WhichOneof("value")
    if field is None:
        stored: NDArray[Any] = np.empty(0, dtype.numpy)
    elif field == "bytes":
        stored = _from_bytes(declared, tensor.bytes.values, count)
    elif field == "strings":
        stored = np.array(list(tensor.strings.values), dtype=np.str_)
    else:
        with np.errstate(over="ignore"):
            stored = np.array(getattr(tensor, field).values, dtype=dtype.numpy)
    if stored.size != count:
        raise broken(f"holds {stored.size} values in a constant of shape {list(shape)}")
    return stored.reshape(shape)


def _from_bytes(declared: TensorType, raw: bytes, count: int) -> NDArray[Any]:
    dtype = declared.dtype
    if len(raw) != math.ceil(count * dtype.bits / 8):
        raise broken(f"holds {len(raw)} bytes in a constant of {count} × {dtype.name}")
    if dtype.bits < 8:
        return unpack_bits(np.frombuffer(raw, np.uint8), dtype.bits, count, signed=dtype.numpy.kind == "i")
    return np.frombuffer(raw, dtype.numpy.newbyteorder("<"))

"""One operation while it is being translated: its arguments, its declared result, and helpers every emitter needs.

Batching rule that always holds: a *batched* value has ONNX shape ``[n, *shape]`` where ``shape`` is the one MIL
declares, whatever that is; an operation is batched when any of its arguments is. Emitters therefore write each
operation *per item* and shift axes by :attr:`Call.lead`. Nothing relies on the meaning of a leading 1 in MIL shapes.

Types in ONNX: every MIL float is float32, every integer int32, bool stays (see :func:`onnx_dtype`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from headway.coreml.mlprogram.constants import Constant
from headway.coreml.mlprogram.dtypes import MilDType
from headway.coreml.mlprogram.failures import broken, unsupported
from headway.coreml.mlprogram.graph import Graph
from headway.coreml.mlprogram.ir import Operation, TensorType
from headway.coreml.mlprogram.options import ProgramOptions

__all__ = ["Call", "Emit", "State", "Tensor", "onnx_dtype"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the program: an ONNX value (``name``) or a constant; ``type`` is what MIL declares per item."""

    type: TensorType
    name: str | None = None
    constant: Constant | None = None
    batched: bool = False

    @property
    def rank(self) -> int:
        """Number of dimensions per item."""
        return len(self.type.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape per item; ``ValueError`` where the export left a dimension open."""
        if None in self.type.shape:
            raise ValueError("open shape")
        return cast(tuple[int, ...], self.type.shape)


class State:
    """What the calls of one translation share: the graph, the options, and names of constants already written."""

    def __init__(self, graph: Graph, options: ProgramOptions) -> None:
        self.graph = graph
        self.options = options
        # The constant is kept beside its name so that its id stays its own.
        self.written: dict[tuple[int, str], tuple[Constant, str]] = {}
        self.reshaped_from: dict[str, str] = {}
        self.rows: dict[str, str] = {}
        self.quantised: dict[str, tuple[str, str, str]] = {}
        self.items: str | None = None


def onnx_dtype(dtype: MilDType) -> np.dtype[Any]:
    """The numpy type that carries *dtype* in ONNX."""
    if dtype.is_float:
        return np.dtype(np.float32)
    if dtype.numpy.kind == "b":
        return np.dtype(np.bool_)
    if dtype.numpy.kind == "U":
        return np.dtype(np.object_)
    return np.dtype(np.int64 if dtype.numpy.itemsize == 8 else np.int32)


class Call:
    """The arguments and the declared result of one operation."""

    def __init__(self, state: State, op: Operation, arguments: Mapping[str, tuple[Tensor, ...]]) -> None:
        self.state = state
        self.graph = state.graph
        self.op = op
        self.arguments = arguments
        self.batched = any(t.batched for group in arguments.values() for t in group)
        self.lead = int(self.batched)
        self.out = op.outputs[0].type

    # --- arguments -------------------------------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """Whether the optional argument *key* is given."""
        return bool(self.arguments.get(key))

    def tensor(self, key: str) -> Tensor:
        """The single argument *key*."""
        group = self.arguments.get(key, ())
        if len(group) != 1:
            raise broken(f"gives {len(group)} values for {key!r} of {self.op.kind} at {self.where!r}")
        return group[0]

    def array(self, key: str) -> NDArray[Any]:
        """The argument *key*, which must be constant, as an array."""
        constant = self.tensor(key).constant
        if constant is None:
            raise unsupported(self.op.kind, self.where, f"needs a constant {key!r}")
        return constant.array()

    def value(self, key: str, default: Any) -> Any:
        """The constant scalar *key* as a Python value, or *default*."""
        if not self.has(key):
            return default
        array = self.array(key)
        if array.size != 1:
            raise broken(f"gives {array.size} values for the scalar {key!r} at {self.where!r}")
        return array.reshape(()).item()

    def ints(self, key: str, default: list[int] | None = None) -> list[int]:
        """The constant vector *key* as a list, or *default* (required when that is None)."""
        if default is not None and not self.has(key):
            return list(default)
        return [int(value) for value in self.array(key).reshape(-1)]

    def axis(self, key: str = "axis", default: int = -1, rank: int | None = None) -> int:
        """The constant *key* as a non-negative per-item axis of ``x`` (or of a tensor of *rank*)."""
        rank = self.tensor("x").rank if rank is None else rank
        return self.checked_axis(self.value(key, default), rank)

    def checked_axis(self, axis: int, rank: int) -> int:
        """*axis* counted from the front; raises when outside *rank*."""
        if not -rank <= axis < max(rank, 1):
            raise broken(f"names axis {axis} of a rank-{rank} value at {self.where!r}")
        return int(axis) % max(rank, 1)

    @property
    def where(self) -> str:
        """Name of the first output: how errors point at this operation."""
        return self.op.outputs[0].name

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The declared result shape; raises when the export left a dimension open."""
        if None in self.out.shape:
            raise unsupported(self.op.kind, self.where, "has an open shape, which it needs fixed")
        return cast(tuple[int, ...], self.out.shape)

    # --- values in the graph -----------------------------------------------------------------------------------------

    def name(self, tensor: Tensor) -> str:
        """The ONNX value of *tensor*, written as an initialiser when it is a constant."""
        if tensor.name is not None:
            return tensor.name
        constant = tensor.constant
        assert constant is not None
        return self.written(constant, "", lambda: constant.array().astype(onnx_dtype(tensor.type.dtype)))

    def written(self, constant: Constant, form: str, make: Callable[[], NDArray[Any]]) -> str:
        """Write *constant* in *form* (e.g. transposed) once; *make* computes the array on first use."""
        key = (id(constant), form)
        if key not in self.state.written:
            self.state.written[key] = (constant, self.graph.constant(make()))
        return self.state.written[key][1]

    def arg(self, key: str) -> str:
        """The ONNX value of the single argument *key*."""
        return self.name(self.tensor(key))

    def aligned(self, *tensors: Tensor) -> list[str]:
        """ONNX values of *tensors*, batched ones padded with 1s after the batch: broadcasting is then per item."""
        rank = max(tensor.rank for tensor in tensors)
        return [self.raised(tensor, rank) for tensor in tensors]

    def raised(self, tensor: Tensor, rank: int) -> str:
        """The ONNX value of *tensor* seen as a rank-*rank* one."""
        name = self.name(tensor)
        if not tensor.batched or tensor.rank == rank:
            return name
        return self.reshape(name, [-1, *[1] * (rank - tensor.rank), *tensor.shape])

    def with_batch(self, tensor: Tensor) -> str:
        """The ONNX value of *tensor* with the batch axis really there, repeated for an unbatched one."""
        name = self.name(tensor)
        if tensor.batched or not self.batched:
            return name
        shape = self.graph.node("Concat", self.items(), self.graph.int64s(tensor.shape), axis=0)
        return self.graph.node("Expand", name, shape)

    def items(self) -> str:
        """The number of items in the batch as a 1-element int64 value."""
        if self.state.items is None:
            raise AssertionError("an unbatched program has no batch size")
        return self.state.items

    def reshape(self, name: str, shape: list[int]) -> str:
        """Reshape *name*; a reshape of a reshape takes the first one's source."""
        source = self.state.reshaped_from.get(name, name)
        result = self.graph.node("Reshape", source, self.graph.int64s(shape))
        self.state.reshaped_from[result] = source
        return result

    def to_out(self, name: str) -> str:
        """Reshape *name* to the declared result shape, keeping the batch."""
        return self.reshape(name, [-1, *self.out_shape] if self.batched else list(self.out_shape))

    def rows_of(self, tensor: Tensor) -> str | None:
        """The matrix ``[rows, width]`` that *tensor* is a reshaped view of, when a matrix product made it."""
        return self.state.rows.get(tensor.name) if tensor.name is not None else None

    def as_rows(self, name: str, width: int) -> str:
        """*name* as a matrix ``[rows, width]``: the one it came from, or a reshape."""
        known = self.state.rows.get(name)
        return self.reshape(name, [-1, width]) if known is None else known

    def from_rows(self, rows: str) -> str:
        """The result in its declared shape, given as a matrix; later row-wise operations go on with the matrix."""
        result = self.to_out(rows)
        self.state.rows[result] = rows
        return result

    def scalar(self, value: float) -> str:
        """A constant of the result's ONNX type."""
        return self.graph.scalar(value, onnx_dtype(self.out.dtype))

    def cast(self, name: str, dtype: Any) -> str:
        """Cast to a numpy *dtype*."""
        from onnx import helper

        return self.graph.node("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


Emit = Callable[[Call], "str | tuple[str, ...]"]
"""An emitter appends the nodes of one operation and returns the names of its results."""

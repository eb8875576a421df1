"""A small picture of one MIL function: what the translator needs and nothing else.

Literals stay unloaded until asked for, so reading the program of a large package costs kilobytes. A dimension of
``None`` is one the export left open. Control flow (nested blocks) is not represented: the reader refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from headway.coreml.mlprogram.dtypes import MilDType

__all__ = ["Function", "Literal", "Operation", "Reference", "TensorType", "Typed"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """Scalar type and shape of a MIL tensor; scalars have shape ``()``."""

    dtype: MilDType
    shape: Shape


@dataclass(frozen=True, slots=True)
class Typed:
    """A named value with its declared type."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: ``load()`` returns it as an array of the type's shape (numpy ``str_`` for strings)."""

    type: TensorType
    load: Callable[[], NDArray[Any]]


Reference = str | Literal
"""What an operation's argument points at: a value by name, or a constant written in place."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: ``inputs`` maps each parameter to its references (several for variadic ones, e.g. concat)."""

    kind: str
    inputs: Mapping[str, tuple[Reference, ...]]
    outputs: tuple[Typed, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """The program's ``main``: inputs, operations in order, names of the outputs, and the opset, e.g. ``CoreML6``."""

    inputs: tuple[Typed, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]
    opset: str

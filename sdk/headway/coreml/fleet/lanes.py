"""The types that vectors have inside compiled code, how code is compiled, and what all intrinsics are built of.

A vector is sixteen float32 or sixteen float64 numbers: one source serves both, and the arrays that a function is given
say which.  LLVM turns an operation on sixteen float32 lanes into one AVX-512, two AVX or four NEON instructions, and on
float64 into twice as many; loops that numba compiles from scalar code stay with half of an AVX-512 register and reload
what a block of products could hold.  The functions on
vectors (:mod:`vectors`, :mod:`fours`, :mod:`reductions`) exist only inside functions decorated with :func:`compiled` or
:func:`inner`; arrays are one-dimensional and contiguous, places are indices into them, and nothing checks bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.extending import models, register_model

__all__ = [
    "INTEGERS",
    "LANES",
    "LOOSE",
    "Vector",
    "brief",
    "call",
    "compiled",
    "constant",
    "everywhere",
    "inner",
    "packed",
    "parts_of",
    "place_of",
    "vector_of",
    "within",
]

LANES = 16
INTEGERS = ir.VectorType(ir.IntType(32), LANES)
LOOSE = ("reassoc", "contract", "arcp", "nsz", "afn")
"""What may be reordered or approximated to the last bit or two; NaN and infinity keep their meaning."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile *function* to machine code when it is first called, and keep that on disk where that is allowed."""
    return _compiled(function, {})


def brief(function: Function) -> Function:
    """As :func:`compiled`, for functions so short that to let go of Python's lock would only cost time."""
    return _compiled(function, {"nogil": False})


def inner(function: Function) -> Function:
    """As :func:`compiled`, for functions that allocate nothing and are called by compiled functions only.

    Counting references to their arguments is left out: within loops that would cost more than the work.
    """
    return _compiled(function, {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True})


def within(function: Function) -> Function:
    """As :func:`inner`, for functions called in one place: their code is put there."""
    return _compiled(
        function, {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    )


def _compiled(function: Function, more: dict[str, Any]) -> Function:
    options: dict[str, Any] = {"fastmath": set(LOOSE), "nogil": True, "error_model": "numpy", **more}
    try:
        made: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside the module nor in the user's cache may anything be written
        made = numba.njit(**options)(function)
    return made


class Vector(types.Type):  # type: ignore[misc]
    """The type of sixteen numbers of the numba type *number*, float32 or float64."""

    def __init__(self, number: Any) -> None:
        super().__init__(name=f"{number.name}x{LANES}")
        self.number = number

    @property
    def element(self) -> Any:
        """A number, to LLVM."""
        return ir.FloatType() if self.number == types.float32 else ir.DoubleType()

    @property
    def lanes(self) -> Any:
        """The whole vector, to LLVM."""
        return ir.VectorType(self.element, LANES)

    @property
    def bits(self) -> int:
        """Bits in a number."""
        return int(self.number.bitwidth)

    @property
    def suffix(self) -> str:
        """How LLVM's names of functions on such vectors end."""
        return f"v{LANES}f{self.bits}"


def vector_of(array: Any) -> Vector:
    """Return the type of vectors of an array of numba type *array*."""
    return Vector(array.dtype)


@register_model(Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, numba_type.lanes)


def constant(kind: Vector, value: float) -> Any:
    """Return a vector of *kind* with *value* in every lane."""
    return ir.Constant(kind.lanes, [value] * LANES)


def place_of(context: Any, builder: Any, kind: Any, array: Any, place: Any, read: Any = None) -> Any:
    """Return the address of *place* in *array*, of numba type *kind*, for reading or writing a *read*, or a vector."""
    read = vector_of(kind).lanes if read is None else read
    values = context.make_array(kind)(context, builder, array)
    return builder.bitcast(builder.gep(values.data, [place]), read.as_pointer())


def everywhere(builder: Any, value: Any) -> Any:
    """Return a vector with *value* in every lane."""
    empty = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(INTEGERS, [0] * LANES))


def packed(builder: Any, vectors: Sequence[Any]) -> Any:
    """Return *vectors* as one value, a tuple in the eyes of numba."""
    value = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
    for place, part in enumerate(vectors):
        value = builder.insert_value(value, part, place)
    return value


def parts_of(builder: Any, value: Any, count: int = 4) -> list[Any]:
    """Return the vectors of a tuple of *count*."""
    return [builder.extract_value(value, place) for place in range(count)]


def call(builder: Any, name: str, result: Any, arguments: Any, flags: tuple[str, ...] = ()) -> Any:
    """Call a function that LLVM knows by *name*."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(builder.module.declare_intrinsic(name, fnty=kind), arguments, fastmath=flags)

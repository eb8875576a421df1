"""The type that vectors have inside compiled code, how code is compiled, and what all intrinsics are built of.

LLVM turns an operation on sixteen lanes into one AVX-512, two AVX or four NEON instructions; loops that numba compiles
from scalar code stay with half of an AVX-512 register and reload what a block of products could hold.  The functions on
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
    "VECTOR",
    "brief",
    "call",
    "compiled",
    "everywhere",
    "inner",
    "packed",
    "parts_of",
    "place_of",
    "vector",
    "within",
]

LANES = 16
VECTOR = ir.VectorType(ir.FloatType(), LANES)
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


class _Vector(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="float32x16")


vector = _Vector()
"""The type of sixteen float32 numbers."""


@register_model(_Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, VECTOR)


def place_of(context: Any, builder: Any, kind: Any, array: Any, place: Any, read: Any = VECTOR) -> Any:
    """Return the address of *place* in *array*, of numba type *kind*, for reading or writing a *read*."""
    values = context.make_array(kind)(context, builder, array)
    return builder.bitcast(builder.gep(values.data, [place]), read.as_pointer())


def everywhere(builder: Any, value: Any, kind: Any = VECTOR) -> Any:
    """Return a vector of type *kind* with *value* in every lane."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(INTEGERS, [0] * LANES))


def packed(builder: Any, vectors: Sequence[Any]) -> Any:
    """Return *vectors* as one value, a tuple in the eyes of numba."""
    value = ir.Constant(ir.ArrayType(VECTOR, len(vectors)), ir.Undefined)
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

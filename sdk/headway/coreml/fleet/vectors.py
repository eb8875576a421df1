"""Sixteen float32 numbers as one value inside compiled code, whatever the processor's registers are.

LLVM turns an operation on sixteen lanes into one AVX-512, two AVX or four NEON instructions; loops that numba compiles
from scalar code stay with half of an AVX-512 register and reload what a block of products could hold.  These functions
exist only inside functions decorated with :func:`compiled`; arrays are one-dimensional and contiguous, places are
indices into them, and nothing checks bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

__all__ = [
    "LANES",
    "add",
    "compiled",
    "divide",
    "exponential",
    "fma",
    "gate",
    "inner",
    "lane",
    "largest",
    "load",
    "pointer",
    "root",
    "splat",
    "spread",
    "store",
    "total",
    "totals",
]

LANES = 16
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)
_LOOSE = ("reassoc", "contract", "arcp", "nsz", "afn")
"""What may be reordered or approximated to the last bit or two; NaN and infinity keep their meaning."""

_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1.0, 1.0)
_LOWEST = -87.0
"""Below this the exponential of a float32 is no normal number."""

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile *function* to machine code when it is first called, and keep that on disk where that is allowed."""
    return _compiled(function, {})


def inner(function: Function) -> Function:
    """As :func:`compiled`, for functions that allocate nothing and are called by compiled functions only.

    Counting references to their arguments is left out: within loops that would cost more than the work.
    """
    return _compiled(function, {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True})


def _compiled(function: Function, more: dict[str, Any]) -> Function:
    options: dict[str, Any] = {"fastmath": set(_LOOSE), "nogil": True, "error_model": "numpy", **more}
    try:
        made: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither beside the module nor in the user's cache may anything be written
        made = numba.njit(**options)(function)
    return made


class _Vector(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="float32x16")


_vector = _Vector()


@register_model(_Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _constant(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), _VECTOR.as_pointer())


def _call(builder: Any, name: str, result: Any, arguments: Any, flags: tuple[str, ...] = ()) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(builder.module.declare_intrinsic(name, fnty=kind), arguments, fastmath=flags)


@intrinsic  # type: ignore[untyped-decorator]
def lane(_typing: Any, _place: Any, _value: Any) -> Any:
    """Return *value* in the lane *place* and 0 in all others; in all where *place* is no lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        def everywhere(value: Any, kind: Any) -> Any:
            first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, first, ir.Constant(_INTEGERS, [0] * LANES))

        place = everywhere(builder.trunc(arguments[0], ir.IntType(32)), _INTEGERS)
        here = builder.icmp_signed("==", place, ir.Constant(_INTEGERS, list(range(LANES))))
        return builder.select(here, everywhere(arguments[1], _VECTOR), _constant(0.0))

    return _vector(types.intp, types.float32), make


@intrinsic  # type: ignore[untyped-decorator]
def load(_typing: Any, array: Any, _place: Any) -> Any:
    """Return the lanes of *array* from *place* on."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments), align=4)

    return _vector(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def pointer(_typing: Any, _address: Any) -> Any:
    """Return the address, an integer, as a pointer."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def store(_typing: Any, array: Any, _place: Any, _value: Any) -> Any:
    """Write the lanes of *value* into *array* from *place* on."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), make


@intrinsic  # type: ignore[untyped-decorator]
def splat(_typing: Any, _value: Any) -> Any:
    """Return *value* in every lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        empty = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(empty, arguments[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, empty, ir.Constant(_INTEGERS, [0] * LANES))

    return _vector(types.float32), make


@intrinsic  # type: ignore[untyped-decorator]
def spread(_typing: Any, array: Any, _place: Any) -> Any:
    """Return the number at *place* of *array* in every lane."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        empty = ir.Constant(_VECTOR, ir.Undefined)
        number = builder.load(builder.gep(values.data, [arguments[1]]))
        first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, empty, ir.Constant(_INTEGERS, [0] * LANES))

    return _vector(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def add(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return a + b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(arguments[0], arguments[1], flags=_LOOSE)

    return _vector(_vector, _vector), make


@intrinsic  # type: ignore[untyped-decorator]
def fma(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """Return a * b + c, fused where the processor can."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(builder.fmul(arguments[0], arguments[1], flags=_LOOSE), arguments[2], flags=_LOOSE)

    return _vector(_vector, _vector, _vector), make


@intrinsic  # type: ignore[untyped-decorator]
def divide(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return a / b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fdiv(arguments[0], arguments[1], flags=_LOOSE)

    return _vector(_vector, _vector), make


@intrinsic  # type: ignore[untyped-decorator]
def root(_typing: Any, _a: Any) -> Any:
    """Return the square root of lanes that are not negative; below 1e-30 it is 0.

    It is a times its reciprocal root, which needs no division on processors that estimate reciprocal roots.
    """

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        shifted = builder.fadd(arguments[0], _constant(1e-30), flags=_LOOSE)
        square_root = _call(builder, "llvm.sqrt.v16f32", _VECTOR, [shifted], _LOOSE)
        return builder.fmul(arguments[0], builder.fdiv(_constant(1.0), square_root, flags=_LOOSE), flags=_LOOSE)

    return _vector(_vector), make


@intrinsic  # type: ignore[untyped-decorator]
def gate(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return b, but 0 in the lanes in which a is not above 0; where a is NaN, b passes."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        closed = builder.fcmp_ordered("<=", arguments[0], _constant(0.0))
        return builder.select(closed, _constant(0.0), arguments[1])

    return _vector(_vector, _vector), make


@intrinsic  # type: ignore[untyped-decorator]
def total(_typing: Any, _a: Any) -> Any:
    """Return the sum of the lanes."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(ir.FloatType(), -0.0)
        return _call(builder, "llvm.vector.reduce.fadd.v16f32", ir.FloatType(), [zero, arguments[0]], _LOOSE)

    return types.float32(_vector), make


@intrinsic  # type: ignore[untyped-decorator]
def totals(_typing: Any, _vectors: Any, bias: Any, _b: Any, y: Any, _first: Any, _second: Any) -> Any:
    """Write the sums of eight vectors' lanes, four plus *bias* from *b* on to ``y[first:]``, four to ``y[second:]``.

    Neighbours are folded into one vector, three times, which takes a quarter of the shuffles of eight sums.
    """
    half = ir.VectorType(ir.FloatType(), 4)

    def fold(builder: Any, a: Any, b: Any, run: int) -> Any:
        low, high = (
            builder.shuffle_vector(a, b, ir.Constant(_INTEGERS, [i for i in range(2 * LANES) if i // run % 2 == odd]))
            for odd in (0, 1)
        )
        return builder.fadd(low, high, flags=_LOOSE)

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def four(array: int, place: Any) -> Any:
            values = context.make_array(signature.args[array])(context, builder, arguments[array])
            return builder.bitcast(builder.gep(values.data, [place]), half.as_pointer())

        sums = [builder.extract_value(arguments[0], i) for i in range(8)]
        for run in (8, 4, 2):
            sums = [fold(builder, a, b, run) for a, b in zip(sums[::2], sums[1::2], strict=True)]
        found = fold(builder, sums[0], sums[0], 1)
        added = builder.load(four(1, arguments[2]), align=4)
        for row, place in enumerate(arguments[4:]):
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), 4), list(range(4 * row, 4 * row + 4)))
            part = builder.shuffle_vector(found, found, lanes)
            builder.store(builder.fadd(part, added, flags=_LOOSE), four(3, place), align=4)
        return context.get_dummy_value()

    return types.void(types.UniTuple(_vector, 8), bias, types.intp, y, types.intp, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def largest(_typing: Any, _a: Any) -> Any:
    """Return the largest lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _call(builder, "llvm.vector.reduce.fmax.v16f32", ir.FloatType(), [arguments[0]])

    return types.float32(_vector), make


@intrinsic  # type: ignore[untyped-decorator]
def exponential(_typing: Any, _a: Any) -> Any:
    """Return e to the power of lanes that are at most 0, to a relative 1e-7; below -87 it is 0, of NaN it is NaN.

    Cephes' expf: the power of two is split off, a polynomial of the remainder in [-ln 2 / 2, ln 2 / 2] is left.
    """

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        def times_plus(a: Any, b: Any, c: Any) -> Any:
            return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

        low = builder.fcmp_ordered("<", arguments[0], _constant(_LOWEST))
        power = builder.select(low, _constant(_LOWEST), arguments[0])
        whole = _call(builder, "llvm.rint.v16f32", _VECTOR, [builder.fmul(power, _constant(_LOG2_E))])
        rest = times_plus(whole, _constant(-_LN2_LOW), times_plus(whole, _constant(-_LN2_HIGH), power))
        found = _constant(_EXP[0])
        for coefficient in _EXP[1:]:
            found = times_plus(found, rest, _constant(coefficient))
        exponent = builder.add(builder.fptosi(whole, _INTEGERS), ir.Constant(_INTEGERS, [127] * LANES))
        scale = builder.bitcast(builder.shl(exponent, ir.Constant(_INTEGERS, [23] * LANES)), _VECTOR)
        return builder.select(low, _constant(0.0), builder.fmul(found, scale))

    return _vector(_vector), make

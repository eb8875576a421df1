"""Sixteen float32 numbers as one value inside compiled code, whatever the processor's registers are."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from headway.coreml.fleet.lanes import INTEGERS, LANES, LOOSE, VECTOR, call, everywhere, place_of, vector

__all__ = [
    "add",
    "divide",
    "exponential",
    "fma",
    "gate",
    "lane",
    "load",
    "pointer",
    "prefetch",
    "root",
    "splat",
    "spread",
    "store",
    "subtract",
]

_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4
_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1.0, 1.0)
_LOWEST = -87.0
"""Below this the exponential of a float32 is no normal number."""


def _constant(value: float) -> Any:
    return ir.Constant(VECTOR, [value] * LANES)


@intrinsic  # type: ignore[untyped-decorator]
def lane(_typing: Any, _place: Any, _value: Any) -> Any:
    """Return *value* in the lane *place* and 0 in all others; in all where *place* is no lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = everywhere(builder, builder.trunc(arguments[0], ir.IntType(32)), INTEGERS)
        here = builder.icmp_signed("==", place, ir.Constant(INTEGERS, list(range(LANES))))
        return builder.select(here, everywhere(builder, arguments[1]), _constant(0.0))

    return vector(types.intp, types.float32), make


@intrinsic  # type: ignore[untyped-decorator]
def load(_typing: Any, array: Any, _place: Any) -> Any:
    """Return the lanes of *array* from *place* on."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(place_of(context, builder, signature.args[0], *arguments), align=4)

    return vector(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def pointer(_typing: Any, _address: Any) -> Any:
    """Return the address, an integer, as a pointer."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_typing: Any, array: Any, _place: Any) -> Any:
    """Ask for the cache line of *array* at *place*, which will be read soon."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8), ir.IntType(32)
        at = place_of(context, builder, signature.args[0], arguments[0], arguments[1], byte)
        read, second_level, data = (ir.Constant(number, value) for value in (0, 2, 1))
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [at, read, second_level, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def store(_typing: Any, array: Any, _place: Any, _value: Any) -> Any:
    """Write the lanes of *value* into *array* from *place* on."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], place_of(context, builder, signature.args[0], *arguments[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), make


@intrinsic  # type: ignore[untyped-decorator]
def splat(_typing: Any, _value: Any) -> Any:
    """Return *value* in every lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return everywhere(builder, arguments[0])

    return vector(types.float32), make


@intrinsic  # type: ignore[untyped-decorator]
def spread(_typing: Any, array: Any, _place: Any) -> Any:
    """Return the number at *place* of *array* in every lane."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = place_of(context, builder, signature.args[0], arguments[0], arguments[1], ir.FloatType())
        return everywhere(builder, builder.load(at))

    return vector(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def add(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return a + b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(arguments[0], arguments[1], flags=LOOSE)

    return vector(vector, vector), make


@intrinsic  # type: ignore[untyped-decorator]
def fma(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """Return a * b + c, fused where the processor can."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(builder.fmul(arguments[0], arguments[1], flags=LOOSE), arguments[2], flags=LOOSE)

    return vector(vector, vector, vector), make


@intrinsic  # type: ignore[untyped-decorator]
def subtract(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return a - b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fsub(arguments[0], arguments[1], flags=LOOSE)

    return vector(vector, vector), make


@intrinsic  # type: ignore[untyped-decorator]
def divide(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return a / b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fdiv(arguments[0], arguments[1], flags=LOOSE)

    return vector(vector, vector), make


@intrinsic  # type: ignore[untyped-decorator]
def root(_typing: Any, _a: Any) -> Any:
    """Return the square root of lanes that are not negative; below 1e-30 it is 0.

    It is a times its reciprocal root, which needs no division on processors that estimate reciprocal roots.
    """

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        shifted = builder.fadd(arguments[0], _constant(1e-30), flags=LOOSE)
        square_root = call(builder, "llvm.sqrt.v16f32", VECTOR, [shifted], LOOSE)
        return builder.fmul(arguments[0], builder.fdiv(_constant(1.0), square_root, flags=LOOSE), flags=LOOSE)

    return vector(vector), make


@intrinsic  # type: ignore[untyped-decorator]
def gate(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return b, but 0 in the lanes in which a is not above 0; where a is NaN, b passes."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        closed = builder.fcmp_ordered("<=", arguments[0], _constant(0.0))
        return builder.select(closed, _constant(0.0), arguments[1])

    return vector(vector, vector), make


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
        whole = call(builder, "llvm.rint.v16f32", VECTOR, [builder.fmul(power, _constant(_LOG2_E))])
        rest = times_plus(whole, _constant(-_LN2_LOW), times_plus(whole, _constant(-_LN2_HIGH), power))
        found = _constant(_EXP[0])
        for coefficient in _EXP[1:]:
            found = times_plus(found, rest, _constant(coefficient))
        exponent = builder.add(builder.fptosi(whole, INTEGERS), ir.Constant(INTEGERS, [127] * LANES))
        scale = builder.bitcast(builder.shl(exponent, ir.Constant(INTEGERS, [23] * LANES)), VECTOR)
        return builder.select(low, _constant(0.0), builder.fmul(found, scale))

    return vector(vector), make

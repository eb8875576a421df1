"""Sixteen numbers as one value inside compiled code, whatever the processor's registers are; see :mod:`lanes`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from headway.coreml.fleet.lanes import INTEGERS, LANES, LOOSE, call, constant, everywhere, place_of, vector_of

__all__ = [
    "absolute",
    "add",
    "cast",
    "choose",
    "divide",
    "exponential",
    "fma",
    "gate",
    "is_double",
    "lane",
    "lanes",
    "load",
    "pointer",
    "prefetch",
    "splat",
    "spread",
    "store",
    "subtract",
]

_LOG2_E = 1.4426950408889634


class _Exponential(NamedTuple):
    """How the exponential of one type of numbers is computed.

    Below *lowest* it is no normal number; ln 2 is *high*, in so few digits that a multiple of it is exact, and *low*;
    *terms* is the polynomial of what remains, the highest power first; *bias* and *shift* make a power of two.
    """

    lowest: float
    high: float
    low: float
    terms: tuple[float, ...]
    bias: int
    shift: int


_CEPHES = (
    *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    *(1.0, 1.0),
)
_TAYLOR = tuple(1 / math.factorial(n) for n in range(13, -1, -1))
_EXPONENTIALS = {
    32: _Exponential(-87.0, 0.693359375, -2.12194440e-4, _CEPHES, 127, 23),
    64: _Exponential(-708.0, 0.6931471803691238, 1.9082149292705877e-10, _TAYLOR, 1023, 52),
}
"""By bits: Cephes' coefficients for float32, for float64 Taylor's: what is left out is below 1e-17."""


@intrinsic  # type: ignore[untyped-decorator]
def lane(_typing: Any, array: Any, _place: Any, value: Any) -> Any:
    """As :func:`splat`, but with *value* only in the lane *place*, if it is one, and 0 in all others."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = everywhere(builder, builder.trunc(arguments[1], ir.IntType(32)))
        here = builder.icmp_signed("==", place, ir.Constant(INTEGERS, list(range(LANES))))
        number = context.cast(builder, arguments[2], value, array.dtype)
        return builder.select(here, everywhere(builder, number), constant(kind, 0.0))

    kind = vector_of(array)
    return kind(array, types.intp, value), make


@intrinsic  # type: ignore[untyped-decorator]
def lanes(_typing: Any, array: Any) -> Any:
    """Return the number of each lane, from 0 on, in numbers of the type that *array* has."""

    def make(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return ir.Constant(kind.lanes, [float(place) for place in range(LANES)])

    kind = vector_of(array)
    return kind(array), make


@intrinsic  # type: ignore[untyped-decorator]
def absolute(_typing: Any, a: Any) -> Any:
    """Return |a|."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return call(builder, f"llvm.fabs.{a.suffix}", a.lanes, arguments)

    return a(a), make


@intrinsic  # type: ignore[untyped-decorator]
def choose(_typing: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Return c in the lanes in which a is above b, and d in all others."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments[:2]), *arguments[2:])

    return c(a, b, c, d), make


@intrinsic  # type: ignore[untyped-decorator]
def load(_typing: Any, array: Any, _place: Any) -> Any:
    """Return the lanes of *array* from *place* on."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(place_of(context, builder, array, *arguments), align=kind.bits // 8)

    kind = vector_of(array)
    return kind(array, types.intp), make


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

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], place_of(context, builder, array, *arguments[:2]), align=kind.bits // 8)
        return context.get_dummy_value()

    kind = vector_of(array)
    return types.void(array, types.intp, kind), make


@intrinsic  # type: ignore[untyped-decorator]
def splat(_typing: Any, array: Any, value: Any) -> Any:
    """Return *value* in every lane, as numbers of the type that *array* has."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return everywhere(builder, context.cast(builder, arguments[1], value, array.dtype))

    return vector_of(array)(array, value), make


@intrinsic  # type: ignore[untyped-decorator]
def cast(_typing: Any, array: Any, values: Any) -> Any:
    """Return the lanes of *values* as numbers of the type that *array* has."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if kind == values:
            return arguments[1]
        return (builder.fptrunc if kind.bits < values.bits else builder.fpext)(arguments[1], kind.lanes)

    kind = vector_of(array)
    return kind(array, values), make


@intrinsic  # type: ignore[untyped-decorator]
def is_double(_typing: Any, array: Any) -> Any:
    """Return whether *array* is float64, which is known when code is compiled."""

    def make(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return ir.Constant(ir.IntType(1), array.dtype == types.float64)

    return types.boolean(array), make


@intrinsic  # type: ignore[untyped-decorator]
def spread(_typing: Any, array: Any, _place: Any) -> Any:
    """Return the number at *place* of *array* in every lane."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return everywhere(
            builder, builder.load(place_of(context, builder, array, arguments[0], arguments[1], kind.element))
        )

    kind = vector_of(array)
    return kind(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def add(_typing: Any, a: Any, b: Any) -> Any:
    """Return a + b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(arguments[0], arguments[1], flags=LOOSE)

    return a(a, b), make


@intrinsic  # type: ignore[untyped-decorator]
def fma(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, fused where the processor can."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(builder.fmul(arguments[0], arguments[1], flags=LOOSE), arguments[2], flags=LOOSE)

    return a(a, b, c), make


@intrinsic  # type: ignore[untyped-decorator]
def subtract(_typing: Any, a: Any, b: Any) -> Any:
    """Return a - b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fsub(arguments[0], arguments[1], flags=LOOSE)

    return a(a, b), make


@intrinsic  # type: ignore[untyped-decorator]
def divide(_typing: Any, a: Any, b: Any) -> Any:
    """Return a / b."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fdiv(arguments[0], arguments[1], flags=LOOSE)

    return a(a, b), make


@intrinsic  # type: ignore[untyped-decorator]
def gate(_typing: Any, a: Any, b: Any) -> Any:
    """Return b, but 0 in the lanes in which a is not above 0; where a is NaN, b passes."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        closed = builder.fcmp_ordered("<=", arguments[0], constant(a, 0.0))
        return builder.select(closed, constant(a, 0.0), arguments[1])

    return a(a, b), make


@intrinsic  # type: ignore[untyped-decorator]
def exponential(_typing: Any, a: Any) -> Any:
    """Return e to the power of lanes that are at most 0, to a relative 1e-7, of float64 1e-15; of NaN it is NaN.

    As Cephes' expf: the power of two is split off, a polynomial of the remainder in [-ln 2 / 2, ln 2 / 2] is left.
    Where the result would be no normal number it is 0.
    """

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        def times_plus(a: Any, b: Any, c: Any) -> Any:
            return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

        low = builder.fcmp_ordered("<", arguments[0], constant(a, way.lowest))
        power = builder.select(low, constant(a, way.lowest), arguments[0])
        whole = call(builder, f"llvm.rint.{a.suffix}", a.lanes, [builder.fmul(power, constant(a, _LOG2_E))])
        rest = times_plus(whole, constant(a, -way.low), times_plus(whole, constant(a, -way.high), power))
        found = constant(a, way.terms[0])
        for coefficient in way.terms[1:]:
            found = times_plus(found, rest, constant(a, coefficient))
        exponent = builder.add(builder.fptosi(whole, integers), ir.Constant(integers, [way.bias] * LANES))
        scale = builder.bitcast(builder.shl(exponent, ir.Constant(integers, [way.shift] * LANES)), a.lanes)
        return builder.select(low, constant(a, 0.0), builder.fmul(found, scale))

    way, integers = _EXPONENTIALS[a.bits], ir.VectorType(ir.IntType(a.bits), LANES)
    return a(a), make

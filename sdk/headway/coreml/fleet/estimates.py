"""Roots and quotients by estimate and refinement, for the steps of Adam: dividing would take longer than all products.

In float32 LLVM does so itself where it may.  In float64 it does not: here a first estimate comes from the number's
bits, whose upper part is nearly its logarithm, and two rounds, each of which cubes the error, leave a relative 1e-11.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from headway.coreml.fleet.lanes import LANES, LOOSE, Vector, call, constant

__all__ = ["quotient", "root"]

_LONGS = ir.VectorType(ir.IntType(64), LANES)
_RECIPROCAL, _RECIPROCAL_ROOT = 0x7FDE623822FC16E6, 0x5FE6EB50C7B537A9
"""Less its bits, or half of them: the estimate of 1 / x, within 13 %, and of 1 / √x, within 4 %."""


class _Sums:
    """Sums and products of vectors of one kind, fused where the processor can."""

    def __init__(self, builder: Any, kind: Vector) -> None:
        self._builder, self._kind = builder, kind

    def times(self, a: Any, b: Any) -> Any:
        """Return a * b."""
        return self._builder.fmul(a, b, flags=LOOSE)

    def plus(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c."""
        return self._builder.fadd(self._builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))

    def lacks(self, a: Any, b: Any) -> Any:
        """Return 1 - a * b."""
        less = self._builder.fmul(a, b, flags=("contract",))
        return self._builder.fsub(constant(self._kind, 1.0), less, flags=("contract",))

    def estimate(self, magic: int, a: Any, shift: int) -> Any:
        """Return the number whose bits are *magic* less those of a, shifted."""
        bits = self._builder.lshr(self._builder.bitcast(a, _LONGS), ir.Constant(_LONGS, [shift] * LANES))
        return self._builder.bitcast(self._builder.sub(ir.Constant(_LONGS, [magic] * LANES), bits), self._kind.lanes)


@intrinsic  # type: ignore[untyped-decorator]
def root(_typing: Any, a: Any) -> Any:
    """Return the square root of lanes that are not negative; in float32 below 1e-30 it is 0.

    It is a times its reciprocal root.
    """

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number = arguments[0]
        if a.bits == 32:
            shifted = builder.fadd(number, constant(a, 1e-30), flags=LOOSE)
            whole = call(builder, f"llvm.sqrt.{a.suffix}", a.lanes, [shifted], LOOSE)
            return builder.fmul(number, builder.fdiv(constant(a, 1.0), whole, flags=LOOSE), flags=LOOSE)
        sums = _Sums(builder, a)
        found = sums.estimate(_RECIPROCAL_ROOT, number, 1)
        for _ in range(2):
            error = sums.lacks(sums.times(number, found), found)
            part = sums.plus(constant(a, 0.375), error, constant(a, 0.5))
            found = sums.plus(sums.times(found, error), part, found)
        return sums.times(number, found)

    return a(a), make


@intrinsic  # type: ignore[untyped-decorator]
def quotient(_typing: Any, a: Any, b: Any) -> Any:
    """Return a / b, where b is above 0; where it is 0, what comes is not finite."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if a.bits == 32:
            return builder.fdiv(arguments[0], arguments[1], flags=LOOSE)
        sums = _Sums(builder, a)
        found = sums.estimate(_RECIPROCAL, arguments[1], 0)
        for _ in range(2):
            error = sums.lacks(arguments[1], found)
            found = sums.plus(found, sums.plus(error, error, error), found)
        return sums.times(arguments[0], found)

    return a(a, b), make

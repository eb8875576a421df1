"""Sums and maxima of the lanes of vectors, of many vectors at once; see :mod:`vectors`.

Neighbours are folded into one vector again and again, which takes far fewer steps than reducing one after the other.
What four vectors give lies in the four *quarters* of one: four lanes each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from headway.coreml.fleet.lanes import LANES, LOOSE, Vector, call, packed, parts_of, place_of, vector_of

__all__ = ["apart", "deliver", "joined", "largest", "largest4", "repeat", "total", "total4", "totals", "turned"]

Fold = Callable[[Any, Any, Any], Any]


def _quarter(kind: Vector) -> Any:
    return ir.VectorType(kind.element, 4)


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _sum(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b, flags=LOOSE)


def _maximum(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _fold(builder: Any, a: Any, b: Any, run: int, fold: Fold) -> Any:
    """Fold runs of *run* lanes of both onto their neighbours: half as many lanes of each, *a*'s first."""
    low, high = (
        _shuffle(builder, a, b, [lane for lane in range(2 * LANES) if lane // run % 2 == odd]) for odd in (0, 1)
    )
    return fold(builder, low, high)


def _quarters(builder: Any, vectors: Any, fold: Fold) -> Any:
    """Reduce each of four vectors to one quarter, every lane of which holds the result."""
    a, b, c, d = parts_of(builder, vectors)
    found = _fold(builder, _fold(builder, a, b, 8, fold), _fold(builder, c, d, 8, fold), 4, fold)
    for distance in (2, 1):
        found = fold(builder, found, _shuffle(builder, found, found, [lane ^ distance for lane in range(LANES)]))
    return found


@intrinsic  # type: ignore[untyped-decorator]
def total4(_typing: Any, vectors: Any) -> Any:
    """Return the sums of four vectors' lanes, in quarters."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _quarters(builder, arguments[0], _sum)

    return vectors.dtype(vectors), make


@intrinsic  # type: ignore[untyped-decorator]
def largest4(_typing: Any, vectors: Any) -> Any:
    """Return the largest lanes of four vectors, in quarters; NaN where there is one, or any lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _quarters(builder, arguments[0], _maximum)

    return vectors.dtype(vectors), make


@intrinsic  # type: ignore[untyped-decorator]
def apart(_typing: Any, quarters: Any) -> Any:
    """Return four vectors: the first lane of each quarter in all lanes."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes = ([4 * quarter] * LANES for quarter in range(4))
        return packed(builder, [_shuffle(builder, arguments[0], arguments[0], same) for same in lanes])

    return types.UniTuple(quarters, 4)(quarters), make


@intrinsic  # type: ignore[untyped-decorator]
def totals(_typing: Any, fours: Any) -> Any:
    """Return the sums of the lanes of two or four times four vectors, in their order; eight come twice."""

    def make(_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        groups = parts_of(builder, arguments[0], signature.args[0].count)
        sums = [part for group in groups for part in parts_of(builder, group)]
        run = LANES // 2
        while run:
            pairs = zip(sums[::2], sums[1::2], strict=True) if len(sums) > 1 else [(sums[0], sums[0])]
            sums = [_fold(builder, a, b, run, _sum) for a, b in pairs]
            run //= 2
        return sums[0]

    return fours.dtype.dtype(fours), make


@intrinsic  # type: ignore[untyped-decorator]
def turned(_typing: Any, a: Any) -> Any:
    """Return the vector as a four by four matrix on its other side."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _shuffle(builder, arguments[0], arguments[0], [lane % 4 * 4 + lane // 4 for lane in range(LANES)])

    return a(a), make


@intrinsic  # type: ignore[untyped-decorator]
def joined(_typing: Any, a: Any, b: Any) -> Any:
    """Return the first two quarters of each."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _shuffle(builder, arguments[0], arguments[1], [*range(LANES // 2), *range(LANES, LANES + LANES // 2)])

    return a(a, b), make


@intrinsic  # type: ignore[untyped-decorator]
def repeat(_typing: Any, array: Any, _place: Any) -> Any:
    """Return four numbers of *array* from *place* on, in every quarter."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        part = builder.load(
            place_of(context, builder, array, arguments[0], arguments[1], _quarter(kind)), align=kind.bits // 8
        )
        return _shuffle(builder, part, part, [lane % 4 for lane in range(LANES)])

    kind = vector_of(array)
    return kind(array, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def deliver(_typing: Any, array: Any, places: Any, _quarters: Any) -> Any:
    """Write the quarters of a vector into *array*, from each of the *places* on."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        for quarter in range(places.count):
            part = _shuffle(builder, arguments[2], arguments[2], list(range(4 * quarter, 4 * quarter + 4)))
            place = builder.extract_value(arguments[1], quarter)
            at = place_of(context, builder, array, arguments[0], place, _quarter(kind))
            builder.store(part, at, align=kind.bits // 8)
        return context.get_dummy_value()

    kind = vector_of(array)
    return types.void(array, places, kind), make


@intrinsic  # type: ignore[untyped-decorator]
def total(_typing: Any, a: Any) -> Any:
    """Return the sum of the lanes."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(a.element, -0.0)
        return call(builder, f"llvm.vector.reduce.fadd.{a.suffix}", a.element, [zero, arguments[0]], LOOSE)

    return a.number(a), make


@intrinsic  # type: ignore[untyped-decorator]
def largest(_typing: Any, a: Any) -> Any:
    """Return the largest lane."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return call(builder, f"llvm.vector.reduce.fmax.{a.suffix}", a.element, [arguments[0]])

    return a.number(a), make

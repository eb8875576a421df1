"""Four vectors as one value: a side of a block of a product, that stays in registers; see :mod:`vectors`.

Loops over four named vectors would be four times as long to read; these compile to the same instructions.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from headway.coreml.fleet.lanes import LOOSE, Vector, constant, everywhere, packed, parts_of, place_of, vector_of

__all__ = ["add4", "cast4", "fma4", "load4", "spread4", "store4", "zero4"]


def _four(kind: Vector) -> Any:
    return types.UniTuple(kind, 4)


@intrinsic  # type: ignore[untyped-decorator]
def zero4(_typing: Any, array: Any) -> Any:
    """Return four vectors of zeros, of the type that *array* has."""

    def make(_context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        return packed(builder, [constant(kind, 0.0)] * 4)

    kind = vector_of(array)
    return _four(kind)(array), make


@intrinsic  # type: ignore[untyped-decorator]
def load4(_typing: Any, array: Any, _place: Any, _step: Any) -> Any:
    """Return the vectors of *array* at *place* and at one, two and three *steps* from it."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        parts, place = [], arguments[1]
        for _ in range(4):
            parts.append(builder.load(place_of(context, builder, array, arguments[0], place), align=kind.bits // 8))
            place = builder.add(place, arguments[2])
        return packed(builder, parts)

    kind = vector_of(array)
    return _four(kind)(array, types.intp, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def store4(_typing: Any, array: Any, _place: Any, _step: Any, _values: Any) -> Any:
    """Write four vectors into *array*, at *place* and at one, two and three *steps* from it."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = arguments[1]
        for part in parts_of(builder, arguments[3]):
            builder.store(part, place_of(context, builder, array, arguments[0], place), align=kind.bits // 8)
            place = builder.add(place, arguments[2])
        return context.get_dummy_value()

    kind = vector_of(array)
    return types.void(array, types.intp, types.intp, _four(kind)), make


@intrinsic  # type: ignore[untyped-decorator]
def spread4(_typing: Any, array: Any, _place: Any, _step: Any) -> Any:
    """As :func:`load4`, for single numbers of *array*, each of which is spread over a vector."""

    def make(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        parts, place = [], arguments[1]
        for _ in range(4):
            at = place_of(context, builder, array, arguments[0], place, kind.element)
            parts.append(everywhere(builder, builder.load(at)))
            place = builder.add(place, arguments[2])
        return packed(builder, parts)

    kind = vector_of(array)
    return _four(kind)(array, types.intp, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def add4(_typing: Any, a: Any, b: Any) -> Any:
    """Return a + b, vector by vector."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pairs = zip(parts_of(builder, arguments[0]), parts_of(builder, arguments[1]), strict=True)
        return packed(builder, [builder.fadd(one, other, flags=LOOSE) for one, other in pairs])

    return a(a, b), make


@intrinsic  # type: ignore[untyped-decorator]
def fma4(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c of one vector *a* and four each of *b* and *c*, fused where the processor can."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pairs = zip(parts_of(builder, arguments[1]), parts_of(builder, arguments[2]), strict=True)
        made = [builder.fadd(builder.fmul(arguments[0], x, flags=LOOSE), y, flags=LOOSE) for x, y in pairs]
        return packed(builder, made)

    return c(a, b, c), make


@intrinsic  # type: ignore[untyped-decorator]
def cast4(_typing: Any, array: Any, values: Any) -> Any:
    """Return four vectors as numbers of the type that *array* has."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        if kind == values.dtype:
            return arguments[1]
        change = builder.fptrunc if kind.bits < values.dtype.bits else builder.fpext
        return packed(builder, [change(part, kind.lanes) for part in parts_of(builder, arguments[1])])

    kind = vector_of(array)
    return _four(kind)(array, values), make

"""Four vectors as one value: a side of a block of a product, that stays in registers; see :mod:`vectors`.

Loops over four named vectors would be four times as long to read; these compile to the same instructions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from headway.coreml.fleet.lanes import LOOSE, VECTOR, everywhere, packed, parts_of, place_of, vector

__all__ = ["add4", "fma4", "load4", "spread4", "store4", "zero4"]

_four = types.UniTuple(vector, 4)


@intrinsic  # type: ignore[untyped-decorator]
def zero4(_typing: Any) -> Any:
    """Return four vectors of zeros."""

    def make(_context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        return packed(builder, [ir.Constant(VECTOR, [0.0] * VECTOR.count)] * 4)

    return _four(), make


@intrinsic  # type: ignore[untyped-decorator]
def load4(_typing: Any, array: Any, _place: Any, _step: Any) -> Any:
    """Return the vectors of *array* at *place* and at one, two and three *steps* from it."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts, place = [], arguments[1]
        for _ in range(4):
            parts.append(builder.load(place_of(context, builder, signature.args[0], arguments[0], place), align=4))
            place = builder.add(place, arguments[2])
        return packed(builder, parts)

    return _four(array, types.intp, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def store4(_typing: Any, array: Any, _place: Any, _step: Any, _values: Any) -> Any:
    """Write four vectors into *array*, at *place* and at one, two and three *steps* from it."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = arguments[1]
        for part in parts_of(builder, arguments[3]):
            builder.store(part, place_of(context, builder, signature.args[0], arguments[0], place), align=4)
            place = builder.add(place, arguments[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, _four), make


@intrinsic  # type: ignore[untyped-decorator]
def spread4(_typing: Any, array: Any, _place: Any, _step: Any) -> Any:
    """As :func:`load4`, for single numbers of *array*, each of which is spread over a vector."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts, place = [], arguments[1]
        for _ in range(4):
            at = place_of(context, builder, signature.args[0], arguments[0], place, ir.FloatType())
            parts.append(everywhere(builder, builder.load(at)))
            place = builder.add(place, arguments[2])
        return packed(builder, parts)

    return _four(array, types.intp, types.intp), make


@intrinsic  # type: ignore[untyped-decorator]
def add4(_typing: Any, _a: Any, _b: Any) -> Any:
    """Return a + b, vector by vector."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pairs = zip(parts_of(builder, arguments[0]), parts_of(builder, arguments[1]), strict=True)
        return packed(builder, [builder.fadd(a, b, flags=LOOSE) for a, b in pairs])

    return _four(_four, _four), make


@intrinsic  # type: ignore[untyped-decorator]
def fma4(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """Return a * b + c of one vector *a* and four each of *b* and *c*, fused where the processor can."""

    def make(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pairs = zip(parts_of(builder, arguments[1]), parts_of(builder, arguments[2]), strict=True)
        made = [builder.fadd(builder.fmul(arguments[0], b, flags=LOOSE), c, flags=LOOSE) for b, c in pairs]
        return packed(builder, made)

    return _four(vector, _four, _four), make

"""Emitters, one file per family of operations; :data:`EMITTERS` and :data:`FOLDERS` map MIL names to them."""

from __future__ import annotations

from headway.coreml.mlprogram.call import Emit
from headway.coreml.mlprogram.ops import (
    activation,
    attention,
    classify,
    constexpr,
    conv,
    elementwise,
    gather,
    linear,
    normalise,
    pool,
    quantise,
    reduce,
    shape,
    slicing,
)
from headway.coreml.mlprogram.ops.constexpr import Fold

__all__ = ["EMITTERS", "FOLDERS"]

EMITTERS: dict[str, Emit] = {
    **activation.TABLE,
    **attention.TABLE,
    **classify.TABLE,
    **conv.TABLE,
    **elementwise.TABLE,
    **gather.TABLE,
    **linear.TABLE,
    **normalise.TABLE,
    **pool.TABLE,
    **quantise.TABLE,
    **reduce.TABLE,
    **shape.TABLE,
    **slicing.TABLE,
}
"""MIL operation → function that emits it."""

FOLDERS: dict[str, Fold] = constexpr.TABLE
"""MIL ``constexpr_*`` operation → function that turns it into constants."""

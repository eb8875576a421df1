"""Whether the base computes in float16, and what must be known before it may."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HalfConfig:
    """`rows` of each set's dev texts are measured by the step `half` (0: none).

    With `release` the base that is released computes in float16; the export refuses it unless every value on those
    rows is `margin` times below float16's largest.
    """

    rows: int = 0
    release: bool = False
    margin: float = 2.0

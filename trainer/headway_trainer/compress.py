"""Which matrix gets how many bits: 8 on the grid of training, 6 or 4 by a palette, or mixed by sensitivity.

Pure. A palette is made after training: only the 8-bit grid is what training saw. The mixed plan starts with 8 bits
everywhere and lowers, again and again, the matrix that does least harm per byte saved, until the budget is met; it
takes the harms of several matrices to add up, which the table of measured plans then judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Bits = Literal[8, 6, 4]
Plan = Literal["8", "6", "4", "mixed"]
LOWER: dict[Bits, Bits] = {8: 6, 6: 4}
"""What a matrix of so many bits may be lowered to."""


@dataclass(frozen=True, slots=True)
class CompressConfig:
    """Which plans the step `compress` measures (none: it does nothing), and which one is released.

    The mixed plan may take the share `mixed_share` of the bytes of 8 bits; sensitivity is measured on so many dev
    `rows` of each set, taken evenly.
    """

    plans: tuple[Plan, ...] = ()
    release: Plan = "8"
    mixed_share: float = 0.65
    rows: int = 128


@dataclass(frozen=True, slots=True)
class Matrix:
    """A weight matrix of the program: its name there, elements, rows (each with a scale at 8 bits)."""

    name: str
    elements: int
    rows: int

    def size(self, bits: Bits) -> int:
        """Bytes at so many bits: codes with a scale and a zero point a row, or indices with one table."""
        if bits == 8:
            return self.elements + 5 * self.rows
        return -(-self.elements * bits // 8) + (4 << bits)


Harm = Mapping[tuple[str, Bits], float]
"""How far the features move when one matrix alone has so many bits; 8 bits count as no harm."""


def bits_of(plan: Plan, matrices: Sequence[Matrix], harm: Harm, share: float) -> dict[str, Bits]:
    """Return the bits of every matrix under a plan; `harm` and `share` are for the mixed one."""
    if plan == "mixed":
        budget = share * sum(matrix.size(8) for matrix in matrices)
        return mixed(matrices, harm, budget)
    uniform: dict[Plan, Bits] = {"8": 8, "6": 6, "4": 4}
    return {matrix.name: uniform[plan] for matrix in matrices}


def mixed(matrices: Sequence[Matrix], harm: Harm, budget: float) -> dict[str, Bits]:
    """Return the bits of every matrix so that all fit `budget` bytes, or 4 for all if they cannot."""
    chosen: dict[str, Bits] = {matrix.name: 8 for matrix in matrices}
    size = sum(matrix.size(8) for matrix in matrices)
    while size > budget:
        steps = [(_price(matrix, chosen[matrix.name], harm), matrix) for matrix in matrices if chosen[matrix.name] > 4]
        if not steps:
            break
        _, best = min(steps, key=lambda step: (step[0], step[1].name))
        size -= best.size(chosen[best.name]) - best.size(LOWER[chosen[best.name]])
        chosen[best.name] = LOWER[chosen[best.name]]
    return chosen


def mean_bits(matrices: Sequence[Matrix], bits: Mapping[str, Bits]) -> float:
    """Return the bits of a weight on average, tables and scales not counted."""
    return sum(m.elements * bits[m.name] for m in matrices) / sum(m.elements for m in matrices)


def _price(matrix: Matrix, bits: Bits, harm: Harm) -> float:
    lower = LOWER[bits]
    added = harm[matrix.name, lower] - harm.get((matrix.name, bits), 0.0)
    return added / (matrix.size(bits) - matrix.size(lower))

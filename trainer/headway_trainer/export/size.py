"""How large a package will be, from the geometry alone: known before anything is trained.

An int8 matrix costs a byte an element and five a row (its scale and zero point), everything else four bytes an element.
What the program itself takes is counted per layer; the estimate was 0.2 % off on the bundled base.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from headway_trainer.learning import qat
from headway_trainer.models.student import Student, StudentConfig

_PROGRAM_BYTES, _LAYER_BYTES = 12_000, 20_000


@dataclass(frozen=True, slots=True)
class Weight:
    """Parameters of a student and the bytes of its int8 package."""

    parameters: int
    package_bytes: int


def estimated(config: StudentConfig, vocabulary: int, lexicon: tuple[int, int] = (0, 0)) -> Weight:
    """Count a student of this geometry over a vocabulary of so many tokens; allocates no weights.

    `lexicon` is the shape of the table beside it: buckets, labels.
    """
    with torch.device("meta"):
        backbone = Student(config, 2, vocabulary, 0).backbone
    matrices = {id(module.weight) for _, module in qat.quantised_modules(backbone)}
    size = _PROGRAM_BYTES + config.pooled_layer * _LAYER_BYTES
    carried = [parameter for name, parameter in backbone.named_parameters() if config.carries(name)]
    for parameter in carried:
        rounded = id(parameter) in matrices
        size += parameter.numel() + 5 * parameter.shape[0] if rounded else 4 * parameter.numel()
    buckets, labels = lexicon
    size += buckets * (labels + 5)
    return Weight(sum(parameter.numel() for parameter in carried) + buckets * labels, size)

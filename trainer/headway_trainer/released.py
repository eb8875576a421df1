"""The package that a run releases: with the 8 bits of training, or with fewer by palettes made afterwards.

Either way what was written is read back and compared bit for bit with what was asked for. A package with palettes does
not hold the weights that training ended with; so there is a student that holds what the package does, and parity means
that the package computes what that student computes. How far it went from training is told beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway_trainer.compress import bits_of, mean_bits
from headway_trainer.export.base import export_base
from headway_trainer.export.compressed import FloatProgram
from headway_trainer.models.lexicon import Lexicon
from headway_trainer.models.student import Student
from headway_trainer.run import Run
from headway_trainer.shorter import Write
from headway_trainer.steps.compress import harm_json, harm_of


@dataclass(frozen=True, slots=True)
class Package:
    """What is told of a package, how its program is written for shorter texts, who else holds its palettes."""

    facts: dict[str, Any]
    shorter: Write
    student: Student | None = None
    lexicon: Lexicon | None = None


def write_package(run: Run, student: Student, lexicon: Lexicon | None, to: Path) -> Package:
    """Write the package of a student with latent weights, that is after `qat.detach`, as the configuration has it.

    Raises `RefusedError` (`train.parity`) if it does not hold what was asked for.
    """
    config = run.config.compress
    if config.release == "8":
        made = export_base(student, to, lexicon, half=run.config.half.release)
        counts: dict[str, Any] = {"int8_matrices_equal_to_qat_in_every_bit": made.quantised}
        return Package(
            {"size_bytes": made.size_bytes, **counts, "operations": made.operations},
            lambda length, path: export_base(student, path, lexicon, length=length),
        )
    program = FloatProgram(student, lexicon)
    harm = harm_of(run, program, to.parent) if config.release == "mixed" else {}
    bits = bits_of(config.release, program.matrices, harm, config.mixed_share)
    made = program.export(bits, to)
    held = program.holding(bits)
    facts = {
        "size_bytes": made.size_bytes,
        "plan": config.release,
        "bits_per_weight": round(mean_bits(program.matrices, bits), 2),
        "matrices": {str(width): count for width, count in sorted(Counter(bits.values()).items())},
        "int8_matrices_equal_to_qat_in_every_bit": made.quantised,
        "palettes_equal_in_every_bit": len(bits) - made.quantised,
        "operations": made.operations,
        **({"harm": harm_json(harm)} if harm else {}),
    }
    return Package(facts, lambda length, path: program.shorter(length).export(bits, path), *held)

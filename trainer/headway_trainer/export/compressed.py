"""Exporting one student at other widths than 8 bits, and trying a width on one matrix at a time.

The float32 program is converted once; each plan compresses a copy of it. What was written is read back and compared
with what was asked for, bit for bit, as in `export.base`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import torch
from coremltools.converters.mil.frontend.milproto.load import load as load_program
from numpy.typing import NDArray

from headway.coreml.package import Package
from headway_trainer.compress import Bits, Matrix
from headway_trainer.export.base import (
    MATRIX_USERS,
    ExportedBase,
    converted,
    dequantised,
    large_constants,
    matrices,
    mismatch,
    operations,
    quantised,
)
from headway_trainer.export.palette import Palette, palette
from headway_trainer.learning import qat
from headway_trainer.models.lexicon import Lexicon
from headway_trainer.models.student import Student

Float32 = NDArray[np.float32]


class FloatProgram:
    """A student's program before compression, with its weight matrices by name (float32, latent)."""

    def __init__(self, student: Student, lexicon: Lexicon | None = None, length: int | None = None) -> None:
        """Convert a student with latent weights, that is after `qat.detach`, and the lexicon it carries.

        The program reads `length` tokens, the student's own length unless told.
        """
        self._student, self._lexicon = student, lexicon
        self._package = converted(student.eval(), lexicon, length=length)
        self._palettes: dict[tuple[str, int], Palette] = {}
        users = large_constants(self._package)
        held = cto.get_weights_metadata(self._package, weight_threshold=qat.SMALLEST_QUANTISED)
        self.weights: dict[str, Float32] = {
            name: np.asarray(entry.val, dtype=np.float32)
            for name, entry in held.items()
            # Its metadata begin at the threshold itself, its compression above it.
            if not users[name].isdisjoint(MATRIX_USERS) and entry.val.size > qat.SMALLEST_QUANTISED
        }

    @property
    def matrices(self) -> list[Matrix]:
        """The matrices that may be compressed."""
        return [Matrix(name, int(value.size), int(value.shape[0])) for name, value in self.weights.items()]

    def shorter(self, length: int) -> FloatProgram:
        """Return the same weights, with the same palettes, in a program that reads `length` tokens."""
        found = FloatProgram(self._student, self._lexicon, length)
        found._palettes = self._palettes
        return found

    def save(self, to: Path) -> None:
        """Write the program with float32 weights."""
        self._package.save(str(to))

    def export(self, bits: Mapping[str, Bits], to: Path) -> ExportedBase:
        """Write the program with so many bits for each matrix.

        Raises `RefusedError` (`train.parity`) unless the package holds what was asked for in every bit.
        """
        settings = {
            name: cto.OpPalettizerConfig(mode="custom", lut_function=self._table(name, width), weight_threshold=0)
            for name, width in bits.items()
            if width < 8
        }
        package = self._package
        if settings:
            package = cto.palettize_weights(package, cto.OptimizationConfig(op_name_configs=settings))
        if len(settings) < len(bits):
            package = quantised(package)
        package.save(str(to))
        _check(to, {name: self.rounded(name, width) for name, width in bits.items()})
        size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
        return ExportedBase(size, sum(width == 8 for width in bits.values()), operations(package))

    def holding(self, bits: Mapping[str, Bits]) -> tuple[Student, Lexicon | None]:
        """Return copies of student and lexicon with the weights that a package of these bits gives back.

        Raises `RefusedError` (`train.parity`) if a matrix of the student is not in the program.
        """
        student, lexicon = copy.deepcopy((self._student, self._lexicon))
        left = dict(self.weights)
        for module_name, module in matrices(student, lexicon):
            own = module.weight.detach().numpy()
            name = next((name for name, value in left.items() if np.array_equal(value, own)), None)
            if name is None:
                raise mismatch(f"{module_name} is not in the program bit for bit")
            del left[name]
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(self.rounded(name, bits[name])))
        return student, lexicon

    def rounded(self, name: str, bits: Bits) -> Float32:
        """Return a matrix as so many bits give it back."""
        value = self.weights[name]
        if bits < 8:
            table, indices = self._palette(name, bits)
            return table[indices].reshape(value.shape)
        found: Float32 = qat.on_grid(torch.from_numpy(value)).numpy()
        return found

    def _palette(self, name: str, bits: int) -> Palette:
        if (name, bits) not in self._palettes:
            self._palettes[name, bits] = palette(self.weights[name], bits)
        return self._palettes[name, bits]

    def _table(self, name: str, bits: int) -> Callable[[Any], Palette]:
        return lambda _: self._palette(name, bits)


def with_matrix(package: Package, old: Float32, new: Float32) -> Package:
    """Return a float32 package, in memory, in which the matrix `old` is `new`: for trying, never for shipping."""
    name = next(name for name in package.contents if name.endswith(".bin"))
    held = package.contents[name]
    content = held if isinstance(held, bytes) else held.read_bytes()
    at = content.find(old.tobytes())
    assert at >= 0, "the matrix was read from this package"
    changed = content[:at] + new.tobytes() + content[at + new.nbytes :]
    return replace(package, contents={**package.contents, name: changed})


def _check(path: Path, expected: Mapping[str, Float32]) -> None:
    found = {**dequantised(path), **_looked_up(path)}
    if len(found) != len(expected):
        raise mismatch(f"{len(found)} weights are compressed in the package, {len(expected)} were asked for")
    left = sorted(value.tobytes() for value in found.values())
    if left != sorted(value.tobytes() for value in expected.values()):
        raise mismatch("a matrix is not in the package bit for bit")


def _looked_up(path: Path) -> dict[str, Float32]:
    model = ct.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    program = load_program(spec, specification_version=spec.specificationVersion, file_weights_dir=model.weights_dir)
    return {
        operation.outputs[0].name: np.asarray(operation.materialized_val_inference(), dtype=np.float32)
        for operation in program.functions["main"].operations
        if operation.op_type == "constexpr_lut_to_dense"
    }

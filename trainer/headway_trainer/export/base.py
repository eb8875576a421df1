"""Step `export-base`: the student's backbone as an ML Program with int8 weights, checked against QAT bit for bit.

The program takes `input_ids` and `attention_mask`, int32 [1, L], computes in float32 and gives one float32 vector
`features` of rank 1: a Core ML head accepts no other rank, and float32 because that is what a head trains on.
It runs nothing: predictions are `headway.coreml`'s, and on a device Core ML's.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
import torch
from coremltools.converters.mil.frontend.milproto.load import load as load_program
from torch import Tensor, nn

from headway.contract.errors import RefusedError
from headway_trainer.export.half import lexicon_for_half, student_for_half
from headway_trainer.learning import qat
from headway_trainer.models.lexicon import Lexicon
from headway_trainer.models.student import Student

INPUT_IDS, ATTENTION_MASK, FEATURES = "input_ids", "attention_mask", "features"


@dataclass(frozen=True, slots=True)
class ExportedBase:
    """What was written: bytes of the package, how many weight matrices it holds in int8, operations by type."""

    size_bytes: int
    quantised: int
    operations: dict[str, int]


class _Program(nn.Module):
    def __init__(self, student: Student, lexicon: Lexicon | None) -> None:
        super().__init__()
        self.student, self.lexicon = student, lexicon

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        features: Tensor = self.student(input_ids, attention_mask).features
        if self.lexicon is not None:
            features = torch.cat([features, self.lexicon(input_ids, attention_mask)], dim=-1)
        return features.reshape(features.shape[-1])


def export_base(
    student: Student, to: Path, lexicon: Lexicon | None = None, *, half: bool = False, length: int | None = None
) -> ExportedBase:
    """Write `to` (an `.mlpackage`) from a student with latent weights, that is after `qat.detach`.

    The values of a lexicon follow the student's features. With `half` the program computes in float16; its inputs and
    its output stay as they are. It reads `length` tokens, the student's own length unless told.

    Raises `RefusedError` (`train.parity`) unless every int8 weight of the package, dequantised, equals the QAT weight
    in all bits; in float16, where weights and scales are rounded first, to 3 % of its row's largest.
    """
    if half:
        student, lexicon = student_for_half(student), lexicon_for_half(lexicon) if lexicon else None
    package = quantised(converted(student.eval(), lexicon, half=half, length=length))
    package.save(str(to))
    found = dequantised(to)
    expected = {name: qat.on_grid(module.weight.detach()).numpy() for name, module in matrices(student, lexicon)}
    if half:
        _compare_half(found, expected)
    else:
        _compare(found, expected)
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    return ExportedBase(size, len(found), operations(package))


def matrices(student: Student, lexicon: Lexicon | None) -> list[tuple[str, Any]]:
    """Return the modules whose weight is compressed in the package, by name."""
    held = qat.quantised_modules(student.backbone)
    found: list[tuple[str, Any]] = [(name, module) for name, module in held if student.config.carries(name)]
    if lexicon is not None and lexicon.table.weight.numel() > qat.SMALLEST_QUANTISED:
        found.append(("lexicon", lexicon.table))
    return found


def converted(
    student: Student, lexicon: Lexicon | None = None, *, half: bool = False, length: int | None = None
) -> Any:
    """Return the program with float weights, computing in float32 or, with `half`, in float16."""
    length = length or student.config.max_length
    example = torch.zeros((1, length), dtype=torch.int32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        traced = trace(_Program(student, lexicon).eval(), (example, torch.ones_like(example)))
        return ct.convert(
            traced,
            convert_to="mlprogram",
            inputs=[
                ct.TensorType(name=INPUT_IDS, shape=(1, length), dtype=np.int32),
                ct.TensorType(name=ATTENTION_MASK, shape=(1, length), dtype=np.int32),
            ],
            outputs=[ct.TensorType(name=FEATURES, dtype=np.float32)],
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            minimum_deployment_target=ct.target.iOS15,
            skip_model_load=True,
        )


def quantised(package: Any) -> Any:
    """Return the package with every matrix that is not compressed yet in int8, one scale a row."""
    settings = cto.OpLinearQuantizerConfig(
        mode="linear_symmetric",
        dtype="int8",
        granularity="per_channel",
        weight_threshold=qat.SMALLEST_QUANTISED,
    )
    kept = {name: None for name, held in large_constants(package).items() if held.isdisjoint(MATRIX_USERS)}
    config = cto.OptimizationConfig(global_config=settings, op_name_configs=kept)
    return cto.linear_quantize_weights(package, config)


MATRIX_USERS = frozenset({"linear", "gather"})
"""The operations whose constants are matrices; others stay float32."""


def large_constants(package: Any) -> dict[str, set[str]]:
    """Return the large constants of a package by name, with the types of the operations that use them."""
    metadata = cto.get_weights_metadata(package, weight_threshold=qat.SMALLEST_QUANTISED)
    return {name: {child.op_type for child in held.child_ops} for name, held in metadata.items()}


def dequantised(package: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return every int8 weight of a package as Core ML would see it: `q · scale` in float32, by its name there."""
    model = ct.models.MLModel(str(package), skip_model_load=True)
    program = load_program(
        model.get_spec(),
        specification_version=model.get_spec().specificationVersion,
        file_weights_dir=model.weights_dir,
    )
    result: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for operation in program.functions["main"].operations:
        if operation.op_type == "constexpr_affine_dequantize":
            data = np.asarray(operation.quantized_data.val)
            shape = [1] * data.ndim
            shape[int(operation.axis.val)] = -1
            scale = np.asarray(operation.scale.val, dtype=np.float32).reshape(shape)
            zero = np.asarray(operation.zero_point.val).astype(np.float32)
            result[operation.outputs[0].name] = (data.astype(np.float32) - zero.reshape(-1, *shape[1:])) * scale
    return result


def _compare(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if len(found) != len(expected):
        raise mismatch(f"{len(found)} weights are int8 in the package, {len(expected)} were in training")
    left = {name: (value.shape, value.tobytes()) for name, value in found.items()}
    for name, value in expected.items():
        twins = [key for key, held in left.items() if held == (value.shape, value.tobytes())]
        if not twins:
            raise mismatch(f"{name} is not in the package bit for bit")
        del left[twins[0]]


def _compare_half(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if len(found) != len(expected):
        raise mismatch(f"{len(found)} weights are int8 in the package, {len(expected)} were in training")
    left = dict(found)
    for name, value in expected.items():
        room = 0.03 * np.abs(value).max(axis=1, keepdims=True)
        near = [key for key, held in left.items() if held.shape == value.shape and (np.abs(held - value) <= room).all()]
        if not near:
            raise mismatch(f"{name} is not in the package to 3 % of its rows' largest")
        del left[near[0]]


def mismatch(why: str) -> RefusedError:
    """Return the error of a package that holds other weights than it should (`train.parity`)."""
    return RefusedError(
        "train.parity",
        f"The package does not hold the weights that training ended with: {why}.",
        hint="Do not use it; export with the versions of torch and coremltools that the project names.",
    )


def operations(package: Any) -> dict[str, int]:
    """Return how many operations of each type coremltools' package holds."""
    counts: dict[str, int] = {}
    block = package.get_spec().mlProgram.functions["main"]
    for specialisation in block.block_specializations.values():
        for operation in specialisation.operations:
            counts[operation.type] = counts.get(operation.type, 0) + 1
    return dict(sorted(counts.items()))

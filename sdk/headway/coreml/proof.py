"""Proving a head: its golden batch through the real base and head files, compared with what the publisher wrote down.

Everything is computed in float32 from the exported files, never from the trainer's own model. Figures are integers
(micro-units rounded up, permyriad rounded down) because proofs are signed. Whether they are good enough is for
:func:`headway.contract.proof.assess`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import digest_of
from headway.contract.errors import IncompatibleError, RefusedError
from headway.contract.features import FeatureContract
from headway.contract.proof import Proof
from headway.coreml.features import base_ports, run_base
from headway.coreml.golden import MAX_BYTES, BaseGolden, HeadGolden, read_base_golden, read_head_golden
from headway.coreml.mlprogram import Program, ProgramOptions, compile_program
from headway.coreml.model import MLModel
from headway.coreml.package import Package, read_package

__all__ = ["SAME_RUNTIME_TOLERANCE_MICRO", "BaseCheck", "check_base", "prove", "read_labels"]

SAME_RUNTIME_TOLERANCE_MICRO = 50
"""How far two runs of one base by this runtime may differ, in 1e-6, on different machines or thread counts.

Measured here: 1 between 1 and 2 threads and between batches of 1 and 32, for features of magnitude 4; the margin is
for processors with other vector widths. A device computes with other kernels: for it the policy's own limits hold.
"""

_FAR = 10**15
_MAX_LABELS_BYTES = 64 * 1024
_BATCH = 16


@dataclass(frozen=True, slots=True)
class BaseCheck:
    """What a base gave on its own golden batch: largest difference to the golden features in 1e-6, and finiteness."""

    rows: int
    feature_deviation_micro: int
    finite: bool
    runtime: str


def prove(
    base: Path | str,
    head: Path | str,
    golden: Path | str,
    labels: Path | str | Sequence[str],
    contract: FeatureContract | None = None,
    options: ProgramOptions | None = None,
) -> Proof:
    """Run the golden batch of *head* through the *base* package and the head file, and return the proof.

    *labels* is the label list or its ``labels.json``; *contract* defaults to ``contract.json`` beside the base.

    Raises:
        RefusedError: a file that is damaged, or a golden batch that does not belong to this head.
        IncompatibleError: a model that is not executed here, or is not what the contract says.
    """
    base, head, golden = Path(base), Path(head), Path(golden)
    contract = contract or FeatureContract.from_bytes(_small_file(base.parent / "contract.json"))
    golden_bytes = _small_file(golden, MAX_BYTES)
    batch = read_head_golden(golden_bytes)
    names = read_labels(labels)
    package = read_package(base)
    program = _program(package, contract, options)
    model = MLModel(head)
    features = _features(program, batch)
    probabilities = _probabilities(model, features, contract)
    _check_classes(batch, names, probabilities)
    picked = probabilities.argmax(axis=1)
    return Proof(
        head=model.digest,
        base=package.digest,
        golden=digest_of(golden_bytes),
        contract=contract.digest,
        rows=len(picked),
        feature_deviation_micro=_deviation(features, batch.features),
        probability_deviation_micro=_deviation(probabilities, batch.probabilities),
        agreement_permyriad=_permyriad(picked == batch.probabilities.argmax(axis=1)),
        accuracy_permyriad=_permyriad(picked == batch.labels),
        finite=bool(np.isfinite(features).all() and np.isfinite(probabilities).all()),
        runtime=program.runtime,
    )


def check_base(
    base: Path | str, golden: Path | str, contract: FeatureContract | None = None, options: ProgramOptions | None = None
) -> BaseCheck:
    """Run a base's own golden batch through it; arguments and errors as in :func:`prove`."""
    base = Path(base)
    contract = contract or FeatureContract.from_bytes(_small_file(base.parent / "contract.json"))
    batch = read_base_golden(Path(golden))
    program = _program(read_package(base), contract, options)
    features = _features(program, batch)
    finite = bool(np.isfinite(features).all())
    return BaseCheck(len(features), _deviation(features, batch.features), finite, program.runtime)


def read_labels(source: Path | str | Sequence[str]) -> tuple[str, ...]:
    """Return the label list: *source* itself, or the JSON list of strings in the file of that path.

    Raises:
        RefusedError: code ``labels``; not a list of at least two different non-empty strings.
    """
    names: object = source
    if isinstance(source, Path | str):
        try:
            names = json.loads(_small_file(Path(source), _MAX_LABELS_BYTES).decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _wrong_labels() from error
    valid = isinstance(names, list | tuple) and all(isinstance(name, str) and name for name in names)
    if not valid or not isinstance(names, list | tuple) or len(names) < 2 or len(set(names)) != len(names):
        raise _wrong_labels()
    return tuple(names)


def _wrong_labels() -> RefusedError:
    return RefusedError(
        "labels", "The label list must name at least two different labels.", hint="Write a JSON list of strings."
    )


def _small_file(path: Path, limit: int = 1 << 20) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise RefusedError(
            "not_found", f"{path.name} cannot be read: {error.strerror}.", hint="Give the files of one release."
        ) from error
    if len(data) > limit:
        raise RefusedError("too_large", f"{path.name} is larger than {limit} bytes.", hint="Make it smaller.")
    return data


def _program(package: Package, contract: FeatureContract, options: ProgramOptions | None) -> Program:
    program = compile_program(package, options)
    length, output, dimension = base_ports(program)
    if (output, dimension, length) != (contract.output, contract.dimension, contract.max_sequence_length):
        raise IncompatibleError(
            "contract_mismatch",
            f"The base gives {output} [{dimension}] for {length} tokens, the contract says {contract.output} "
            f"[{contract.dimension}] for {contract.max_sequence_length}.",
            hint="Use the base and contract of one base release together.",
        )
    return program


def _features(program: Program, batch: BaseGolden) -> NDArray[np.float32]:
    length, _, dimension = base_ports(program)
    if batch.input_ids.shape[1] != length or batch.features.shape[1] != dimension:
        raise RefusedError(
            "golden",
            f"The golden batch has {batch.input_ids.shape[1]} tokens and {batch.features.shape[1]} features a row, "
            f"the base has {length} and {dimension}.",
            hint="Write the golden batch again from this base.",
        )
    return run_base(program, batch.input_ids, batch.attention_mask, _BATCH)


def _probabilities(model: MLModel, features: NDArray[np.float32], contract: FeatureContract) -> NDArray[np.float32]:
    description = model.description
    (taken,) = description.inputs if len(description.inputs) == 1 else (None,)
    if taken is None or taken.name != contract.output or taken.shape != (features.shape[1],):
        raise IncompatibleError(
            "contract_mismatch",
            f"The head does not take the one input {contract.output} [{features.shape[1]}].",
            hint="Build the head for the feature contract of this base.",
        )
    outputs = model.predict({taken.name: features})
    vectors = [v for v in outputs.values() if v.dtype.kind == "f" and v.ndim == 2]
    if len(vectors) != 1:
        raise IncompatibleError(
            "contract_mismatch",
            f"The head gives {len(vectors)} vectors, expected its probabilities alone.",
            hint="Build the head with one output.",
        )
    return np.asarray(vectors[0], np.float32)


def _check_classes(batch: HeadGolden, names: tuple[str, ...], probabilities: NDArray[np.float32]) -> None:
    counts = {len(names), batch.probabilities.shape[1], probabilities.shape[1]}
    if len(counts) != 1:
        raise RefusedError(
            "golden",
            f"The head has {probabilities.shape[1]} classes, its golden batch {batch.probabilities.shape[1]}, "
            f"its label list {len(names)}.",
            hint="Use the head, golden batch and labels of one release together.",
        )


def _deviation(found: NDArray[np.float32], golden: NDArray[np.float32]) -> int:
    largest = float(np.abs(found.astype(np.float64) - golden).max())
    return min(math.ceil(largest * 1e6), _FAR) if math.isfinite(largest) else _FAR


def _permyriad(hits: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(hits)) * 10_000 // len(hits)

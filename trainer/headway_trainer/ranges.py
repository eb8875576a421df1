"""How large the values inside a base become, operation by operation, against what float16 can hold.

The program is run by our runtime with every floating-point result made an output. Magnitudes are taken in float32, so
that one beyond the limit is told by how much; what a device does inside one operation (the sum of a matrix product) is
not seen here, which is what the margin is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway.coreml.mlprogram import ProgramOptions, compile_program
from headway.coreml.mlprogram.reader import read_function
from headway.coreml.package import Package

Int32 = NDArray[np.int32]
LARGEST_HALF = 65504.0
"""The largest finite float16."""


@dataclass(frozen=True, slots=True)
class Magnitude:
    """The largest absolute value of one operation's result over the texts that were run."""

    operation: str
    kind: str
    largest: float

    @property
    def room(self) -> float:
        """How many times larger it could be before float16 overflows; below 1 it does."""
        return LARGEST_HALF / self.largest if self.largest else float("inf")

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON."""
        room = round(self.room, 2) if self.largest else None
        return {"operation": self.operation, "kind": self.kind, "largest": float(f"{self.largest:.6g}"), "room": room}


def magnitudes(package: Package, input_ids: Int32, attention_mask: Int32, batch: int = 8) -> list[Magnitude]:
    """Run a base on ids and masks int32 [n, L] and return the largest value of every operation, largest first."""
    kinds = _floating(package)
    program = compile_program(_exposing(package, list(kinds)), ProgramOptions(use_cache=False))
    largest = dict.fromkeys(kinds, 0.0)
    for start in range(0, len(input_ids), batch):
        rows = slice(start, start + batch)
        feeds = {"input_ids": input_ids[rows, None, :], "attention_mask": attention_mask[rows, None, :]}
        for name, values in program.predict(feeds).items():
            if name in largest:
                largest[name] = max(largest[name], float(np.abs(values).max()))
    found = [Magnitude(name, kind, largest[name]) for name, kind in kinds.items()]
    return sorted(found, key=lambda one: (-one.largest, one.operation))


def refuse_overflow(found: Sequence[Magnitude], margin: float) -> None:
    """Return if every value stays below float16's largest by the factor `margin`.

    Raises `RefusedError` (`train.half`) naming the operations that do not.
    """
    over = [one for one in found if one.room < margin]
    if over:
        told = ", ".join(f"{one.operation} ({one.kind}, {one.largest:.4g})" for one in over[:5])
        more = f" and {len(over) - 5} more" if len(over) > 5 else ""
        raise RefusedError(
            "train.half",
            f"The base is not safe in float16, which ends at {LARGEST_HALF:g}: {told}{more} leave less room than "
            f"{margin:g} times.",
            hint='Keep computing in float32, or train with normalisation = "layer_norm", which keeps values small.',
        )


def _floating(package: Package) -> dict[str, str]:
    """Return the floating-point results of the program by name with the type of their operation, constants left out."""
    function = read_function(package.spec, package.weight_file)
    return {
        output.name: operation.kind
        for operation in function.operations
        if operation.kind != "const" and not operation.kind.startswith("constexpr_")
        for output in operation.outputs
        if output.type.dtype.is_float
    }


def _exposing(package: Package, names: Sequence[str]) -> Package:
    spec = type(package.spec)()
    spec.CopyFrom(package.spec)
    for block in spec.mlProgram.functions["main"].block_specializations.values():
        known = set(block.outputs)
        block.outputs.extend(name for name in names if name not in known)
    data = spec.SerializeToString()
    return replace(package, spec=spec, spec_bytes=data, digest=digest_of(data))

"""Texts to feature vectors through a base: the one place where tokenizer, base and feature contract meet.

What holds: one row per text, in order; float32; the same text gives the same row to rounding, whatever the batch (the
int8 mode of the executor quantises activations per batch, so there neighbours matter a little). Only one batch of
token ids and activations is in memory at a time. What it does not do: caching of features, heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import IncompatibleError
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.mlprogram import Program, ProgramOptions, compile_program
from headway.coreml.package import Package

__all__ = ["Features", "Progress", "base_ports", "run_base"]

Progress = Callable[[int, int], None]
"""Called after each batch with the number of rows done and of rows in all."""

INPUT_IDS = "input_ids"
ATTENTION_MASK = "attention_mask"


class Features:
    """A base with its tokenizer, ready to turn texts into features.

    With a *contract* the base's output and the tokenizer must be what it says; without one the program's only output
    is taken. Raises :class:`IncompatibleError` (``not_a_base``, ``contract_mismatch``) when they are not, and
    whatever :func:`~headway.coreml.mlprogram.compile_program` raises.
    """

    def __init__(
        self,
        base: Package | Path | str,
        tokenizer: Tokenizer,
        contract: FeatureContract | None = None,
        options: ProgramOptions | None = None,
    ) -> None:
        self.program = compile_program(base, options)
        self.tokenizer = tokenizer
        self.length, self.output, self.dimension = base_ports(self.program)
        if contract is not None:
            _check_contract(self, contract)

    def of(self, texts: Sequence[str], batch: int = 32, progress: Progress | None = None) -> NDArray[np.float32]:
        """Return the features of *texts*, float32 ``[len(texts), dimension]``, *batch* texts per run of the base."""
        result = np.empty((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), batch):
            encoded = [self.tokenizer.encode(text, self.length) for text in texts[start : start + batch]]
            ids = np.array([e.input_ids for e in encoded], np.int32)
            mask = np.array([e.attention_mask for e in encoded], np.int32)
            result[start : start + len(encoded)] = self.of_ids(ids, mask, batch)
            if progress is not None:
                progress(start + len(encoded), len(texts))
        return result

    def of_ids(
        self, input_ids: NDArray[np.int32], attention_mask: NDArray[np.int32], batch: int = 32
    ) -> NDArray[np.float32]:
        """Return the features of token ids and masks, both int32 ``[n, length]``; float32 ``[n, dimension]``."""
        return run_base(self.program, input_ids, attention_mask, batch)


def run_base(
    program: Program, input_ids: NDArray[np.int32], attention_mask: NDArray[np.int32], batch: int = 32
) -> NDArray[np.float32]:
    """Run a compiled base on int32 ``[n, L]`` ids and masks, *batch* rows at a time; float32 ``[n, D]``."""
    _, output, dimension = base_ports(program)
    result = np.empty((len(input_ids), dimension), np.float32)
    for start in range(0, len(input_ids), batch):
        rows = slice(start, start + batch)
        # The explicit axis of size 1 is the batch of the traced program; the one before it is ours.
        feeds = {INPUT_IDS: input_ids[rows, None, :], ATTENTION_MASK: attention_mask[rows, None, :]}
        result[rows] = program.predict(feeds)[output].reshape(-1, dimension)
    return result


def base_ports(program: Program) -> tuple[int, str, int]:
    """Sequence length, output name and feature dimension of a program that is a base.

    Raises :class:`IncompatibleError` (``not_a_base``) when it is none.
    """
    shapes = {port.name: port.shape for port in program.inputs}
    ids, mask = shapes.get(INPUT_IDS), shapes.get(ATTENTION_MASK)
    vectors = [(port.name, port.shape[0]) for port in program.outputs if len(port.shape) == 1]
    fits = set(shapes) == {INPUT_IDS, ATTENTION_MASK} and ids == mask and ids is not None
    if not fits or ids is None or len(ids) != 2 or ids[0] != 1 or ids[1] is None or len(vectors) != 1:
        raise IncompatibleError(
            "not_a_base",
            "The program is not a base: it must take int32 input_ids and attention_mask [1, L] and give one vector.",
            hint="Export the base with fixed shapes and a rank-1 float32 output.",
        )
    (output, dimension), length = vectors[0], ids[1]
    if dimension is None:
        raise IncompatibleError(
            "not_a_base",
            "The length of the base's feature vector is open.",
            hint="Export the base with fixed shapes.",
        )
    return length, output, dimension


def _check_contract(features: Features, contract: FeatureContract) -> None:
    found = (features.output, features.dimension, features.length, features.tokenizer.digest)
    wanted = (contract.output, contract.dimension, contract.max_sequence_length, contract.tokenizer)
    names = ("output", "dimension", "sequence length", "tokenizer")
    for name, got, want in zip(names, found, wanted, strict=True):
        if got != want:
            raise IncompatibleError(
                "contract_mismatch",
                f"The {name} of the base is {got}, its feature contract says {want}.",
                hint="Use the base, vocabulary and contract of one base release together.",
                part=name,
            )

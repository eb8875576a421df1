"""Whether a package computes what a student in PyTorch computes: features and the labels its classifier would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headway_trainer import steps_lexicon
from headway_trainer.data.sets import LabelledSet
from headway_trainer.distil_task import predictions
from headway_trainer.models.lexicon import Lexicon
from headway_trainer.models.student import Student
from headway_trainer.run import Run

Float32 = NDArray[np.float32]
Answers = Mapping[str, tuple[Tensor, Tensor]]
"""Features float32 [rows, D] and logits [rows, K] of each set's dev rows."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest deviation of a feature on dev, and the share of dev rows with equal labels."""

    deviation: float
    agreement: float


def key(of: LabelledSet, split: str) -> str:
    """Return the name of a split's features in the file that keeps them."""
    return f"{of.name}.{split}" if of.name else split


def dev_answers(run: Run, student: Student) -> Answers:
    """Return what a student says of every set's dev rows."""
    return {of.name: predictions(student, run.examples(of, "dev").ids, run.tokenizer.pad_id) for of in run.sets}


def parity(
    run: Run,
    features: Mapping[str, Float32],
    classifier: tuple[Float32, Float32],
    answers: Answers,
    lexicon: Lexicon | None,
) -> Parity:
    """Compare a package's `features` by split with a student's `answers` and the lexicon's values after them.

    `classifier` is the student's own: weights float32 [D, K] and biases [K].
    """
    own = run.config.student.feature_dimension
    found = {of.name: features[key(of, "dev")] for of in run.sets}
    deviations = [np.abs(found[of.name][:, :own] - answers[of.name][0].numpy()).max() for of in run.sets]
    if lexicon is not None:
        told = {of.name: steps_lexicon.values(run, lexicon, of, "dev").numpy() for of in run.sets}
        deviations += [np.abs(found[of.name][:, own:] - told[of.name]).max() for of in run.sets]
    equal = [
        (found[of.name][:, :own] @ classifier[0] + classifier[1])[:, of.span].argmax(1)
        == answers[of.name][1][:, of.span].argmax(1).numpy()
        for of in run.taught
    ]
    return Parity(float(max(deviations)), float(np.concatenate(equal).mean()))

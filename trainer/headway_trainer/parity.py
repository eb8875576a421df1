"""Whether a package computes what a student in PyTorch computes: features and the labels a classifier makes of them.

The student is run in float64. Attention scores of a student without normalisation reach tens of thousands, where
float32 has steps of a thousandth; in one text of some thousand PyTorch's own rounding is larger than the package's.

The classifier is the one that training ended with, on the int8 grid if it is large enough, and stands in no package:
it labels the features of both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway_trainer.data.sets import SPLITS, LabelledSet
from headway_trainer.learning.distil_task import predictions
from headway_trainer.learning.distributed import device
from headway_trainer.models.lexicon import Lexicon
from headway_trainer.models.student import Student, exact
from headway_trainer.run import Run
from headway_trainer.steps import lexicon as lexicon_step

Float32 = NDArray[np.float32]
Classifier = tuple[Float32, Float32]
"""Weights float32 [D, K] and biases [K]."""

Answers = Mapping[str, Float32]
"""A student's features float32 [rows, D] of each set's dev rows."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest deviation of a feature on dev, and the share of dev rows with equal labels."""

    deviation: float
    agreement: float


def key(of: LabelledSet, split: str) -> str:
    """Return the name of a split's features in the file that keeps them."""
    return f"{of.name}.{split}" if of.name else split


def kept_texts(run: Run) -> dict[str, list[str]]:
    """Return the texts of every split that are run through an exported base."""
    return {
        key(of, split): [of.splits[split].texts[row] for row in run.kept_rows(of, split)]
        for of in run.sets
        for split in SPLITS
    }


def dev_answers(run: Run, student: Student) -> Answers:
    """Return the features that a student gives every set's dev rows, computed in float64."""
    double, pad_id = exact(student).to(device()), run.tokenizer.pad_id
    return {of.name: predictions(double, run.examples(of, "dev").ids, pad_id)[0].numpy() for of in run.sets}


def parity(
    run: Run,
    features: Mapping[str, Float32],
    classifier: Classifier,
    answers: Answers,
    lexicon: Lexicon | None,
) -> Parity:
    """Compare a package's `features` by split with a student's `answers` and the lexicon's values after them."""
    own = run.config.student.feature_dimension
    found = {of.name: features[key(of, "dev")] for of in run.sets}
    deviations = [np.abs(found[of.name][:, :own] - answers[of.name]).max() for of in run.sets]
    if lexicon is not None:
        told = {of.name: lexicon_step.values(run, lexicon, of, "dev").numpy() for of in run.sets}
        deviations += [np.abs(found[of.name][:, own:] - told[of.name]).max() for of in run.sets]
    return Parity(float(max(deviations)), agreement(run, features, classifier, answers))


def agreement(run: Run, features: Mapping[str, Float32], classifier: Classifier, answers: Answers) -> float:
    """Return the share of dev rows to which the classifier gives one label from package and student."""
    own = run.config.student.feature_dimension
    equal = [
        labels_by(classifier, features[key(of, "dev")][:, :own], of.span)
        == labels_by(classifier, answers[of.name], of.span)
        for of in run.taught
    ]
    return float(np.concatenate(equal).mean())


def labels_by(classifier: Classifier, features: Float32, span: slice) -> NDArray[np.int64]:
    """Return the columns of `span` that a classifier chooses for features [n, D]."""
    weights, biases = classifier[0][:, span], classifier[1][span]
    chosen: NDArray[np.int64] = (features @ weights + biases).argmax(1)
    return chosen


def classifier_of(student: Student) -> Classifier:
    """Return a student's classifier as it computes now: before `qat.detach` on the grid that it was trained on."""
    held = student.eval().classifier
    return held.weight.detach().cpu().numpy().T.copy(), held.bias.detach().cpu().numpy().copy()

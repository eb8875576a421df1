"""Which rows of dev and test a run gets right: what paired comparisons are made of.

Either its exported files answer or, which is sooner known, the student with its own classifier. The first head of the
configuration speaks for the files, on the features of the exported base; test rows are answered by the head's released
file. A head that was fitted once more on dev has seen dev, so dev rows are answered by the one from before, fitted on
train alone with the weight decay that dev chose; likewise the lexicon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway.coreml.model import MLModel
from headway_trainer import dense
from headway_trainer.ablation.paired import Right
from headway_trainer.data.sets import LabelledSet
from headway_trainer.files import write_text
from headway_trainer.head_rows import head_rows
from headway_trainer.heads import HeadConfig, Rows, fit_head
from headway_trainer.learning.distil_task import predictions
from headway_trainer.order import ORDER
from headway_trainer.parity import key
from headway_trainer.run import Run
from headway_trainer.steps.train import load_pair

SPLITS = ("dev", "test")

By = Literal["exported", "student"]
"""Who answers: the exported base with its first head, or the student of the step `qat` with its own classifier."""

UNTIL: dict[By, tuple[str, ...]] = {
    "exported": ORDER[: ORDER.index("fit-heads") + 1],
    "student": ORDER[: ORDER.index("qat") + 1],
}
"""The steps that must be done before."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Whether each row of a set's split was labelled rightly; `taught` are the sets that the base learnt from."""

    sets: Mapping[str, Mapping[str, Right]]
    taught: tuple[str, ...]

    def whole(self, split: str) -> Right:
        """Return the rows of all taught sets, one set after the other."""
        return np.concatenate([self.sets[name][split] for name in self.taught])


def answered(run: Run, by: By) -> Answered:
    """Return what a run answers; kept in the run folder until the steps it comes from change.

    Raises `RefusedError`: `train.order` if no head was fitted yet, `train.variant` if the configuration has none.
    """
    if by == "exported" and not run.config.heads:
        raise RefusedError(
            "train.variant",
            "The configuration has no head, and variants are compared by what a head makes of their base.",
            hint="Add [[heads]] with a name and start again.",
        )
    made_of = digest_of(json.dumps([run.needed(step) for step in UNTIL[by][-2:]]).encode())
    path = run.places.run_folder / f"right-{by}.json"
    held = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if held.get("made_of") != made_of:
        right = _exported(run) if by == "exported" else _student(run)
        asked = run.sets if by == "exported" else run.taught
        held = {"made_of": made_of, "sets": {of.name: {s: _told(right(of, s)) for s in SPLITS} for of in asked}}
        write_text(path, json.dumps(held) + "\n")
    read = {name: {split: _heard(told) for split, told in splits.items()} for name, splits in held["sets"].items()}
    return Answered(read, tuple(of.name for of in run.taught))


def _student(run: Run) -> Callable[[LabelledSet, str], Right]:
    student, _ = load_pair(run, "qat")

    def right(of: LabelledSet, split: str) -> Right:
        rows = run.examples(of, split)
        chosen = predictions(student, rows.ids, run.tokenizer.pad_id)[1][:, of.span].argmax(1)
        return np.asarray(chosen.numpy() == np.array(rows.labels))

    return right


def _exported(run: Run) -> Callable[[LabelledSet, str], Right]:
    cached = np.load(run.folder("export-base") / "features.npz")
    return partial(_right, run, cached)


def _right(run: Run, cached: Any, of: LabelledSet, split: str) -> Right:
    config = run.config.heads_of(of.name)[0]
    if split == "test":
        features, labels = cached[key(of, split)], np.array(run.examples(of, split).labels)
    else:
        rows = head_rows(run, of, cached)
        features, labels = rows["dev"].features, rows["dev"].labels
        if config.refit and of.config.test is not None:
            return np.asarray(_chosen_before(run, of, config, rows) == labels)
    given = MLModel(run.folder("fit-heads") / f"{config.name}.mlmodel").predict({"features": features})
    return np.asarray(given["probabilities"].argmax(1) == labels)


def _chosen_before(run: Run, of: LabelledSet, config: HeadConfig, rows: Mapping[str, Rows]) -> NDArray[np.int64]:
    decay = run.needed("fit-heads")[config.name]["weight_decay"]
    once = replace(config, weight_decays=(decay,), refit=False)
    fitted = fit_head(once, rows["train"], rows["dev"], len(of.config.labels))
    return np.asarray(dense.logits(fitted.weights, rows["dev"].features).argmax(1))


def _told(right: Right) -> str:
    return "".join("1" if value else "0" for value in right)


def _heard(told: str) -> Right:
    return np.array([mark == "1" for mark in told])

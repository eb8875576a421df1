"""Step `lexicon`: the table of hashed n-grams that the exported base carries beside its encoder."""

from __future__ import annotations

from dataclasses import astuple
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.contract.errors import RefusedError
from headway_trainer.data.batches import CPU, collate
from headway_trainer.data.examples import Examples
from headway_trainer.data.sets import LabelledSet, by_set
from headway_trainer.evaluate import accuracy
from headway_trainer.learning import checkpoint, qat
from headway_trainer.models.lexicon import Area, Lexicon
from headway_trainer.models.lexicon_fit import Lesson, fit
from headway_trainer.run import Run

Float32 = NDArray[np.float32]

_TABLE, _REFITTED = "table.pt", "refitted.pt"


def lexicon(run: Run) -> dict[str, Any]:
    """Fit the table on the training rows of every taught set, and measure it alone."""
    config = run.config.lexicon
    if not config.buckets:
        return {"buckets": 0}
    tokens = len(run.tokenizer.tokens)
    fitted = fit([_lesson(run, of) for of in run.taught], tokens, config)
    made = fitted.lexicon
    _save(run, _TABLE, made)
    if fitted.refitted:
        _save(run, _REFITTED, fitted.refitted)
    # What dev has taught, dev cannot judge.
    judged = {"dev": _loaded(run, _TABLE), "test": _released(run)}

    def score(of: LabelledSet, split: str) -> dict[str, Any]:
        chosen = values(run, judged[split], of, split)[:, of.span].argmax(1)
        return accuracy(chosen.tolist(), run.examples(of, split).labels).to_json()

    figures = {split: by_set(run.taught, partial(score, split=split)) for split in ("dev", "test")}

    def layout(of: LabelledSet) -> dict[str, Any]:
        place = run.taught.index(of)
        return {"rows": made.areas[place].rows, "inverse_penalty": fitted.inverse_penalties[place]}

    return {"buckets": config.buckets, "rows": len(made.table.weight), "areas": by_set(run.taught, layout), **figures}


def _lesson(run: Run, of: LabelledSet) -> Lesson:
    labels = of.config.labels
    spent = Examples(run.tokenised(of.spent.texts), of.spent.label_ids(labels))
    return Lesson(run.examples(of, "train"), run.examples(of, "dev"), spent, len(labels))


def _save(run: Run, name: str, made: Lexicon) -> None:
    state = {"table": made.table.weight, "bias": made.bias, "areas": [astuple(area) for area in made.areas]}
    checkpoint.save(run.folder("lexicon") / name, state)


def _loaded(run: Run, name: str) -> Lexicon:
    """Return a lexicon with its weights on the int8 grid, as the package holds them."""
    state = checkpoint.load(run.folder("lexicon") / name)
    if state is None or "areas" not in state:
        raise RefusedError(
            "train.order", "The lexicon of this folder is of an earlier trainer.", hint="Fit it anew: --again lexicon."
        )
    table: Tensor = state["table"]
    rounded = qat.on_grid(table) if table.numel() > qat.SMALLEST_QUANTISED else table
    return Lexicon(rounded, [Area(*numbers) for numbers in state["areas"]], state["bias"])


def carried(run: Run) -> Lexicon | None:
    """Return the lexicon that the configuration asks for, None if it asks for none.

    Raises `RefusedError` (`train.order`) if its step has not run.
    """
    if not run.config.lexicon.buckets:
        return None
    run.needed("lexicon")
    return _released(run)


def unlearnt(run: Run, of: LabelledSet, features: Float32) -> Float32:
    """Return a set's dev features [n, D] as they were if the lexicon had not learnt from dev: so dev can choose."""
    if not (run.config.lexicon.buckets and run.config.lexicon.refit):
        return features
    first = run.config.student.feature_dimension
    told = values(run, _loaded(run, _TABLE), of, "dev").numpy()
    return np.concatenate([features[:, :first], told], axis=1)


def _released(run: Run) -> Lexicon:
    return _loaded(run, _REFITTED if run.config.lexicon.refit else _TABLE)


@torch.no_grad()
def values(run: Run, whole: Lexicon, of: LabelledSet, split: str) -> Tensor:
    """Return what the lexicon says of every text of a split, float32 [rows, labels of all taught sets]."""
    ids = run.examples(of, split).ids
    batches = (collate(ids, [row], run.tokenizer.pad_id, place=CPU) for row in range(len(ids)))
    return torch.cat([whole(batch.input_ids, batch.attention_mask) for batch in batches])

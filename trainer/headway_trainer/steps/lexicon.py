"""Step `lexicon`: the table of hashed n-grams that the exported base carries beside its encoder."""

from __future__ import annotations

from dataclasses import astuple
from functools import partial
from typing import Any

import torch
from torch import Tensor

from headway.contract.errors import RefusedError
from headway_trainer.data.batches import CPU, collate
from headway_trainer.data.sets import LabelledSet, by_set
from headway_trainer.evaluate import accuracy
from headway_trainer.learning import checkpoint, qat
from headway_trainer.models.lexicon import Area, Lexicon
from headway_trainer.models.lexicon_fit import Lesson, fit
from headway_trainer.run import Run


def lexicon(run: Run) -> dict[str, Any]:
    """Fit the table on the training rows of every taught set, and measure it alone."""
    config = run.config.lexicon
    if not config.buckets:
        return {"buckets": 0}
    tokens = len(run.tokenizer.tokens)
    lessons = [Lesson(run.examples(of, "train"), run.examples(of, "dev"), len(of.config.labels)) for of in run.taught]
    fitted = fit(lessons, tokens, config)
    made = fitted.lexicon
    state = {"table": made.table.weight, "bias": made.bias, "areas": [astuple(area) for area in made.areas]}
    checkpoint.save(run.folder("lexicon") / "table.pt", state)
    whole = held(run)
    assert whole is not None, "it was just written"

    def score(of: LabelledSet, split: str) -> dict[str, Any]:
        chosen = values(run, whole, of, split)[:, of.span].argmax(1)
        return accuracy(chosen.tolist(), run.examples(of, split).labels).to_json()

    figures = {split: by_set(run.taught, partial(score, split=split)) for split in ("dev", "test")}

    def layout(of: LabelledSet) -> dict[str, Any]:
        place = run.taught.index(of)
        return {"rows": made.areas[place].rows, "inverse_penalty": fitted.inverse_penalties[place]}

    return {"buckets": config.buckets, "rows": len(made.table.weight), "areas": by_set(run.taught, layout), **figures}


def held(run: Run) -> Lexicon | None:
    """Return the lexicon with its weights on the int8 grid, as the package holds them; None if the run has none."""
    state = checkpoint.load(run.folder("lexicon") / "table.pt")
    if state is None:
        return None
    if "areas" not in state:
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
    return held(run)


@torch.no_grad()
def values(run: Run, whole: Lexicon, of: LabelledSet, split: str) -> Tensor:
    """Return what the lexicon says of every text of a split, float32 [rows, labels of all taught sets]."""
    ids = run.examples(of, split).ids
    batches = (collate(ids, [row], run.tokenizer.pad_id, place=CPU) for row in range(len(ids)))
    return torch.cat([whole(batch.input_ids, batch.attention_mask) for batch in batches])

"""Counting what a classifier gets right, the rows shared out among the processes of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from headway_trainer.data.examples import Examples
from headway_trainer.evaluate import Accuracy
from headway_trainer.learning import distributed


def correct(answers: Callable[[Sequence[Sequence[int]]], Tensor], examples: Examples, span: slice) -> Accuracy:
    """Return how many rows are labelled rightly by the columns `span` of `answers`, which maps ids to logits [n, K].

    Every process takes its share of the rows and knows the whole count in the end.
    """
    rows = distributed.own(len(examples.labels))
    chosen = answers([examples.ids[row] for row in rows])[:, span].argmax(1)
    right = (chosen == torch.tensor([examples.labels[row] for row in rows])).sum()
    return Accuracy(int(distributed.total(right)), len(examples.labels))

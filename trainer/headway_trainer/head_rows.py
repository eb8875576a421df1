"""The rows that a set's heads are fitted on and chosen by: features of an exported base, their labels beside them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from headway_trainer.data.sets import LabelledSet
from headway_trainer.heads import Rows
from headway_trainer.parity import key
from headway_trainer.run import Run
from headway_trainer.steps import lexicon

Float32 = NDArray[np.float32]


def head_rows(run: Run, of: LabelledSet, features: Mapping[str, Float32]) -> dict[str, Rows]:
    """Return the rows of `train` and `dev`, those of dev as a lexicon saw them that had not learnt from them."""
    cached = {split: features[key(of, split)] for split in ("train", "dev")}
    cached["dev"] = lexicon.unlearnt(run, of, cached["dev"])
    labels = {split: np.array(run.examples(of, split).labels)[run.kept_rows(of, split)] for split in cached}
    return {split: Rows(cached[split], labels[split], run.told_of(of)) for split in cached}

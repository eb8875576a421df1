"""Running many texts through an exported base with our runtime, and saying how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from headway.coreml.features import Features
from headway_trainer.progress import Progress

_BATCH = 32


def featured(source: Features, texts: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.float32]]:
    """Return the features float32 [n, D] of every named list of texts."""
    progress = Progress("features by our runtime", sum(-(-len(rows) // _BATCH) for rows in texts.values()))

    def advance(_done: int, _total: int) -> None:
        progress.advance(None, _BATCH * source.length)

    return {name: source.of(rows, _BATCH, advance) for name, rows in texts.items()}

"""Running many texts through an exported base with our runtime, and saying how far it is.

Batches are shared out among threads and each operation keeps to one of them: a base this small has more to gain from
two batches at a time than from an operation on two cores, and the features do not depend on how many threads there are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from headway.coreml.features import Features
from headway.coreml.mlprogram import ProgramOptions
from headway_trainer.progress import Progress

Float32 = NDArray[np.float32]

ALONE = ProgramOptions(threads=1)
"""How a base is compiled that `featured` runs."""

_BATCH = 32


def featured(source: Features, texts: Mapping[str, Sequence[str]], threads: int = 0) -> dict[str, Float32]:
    """Return the features float32 [n, D] of every named list of texts, on so many threads (0: one per core)."""
    batches = {name: [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)] for name, rows in texts.items()}
    progress = Progress("features by our runtime", sum(map(len, batches.values())))
    found: dict[str, Float32] = {}
    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        made = pool.map(source.of, (rows for of in batches.values() for rows in of))
        for name, rows in batches.items():
            parts: list[Float32] = [np.empty((0, source.dimension), np.float32)]
            for part in islice(made, len(rows)):
                parts.append(part)
                progress.advance(None, len(part) * source.length)
            found[name] = np.concatenate(parts)
    finally:
        # Whoever stops it does not wait for the batches that have not begun.
        pool.shutdown(cancel_futures=True)
    return found

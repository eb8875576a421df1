"""Running many texts through an exported base with our runtime, and saying how far it is.

Batches are shared out among threads and each operation keeps to one of them: a base this small has more to gain from
two batches at a time than from an operation on two cores, and the features do not depend on how many threads there are.
A text goes through the shortest package that holds it, where there are several of the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headway.coreml.features import Features
from headway.coreml.mlprogram import ProgramOptions
from headway_trainer.progress import Progress

Float32 = NDArray[np.float32]

ALONE = ProgramOptions(threads=1)
"""How a base is compiled that `featured` runs."""

READ_ONCE = replace(ALONE, use_cache=False)
"""The same for a package that is soon gone again."""

_BATCH = 32


def featured(
    source: Features, texts: Mapping[str, Sequence[str]], threads: int = 0, shorter: Sequence[Features] = ()
) -> dict[str, Float32]:
    """Return the features float32 [n, D] of every named list of texts, on so many threads (0: one per core).

    `shorter` are packages of the source's weights that read fewer tokens; each takes the texts that fit it.
    """
    readers = [*sorted(shorter, key=lambda reader: reader.length), source]
    jobs = [
        (name, reader, held[start : start + _BATCH])
        for name, rows in texts.items()
        for reader, held in _dealt(readers, rows)
        for start in range(0, len(held), _BATCH)
    ]
    found: dict[str, Float32] = {
        name: np.empty((len(rows), source.dimension), np.float32) for name, rows in texts.items()
    }

    def read(job: tuple[str, Features, list[int]]) -> Float32:
        name, reader, rows = job
        return reader.of([texts[name][row] for row in rows])

    tokens = sum(len(rows) * reader.length for _, reader, rows in jobs)
    progress = Progress("features by our runtime", len(jobs), tokens=tokens)
    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        for (name, reader, rows), part in zip(jobs, pool.map(read, jobs), strict=True):
            found[name][rows] = part
            progress.advance(None, len(part) * reader.length)
    finally:
        # Whoever stops it does not wait for the batches that have not begun.
        pool.shutdown(cancel_futures=True)
    return found


def _dealt(readers: Sequence[Features], texts: Sequence[str]) -> list[tuple[Features, list[int]]]:
    """Return which rows each package reads, the packages being in order of length."""
    longest = readers[-1]
    if len(readers) == 1:
        return [(longest, list(range(len(texts))))]
    tokens = [len(longest.tokenizer.ids(text, longest.length)) for text in texts]
    places = np.searchsorted([reader.length for reader in readers], tokens)
    return [(reader, np.flatnonzero(places == place).tolist()) for place, reader in enumerate(readers)]

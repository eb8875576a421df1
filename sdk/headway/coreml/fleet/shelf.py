"""Memory for results, taken from the system in few large pieces.

New memory costs a page fault for every page, about as much as a tenth of a small head's training; large arrays get
large pages from numpy where the system has them.
"""

from __future__ import annotations

from threading import Lock

import numpy as np

from headway.coreml.weights import Float32

__all__ = ["Shelf"]

_LARGEST = 1 << 22
"""Numbers in a piece, 16 MiB: what is larger the C library gives back to the system at once."""


class Shelf:
    """Hands out arrays for the results of at most *jobs* jobs, to several threads."""

    def __init__(self, jobs: int) -> None:
        self._jobs, self._lock = jobs, Lock()
        self._left: dict[int, Float32] = {}

    def take(self, rows: int, width: int) -> Float32:
        """Return an array ``[rows, width]`` that nobody else has; what is in it is left from earlier."""
        with self._lock:
            left = self._left.get(width)
            if left is None or len(left) < rows:
                left = np.empty((max(rows, min(self._jobs, _LARGEST // max(1, width))), width), dtype=np.float32)
            self._left[width] = left[rows:]
            return left[:rows]

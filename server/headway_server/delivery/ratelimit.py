"""A token bucket per source, in memory and bounded: one noisy source must not fill the database or the log."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

_MOST_SOURCES = 20_000


class RateLimiter:
    """Buckets by source. Each worker has its own, so a limit holds per worker; sources are forgotten when idle."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, source: str, now_s: float) -> float:
        """Take one unit for ``source``; 0 if there was one, else the seconds until there will be."""
        with self._lock:
            left, at = self._buckets.pop(source, (self._burst, now_s))
            left = min(self._burst, left + max(0.0, now_s - at) * self._per_s)
            granted = left >= 1
            self._buckets[source] = (left - 1 if granted else left, now_s)
            if len(self._buckets) > _MOST_SOURCES:
                self._buckets.popitem(last=False)
            return 0.0 if granted else (1 - left) / self._per_s

"""How reports are committed: in groups, by one thread, each answered only after the commit that holds its events.

Many devices report at once, a few events each, and a commit costs more than they do. What comes while one transaction
is under way goes into the next one together, so groups grow with the load by themselves.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

from headway.contract.outcome import Outcome
from headway_server.delivery.outcomes import Batch, Offered, Tally, count
from headway_server.ports import Ports

MOST_EVENTS_AT_ONCE = 5_000
"""A transaction takes no further batches once it has this many events."""

GATHER_S = 0.002
"""How long a transaction waits for company when the one before had some. A lone report never waits."""

_SURELY = 3
"""So many batches in a row that fail as their group did: then the database is broken, and the rest is not tried."""


class Intake:
    """Takes batches from any thread, and commits those that came meanwhile together. One per process."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._offered = Offered()
        self._lock = Lock()
        self._waiting: deque[tuple[Sequence[Batch], Callable[[], None]]] = deque()
        self._committing = self._crowded = False
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="outcomes")

    def report(self, app: str, events: Sequence[Outcome]) -> Tally:
        """Count a batch of events; returns when they are committed.

        Raises:
            RefusedError: code ``unknown_app``.
        """
        batch, committed = Batch(app, tuple(events)), Event()
        self.submit([batch], committed.set)
        committed.wait()
        if isinstance(batch.result, BaseException):
            raise batch.result
        assert batch.result is not None  # so says done
        return batch.result

    def submit(self, batches: Sequence[Batch], done: Callable[[], None]) -> None:
        """Count batches soon. Once each has its result, ``done`` is called, in another thread; it must not wait."""
        with self._lock:
            self._waiting.append((batches, done))
            if self._committing:
                return
            self._committing = True
        self._committer.submit(self._commit_all)

    @property
    def waiting(self) -> int:
        """How many batches wait for the next transaction."""
        with self._lock:
            return sum(len(batches) for batches, _ in self._waiting)

    def _commit_all(self) -> None:
        while taken := self._take():
            self._commit([batch for batches, _ in taken for batch in batches])
            for _, done in taken:
                done()

    def _take(self) -> list[tuple[Sequence[Batch], Callable[[], None]]]:
        if self._crowded:
            # Those who were just answered are about to send again: a moment's wait makes one commit of many.
            time.sleep(GATHER_S)
        taken: list[tuple[Sequence[Batch], Callable[[], None]]] = []
        batches = size = 0
        with self._lock:
            while self._waiting and size < MOST_EVENTS_AT_ONCE:
                taken.append(self._waiting.popleft())
                batches += len(taken[-1][0])
                size += sum(len(batch.events) for batch in taken[-1][0])
            self._committing = bool(taken)
        self._crowded = batches > 1
        return taken

    def _commit(self, batches: Sequence[Batch]) -> None:
        try:
            with self._ports.database.write() as tx:
                results = count(tx, batches, self._offered, self._ports.clock())
        except BaseException as error:  # noqa: BLE001 - whatever it was, it is the answer to those who wait
            self._failed(batches, error)
        else:
            for batch, result in zip(batches, results, strict=True):
                batch.result = result

    def _failed(self, batches: Sequence[Batch], error: BaseException) -> None:
        """One batch must not spoil the others: each is tried again alone, until plainly it is not the batch."""
        if len(batches) == 1:
            batches[0].result = error
            return
        alike = 0
        for batch in batches:
            if alike < _SURELY:
                self._commit([batch])
            else:
                batch.result = error
            alike = alike + 1 if type(batch.result) is type(error) else 0

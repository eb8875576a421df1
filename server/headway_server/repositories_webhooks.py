"""What webhooks and shared rate limits ask of the registry's memory; see :mod:`headway_server.repositories`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headway_server.records import Backlog, DeliveryRecord, WebhookRecord


class Webhooks(Protocol):
    """Webhooks and the outbox of their deliveries."""

    def get(self, app: str, webhook: str) -> WebhookRecord | None:
        """One webhook."""

    def all(self, app: str) -> tuple[WebhookRecord, ...]:
        """The webhooks of an app, oldest first."""

    def add(self, record: WebhookRecord) -> None:
        """Add it."""

    def rotate(self, app: str, webhook: str, version: int, at: int) -> None:
        """Set its secret's version."""

    def remove(self, app: str, webhook: str) -> None:
        """Forget it and its deliveries."""

    def queue(self, records: Sequence[DeliveryRecord]) -> None:
        """Add deliveries; their ``seq`` is given here."""

    def any_due(self, now: int) -> bool:
        """Whether something is to be sent now; reads only."""

    def claim(self, now: int, until: int, most: int) -> tuple[DeliveryRecord, ...]:
        """Take deliveries that are due: an attempt is counted, and nobody else takes them before ``until``."""

    def settle(
        self,
        delivery: DeliveryRecord,
        *,
        state: str,
        next_at: int,
        finished_at: int | None,
        status: int | None,
        error: str | None,
    ) -> None:
        """Write down how the claimed attempt went; nothing happens if somebody else has claimed it since."""

    def deliveries(
        self, app: str, webhook: str, *, state: str | None, limit: int, before: int | None
    ) -> tuple[DeliveryRecord, ...]:
        """Deliveries, newest first; ``before`` is a ``seq`` to page on from."""

    def delivery(self, app: str, webhook: str, message: str) -> DeliveryRecord | None:
        """One delivery."""

    def retry(self, app: str, message: str, at: int) -> None:
        """Make it pending again, with all its attempts before it."""

    def backlog(self, since: int) -> tuple[Backlog, ...]:
        """What did not arrive, by app; ``dead_lately`` counts what was given up at ``since`` or later."""

    def forget(self, before: int) -> int:
        """Remove what was finished before this time; how many."""


class Limits(Protocol):
    """Rate limits that hold over all workers: one row per key, changed by one atomic statement."""

    def take(self, key: str, cost_us: int, burst_us: int, now_us: int) -> int | None:
        """Take ``cost_us`` from a bucket of ``burst_us``; None if it is there, else the microseconds to wait."""

    def forget(self, before_us: int) -> None:
        """Remove buckets that were full again before this time."""

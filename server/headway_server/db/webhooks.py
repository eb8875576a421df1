"""Webhooks and rate limits in SQL; see the protocols in :mod:`headway_server.repositories_webhooks`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, case, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from headway_server.db.rows import many, one, values_of
from headway_server.db.tables_marks import limits
from headway_server.db.tables_webhooks import deliveries, webhooks
from headway_server.records import Backlog, DeliveryRecord, WebhookRecord


class SqlWebhooks:
    """Webhooks and the outbox of their deliveries."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, app: str, webhook: str) -> WebhookRecord | None:
        """One webhook."""
        return one(self._c, select(webhooks).where(webhooks.c.app == app, webhooks.c.id == webhook), WebhookRecord)

    def all(self, app: str) -> tuple[WebhookRecord, ...]:
        """The webhooks of an app, oldest first."""
        query = select(webhooks).where(webhooks.c.app == app).order_by(webhooks.c.created_at, webhooks.c.id)
        return many(self._c, query, WebhookRecord)

    def add(self, record: WebhookRecord) -> None:
        """Add it."""
        self._c.execute(insert(webhooks).values(values_of(record)))

    def rotate(self, app: str, webhook: str, version: int, at: int) -> None:
        """Set its secret's version."""
        chosen = update(webhooks).where(webhooks.c.app == app, webhooks.c.id == webhook)
        self._c.execute(chosen.values(secret_version=version, rotated_at=at))

    def remove(self, app: str, webhook: str) -> None:
        """Forget it and its deliveries."""
        self._c.execute(delete(deliveries).where(deliveries.c.app == app, deliveries.c.webhook == webhook))
        self._c.execute(delete(webhooks).where(webhooks.c.app == app, webhooks.c.id == webhook))

    def queue(self, records: Sequence[DeliveryRecord]) -> None:
        """Add deliveries; their ``seq`` is given here."""
        if records:
            self._c.execute(insert(deliveries), [values_of(record, without=("seq",)) for record in records])

    def any_due(self, now: int) -> bool:
        """Whether something is to be sent now; reads only."""
        d = deliveries.c
        return self._c.execute(select(d.seq).where(d.state == "pending", d.next_at <= now).limit(1)).first() is not None

    def claim(self, now: int, until: int, most: int) -> tuple[DeliveryRecord, ...]:
        """Take deliveries that are due; SQLite's write lock, or skipped row locks, keep others from taking them too."""
        d = deliveries.c
        due = select(d.seq).where(d.state == "pending", d.next_at <= now).order_by(d.next_at, d.seq).limit(most)
        chosen = [seq for (seq,) in self._c.execute(due.with_for_update(skip_locked=True))]
        if not chosen:
            return ()
        self._c.execute(update(deliveries).where(d.seq.in_(chosen)).values(attempts=d.attempts + 1, next_at=until))
        return many(self._c, select(deliveries).where(d.seq.in_(chosen)).order_by(d.seq), DeliveryRecord)

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
        """Write down how the claimed attempt went."""
        mine = (deliveries.c.seq == delivery.seq, deliveries.c.attempts == delivery.attempts)
        self._c.execute(
            update(deliveries)
            .where(*mine, deliveries.c.state == "pending")
            .values(state=state, next_at=next_at, finished_at=finished_at, status=status, error=error)
        )

    def deliveries(
        self, app: str, webhook: str, *, state: str | None, limit: int, before: int | None
    ) -> tuple[DeliveryRecord, ...]:
        """Deliveries, newest first."""
        d = deliveries.c
        query = select(deliveries).where(d.app == app, d.webhook == webhook).order_by(d.seq.desc()).limit(limit)
        if state is not None:
            query = query.where(d.state == state)
        if before is not None:
            query = query.where(d.seq < before)
        return many(self._c, query, DeliveryRecord)

    def delivery(self, app: str, webhook: str, message: str) -> DeliveryRecord | None:
        """One delivery."""
        d = deliveries.c
        query = select(deliveries).where(d.app == app, d.webhook == webhook, d.message == message)
        return one(self._c, query, DeliveryRecord)

    def retry(self, app: str, message: str, at: int) -> None:
        """Make it pending again, with all its attempts before it."""
        chosen = update(deliveries).where(deliveries.c.app == app, deliveries.c.message == message)
        self._c.execute(chosen.values(state="pending", attempts=0, next_at=at, finished_at=None))

    def backlog(self, since: int) -> tuple[Backlog, ...]:
        """What did not arrive, by app."""
        d = deliveries.c
        dead, pending = d.state == "dead", d.state == "pending"
        counts = [func.sum(case((which, 1), else_=0)) for which in (pending, dead, and_(dead, d.finished_at >= since))]
        query = select(d.app, *counts).where(d.state.in_(("pending", "dead"))).group_by(d.app).order_by(d.app)
        return tuple(Backlog(app, int(p), int(g), int(n)) for app, p, g, n in self._c.execute(query))

    def forget(self, before: int) -> int:
        """Remove what was finished before this time."""
        done = delete(deliveries).where(deliveries.c.state != "pending", deliveries.c.finished_at < before)
        return self._c.execute(done).rowcount


class SqlLimits:
    """Rate limits as the time at which a bucket will be full again (the generic cell rate algorithm)."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def take(self, key: str, cost_us: int, burst_us: int, now_us: int) -> int | None:
        """Take from a bucket, in one statement that decides and writes; None, or the microseconds to wait."""
        make = sqlite.insert if self._c.dialect.name == "sqlite" else postgresql.insert
        full_at = limits.c.full_at
        begin = case((full_at > now_us, full_at), else_=now_us)
        granted = (
            make(limits)
            .values(key=key, full_at=now_us + cost_us)
            .on_conflict_do_update(
                index_elements=["key"], set_={"full_at": begin + cost_us}, where=begin + cost_us <= now_us + burst_us
            )
            .returning(full_at)
        )
        if self._c.execute(granted).first() is not None:
            return None
        there = self._c.execute(select(full_at).where(limits.c.key == key)).scalar_one()
        return max(1, int(there) + cost_us - burst_us - now_us)

    def forget(self, before_us: int) -> None:
        """Remove buckets that were full again before this time."""
        self._c.execute(delete(limits).where(limits.c.full_at < before_us))

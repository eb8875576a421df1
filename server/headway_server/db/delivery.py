"""Channels and rollouts in SQL; see the protocols in :mod:`headway_server.repositories`."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from headway_server.db import tables as t
from headway_server.db.rows import insert_new, many, one, upsert, values_of
from headway_server.records import ChannelRecord, DecisionRecord, RecallRecord, RolloutRecord


class SqlChannels:
    """Channels and recalls."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, app: str, channel: str, base_id: str) -> ChannelRecord | None:
        """One channel."""
        c = t.channels.c
        query = select(t.channels).where(c.app == app, c.channel == channel, c.base_id == base_id)
        return one(self._c, query, ChannelRecord)

    def all(self, app: str) -> tuple[ChannelRecord, ...]:
        """All channels of an app."""
        c = t.channels.c
        return many(self._c, select(t.channels).where(c.app == app).order_by(c.channel, c.base_id), ChannelRecord)

    def put(self, record: ChannelRecord) -> None:
        """Add or replace it."""
        upsert(self._c, t.channels, values_of(record))

    def recalls(self, app: str, channel: str, base_id: str) -> tuple[RecallRecord, ...]:
        """Recalls, oldest first."""
        r = t.recalls.c
        query = select(t.recalls).where(r.app == app, r.channel == channel, r.base_id == base_id)
        return many(self._c, query.order_by(r.created_at, r.digest), RecallRecord)

    def all_recalls(self, app: str) -> tuple[RecallRecord, ...]:
        """Recalls on every channel of an app, by channel."""
        r = t.recalls.c
        query = select(t.recalls).where(r.app == app).order_by(r.channel, r.base_id, r.created_at)
        return many(self._c, query, RecallRecord)

    def add_recall(self, record: RecallRecord) -> bool:
        """Add it; False if the digest was recalled there."""
        return insert_new(self._c, t.recalls, [values_of(record)]) == 1


class SqlRollouts:
    """Rollouts and decisions."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def get(self, app: str, rollout: str) -> RolloutRecord | None:
        """One rollout."""
        return one(
            self._c, select(t.rollouts).where(t.rollouts.c.app == app, t.rollouts.c.id == rollout), RolloutRecord
        )

    def find(self, app: str, channel: str, base_id: str, name: str, release: int) -> RolloutRecord | None:
        """The newest rollout of a release on a channel."""
        r = t.rollouts.c
        query = select(t.rollouts).where(
            r.app == app, r.channel == channel, r.base_id == base_id, r.name == name, r.release == release
        )
        return one(self._c, query.order_by(r.created_at.desc(), r.id.desc()).limit(1), RolloutRecord)

    def all(self, app: str, channel: str | None = None, base_id: str | None = None) -> tuple[RolloutRecord, ...]:
        """Rollouts, oldest first."""
        r = t.rollouts.c
        query = select(t.rollouts).where(r.app == app).order_by(r.created_at, r.id)
        if channel is not None:
            query = query.where(r.channel == channel)
        if base_id is not None:
            query = query.where(r.base_id == base_id)
        return many(self._c, query, RolloutRecord)

    def put(self, record: RolloutRecord) -> None:
        """Add or replace it."""
        upsert(self._c, t.rollouts, values_of(record))

    def log(self, record: DecisionRecord) -> None:
        """Add a decision; its id is given here."""
        self._c.execute(insert(t.decisions).values(values_of(record, without=("id",))))

    def decisions(self, app: str, rollout: str, limit: int = 1000) -> tuple[DecisionRecord, ...]:
        """The newest ``limit`` decisions, oldest first."""
        d = t.decisions.c
        query = select(t.decisions).where(d.app == app, d.rollout == rollout).order_by(d.id.desc()).limit(limit)
        return many(self._c, query, DecisionRecord)[::-1]

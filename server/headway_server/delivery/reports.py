"""Reading rollouts: where each stands, what devices reported, what was decided and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headway_server.delivery.rollouts import unknown_rollout
from headway_server.ports import Ports
from headway_server.records import ChannelRecord, DecisionRecord, RolloutRecord


@dataclass(frozen=True, slots=True)
class RolloutReport:
    """A rollout and its events by kind."""

    rollout: RolloutRecord
    counts: Mapping[str, int]


def listed(ports: Ports, app: str) -> tuple[RolloutReport, ...]:
    """All rollouts, oldest first."""
    with ports.database.read() as tx:
        return tuple(RolloutReport(r, tx.outcomes.counts(app, r.id)) for r in tx.rollouts.all(app))


def one(ports: Ports, app: str, rollout: str) -> RolloutReport:
    """One rollout; raises ``unknown_rollout``."""
    with ports.database.read() as tx:
        record = tx.rollouts.get(app, rollout)
        if record is None:
            raise unknown_rollout()
        return RolloutReport(record, tx.outcomes.counts(app, rollout))


def decisions(ports: Ports, app: str, rollout: str) -> tuple[DecisionRecord, ...]:
    """All decisions about a rollout, oldest first; raises ``unknown_rollout``."""
    one(ports, app, rollout)
    with ports.database.read() as tx:
        return tx.rollouts.decisions(app, rollout)


def totals(ports: Ports, app: str) -> tuple[tuple[str, str, int, str, str, int], ...]:
    """Rows ``(channel, name, release, kind, detail or gain, count)``."""
    with ports.database.read() as tx:
        return tx.outcomes.totals(app)


def channels(ports: Ports, app: str) -> tuple[ChannelRecord, ...]:
    """All channels of an app."""
    with ports.database.read() as tx:
        return tx.channels.all(app)

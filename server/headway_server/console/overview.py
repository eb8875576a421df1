"""What the pages show, gathered from the use cases into plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headway_server.catalog import lineage, reproving
from headway_server.delivery import reports
from headway_server.delivery.reports import RolloutReport
from headway_server.ports import Ports
from headway_server.publication import audit
from headway_server.records import (
    AuditRecord,
    BaseRecord,
    ChannelRecord,
    DecisionRecord,
    EdgeRecord,
    HeadRecord,
    ProofRunRecord,
    RecallRecord,
    RolloutRecord,
)

MOST = 60
"""Head releases on the page."""


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel with its rollouts, newest first, their last decisions, and its recalls."""

    channel: ChannelRecord
    rollouts: tuple[RolloutReport, ...]
    last: Mapping[str, DecisionRecord]
    recalls: tuple[RecallRecord, ...]


@dataclass(frozen=True, slots=True)
class AppView:
    """Everything on an app's page."""

    app: str
    bases: tuple[BaseRecord, ...]
    heads: tuple[HeadRecord, ...]
    edges: tuple[EdgeRecord, ...]
    proof_runs: tuple[ProofRunRecord, ...]
    channels: tuple[ChannelView, ...]
    outcomes: tuple[tuple[str, str, int, str, str, int], ...]
    audit: tuple[AuditRecord, ...]
    signed_at: int | None

    @property
    def newest(self) -> tuple[HeadRecord, ...]:
        """The releases that the page lists; the others are found by searching."""
        return self.heads[:MOST]

    def is_revoked(self, rollout: RolloutRecord) -> bool:
        """Whether the publisher has revoked what a rollout offers: no device takes it, and those that have it leave."""
        key = (rollout.base_id, rollout.name, rollout.release)
        return any((h.base_id, h.name, h.release) == key for h in self.heads if h.state == "revoked")

    @property
    def proofs(self) -> Mapping[tuple[str, str, int, str], EdgeRecord]:
        """Edges by (base id, head name, release, base digest)."""
        return {(e.base_id, e.name, e.release, str(e.base)): e for e in self.edges}

    @property
    def last_runs(self) -> Mapping[tuple[str, str, int, str], ProofRunRecord]:
        """The newest proof run again for each of those edges that has one."""
        return {(r.base_id, r.name, r.release, str(r.base)): r for r in reversed(self.proof_runs)}

    @property
    def reported(self) -> int:
        """All events together."""
        return sum(row[5] for row in self.outcomes)


def of_app(ports: Ports, app: str) -> AppView:
    """The page of one app; raises ``unknown_app``."""
    all_rollouts = reports.listed(ports, app)
    return AppView(
        app=app,
        bases=lineage.bases(ports, app),
        heads=lineage.heads(ports, app)[::-1],
        edges=lineage.edges(ports, app),
        proof_runs=reproving.listed(ports, app),
        channels=tuple(_channel(ports, record, all_rollouts) for record in reports.channels(ports, app)),
        outcomes=reports.totals(ports, app),
        # Uploads are many and say little; the API lists them all.
        audit=tuple(e for e in audit.listed(ports, app, 150, None) if e.action != "artifact.add")[:30],
        signed_at=_signed_at(ports, app),
    )


def _channel(ports: Ports, record: ChannelRecord, rollouts: tuple[RolloutReport, ...]) -> ChannelView:
    mine = tuple(
        item
        for item in reversed(rollouts)
        if (item.rollout.channel, item.rollout.base_id) == (record.channel, record.base_id)
    )
    last = {}
    for item in mine:
        decisions = reports.decisions(ports, record.app, item.rollout.id)
        if decisions:
            last[item.rollout.id] = decisions[-1]
    with ports.database.read() as tx:
        recalls = tx.channels.recalls(record.app, record.channel, record.base_id)
    return ChannelView(record, mine, last, recalls)


def _signed_at(ports: Ports, app: str) -> int | None:
    with ports.database.read() as tx:
        timestamp = tx.roles.current(app, "timestamp")
    return None if timestamp is None else timestamp.created_at

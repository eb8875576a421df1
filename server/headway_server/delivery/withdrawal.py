"""A release that is taken back is not rolled out any more: recalled on a channel, or revoked by its publisher.

What always holds: the rollouts of such a release are decided about in the very transaction that takes it back, so no
device and no reader ever sees a rollout go on with what was withdrawn; and each is logged like every other decision.
"""

from __future__ import annotations

from collections.abc import Collection

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway_server.delivery.channels import ChannelKey, changing, sign_if_changed
from headway_server.delivery.rollouts import UNDER_WAY, judge
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.records import RecallRecord, RolloutRecord


def recall(ports: Ports, actor: Actor, key: ChannelKey, digest: Digest, reason: str) -> bool:
    """Order devices off a head by its digest, and halt what rolls it out; False if it was recalled before.

    Raises:
        RefusedError: codes ``no_trust``, ``unknown_head``, ``malformed`` (a reason that is not printable ASCII).
    """
    key.checked()
    with changing(ports, key) as tx:
        if tx.releases.head_by_digest(key.app, digest) is None:
            raise RefusedError(
                "unknown_head",
                "The registry has no head with that digest.",
                hint="Recall the digest of head.mlmodel; `headway heads list` shows it.",
                kind="not_found",
                digest=digest,
            )
        new = tx.channels.add_recall(RecallRecord(key.app, key.channel, key.base_id, digest, reason, ports.clock()))
        if new:
            facts = {"channel": key.channel, "base_id": key.base_id, "digest": digest, "reason": reason}
            audit.record(ports, tx, actor, key.app, "head.recall", f"{key} {digest}", **facts)
            for rollout in _under_way(tx, key.app, key.base_id, key.channel):
                if rollout.head == digest:
                    judge(ports, tx, actor, rollout)
    return new


def halt_withdrawn(
    ports: Ports, tx: Transaction, actor: Actor, app: str, base_id: str, releases: Collection[str]
) -> None:
    """Decide about what rolls out these releases (``name@number``), which signed metadata no longer lists as live.

    Channels in which that changes something are signed; the caller seals.
    """
    changed = set()
    for rollout in _under_way(tx, app, base_id):
        if f"{rollout.name}@{rollout.release}" in releases:
            record, _ = judge(ports, tx, actor, rollout)
            if record != rollout:
                changed.add(ChannelKey(app, rollout.channel, base_id))
    for key in sorted(changed, key=str):
        sign_if_changed(ports, tx, key)


def _under_way(tx: Transaction, app: str, base_id: str, channel: str | None = None) -> tuple[RolloutRecord, ...]:
    return tuple(rollout for rollout in tx.rollouts.all(app, channel, base_id) if rollout.state in UNDER_WAY)

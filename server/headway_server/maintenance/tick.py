"""The regular job: decide about every rollout, sign timestamps anew before anyone could miss them, send webhooks.

Run it every few minutes from a timer (``headway server tick``); running it twice at once is harmless.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from headway_server.delivery.ratelimit import forget_full
from headway_server.delivery.rollouts import tick_all
from headway_server.maintenance.lateness import alarm
from headway_server.notifying.sending import forget_old, send_due
from headway_server.ports import Actor, Ports
from headway_server.publication import audit
from headway_server.publication.mirror import mirror
from headway_server.publication.seal import reseal_timestamp, seal, sign_channels


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick did for one app: decisions as ``(rollout, action, reason)``, and whether it signed anew."""

    app: str
    decisions: tuple[tuple[str, str, str], ...]
    resigned: bool


def tick(ports: Ports, actor: Actor) -> tuple[Ticked, ...]:
    """Run the regular job for every app."""
    alarm(ports, actor)
    with ports.database.read() as tx:
        apps = [record.app for record in tx.apps.all()]
    done = tuple(_tick_app(ports, actor, app) for app in apps)
    send_due(ports)
    forget_old(ports)
    forget_full(ports, time.time())
    return done


def _tick_app(ports: Ports, actor: Actor, app: str) -> Ticked:
    decisions = tuple((r.id, d.action, d.reason) for r, d in tick_all(ports, actor, app))
    resigned = _resign(ports, actor, app)
    mirror(ports, app)
    return Ticked(app, decisions, resigned)


def _resign(ports: Ports, actor: Actor, app: str) -> bool:
    with ports.database.write(app) as tx:
        timestamp, snapshot = tx.roles.current(app, "timestamp"), tx.roles.current(app, "snapshot")
        channels = tx.roles.current(app, "channels")
        if timestamp is None or snapshot is None or channels is None:
            return False
        after_s = ports.settings.resign_after_s
        if ports.clock() - timestamp.created_at < after_s:
            return False
        # Snapshot and channels live longer than the timestamp; a week is a safe quarter of their life.
        if ports.clock() - min(snapshot.created_at, channels.created_at) >= 7 * after_s:
            sign_channels(ports, tx, app)
            seal(ports, tx, app)
        else:
            reseal_timestamp(ports, tx, app)
        audit.record(ports, tx, actor, app, "timestamp.resign", app)
        return True

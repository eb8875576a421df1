"""The alarm for a timestamp that was not renewed in time: devices refuse new releases once it has expired.

Told once for each timestamp, in the log (as an error), the audit log, and to webhooks. It needs no key and changes
nothing that is signed, so it also works where renewing itself is what fails.
"""

from __future__ import annotations

import logging

from headway_server.ports import Actor, Ports
from headway_server.publication import audit

_log = logging.getLogger("headway.server")
_LATE_AFTER = 2
"""A timestamp is late when this many times the interval of renewing has passed."""


def alarm(ports: Ports, actor: Actor) -> tuple[str, ...]:
    """Raise the alarm for every late timestamp that it was not raised for; the apps that are late now."""
    with ports.database.read() as tx:
        stamps = {record.app: tx.roles.current(record.app, "timestamp") for record in tx.apps.all()}
    now, after_s = ports.clock(), _LATE_AFTER * ports.settings.resign_after_s
    late = {app: stamp for app, stamp in stamps.items() if stamp is not None and now - stamp.created_at >= after_s}
    for app, stamp in late.items():
        subject = f"timestamp {stamp.version}"
        with ports.database.write(app) as tx:
            if tx.audit.has(app, "timestamp.late", subject):
                continue
            age_s = now - stamp.created_at
            audit.record(ports, tx, actor, app, "timestamp.late", subject, version=stamp.version, age_s=age_s)
        _log.error("timestamp is late", extra={"app": app, "version": stamp.version, "age_s": age_s})
    return tuple(late)

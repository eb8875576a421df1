"""How long each role's signature holds. Short where the key is online, long where people must come together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headway.trust.wire import whole_seconds


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Days until a role expires, counted from signing."""

    root_days: int = 365
    targets_days: int = 365
    publisher_days: int = 180
    channels_days: int = 30
    snapshot_days: int = 30
    timestamp_days: int = 7

    def expiry(self, role: str, now: datetime) -> datetime:
        """When ``role`` expires if it is signed at ``now`` (UTC, whole seconds)."""
        days = {
            "root": self.root_days,
            "targets": self.targets_days,
            "channels": self.channels_days,
            "snapshot": self.snapshot_days,
            "timestamp": self.timestamp_days,
        }.get(role, self.publisher_days)
        return whole_seconds(now) + timedelta(days=days)


LIFETIMES = Lifetimes()

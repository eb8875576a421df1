"""Rate limits that hold over all workers and hosts: the buckets stand in the database, each changed by one statement.

A busy source would make that one write per request. So a worker takes a few units at once, at most what the bucket
refills in half a second, and spends them from memory within a second; and who was refused is refused from memory until
his time has come. What is granted over all workers never exceeds the burst and the rate. Polls are never counted.

Outcomes come from very many sources, a request or two from each: one write for each would cost more than the outcomes.
So each worker grants a source a small share of its limit (``unshared``) from memory, and asks the shared bucket only
beyond that; over all workers such a limit is exceeded by at most that share for each worker.

No address is stored: a key is an HMAC of it under the server's own secret, and is forgotten once its bucket is full.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from headway.contract.errors import RefusedError
from headway_server.ports import Database, Ports, ServerSecret

LIMITS = "headway.limits"
"""Under which name the web application keeps its :class:`Limits`."""

_MOST_SOURCES = 20_000
_LEASE_S = 1.0
_US = 1_000_000


@dataclass(slots=True)
class _Lease:
    """What this worker may still spend for a source until ``until``, or until when it is refused."""

    units: int
    until: float
    refused: bool


class RateLimiter:
    """One kind of limit: ``per_s`` units a second in the long run and ``burst`` at once, for each source.

    ``clock`` is in seconds since 1970; all workers and hosts must agree on it to within what a limit may be off.
    """

    def __init__(
        self,
        database: Database,
        secret: ServerSecret,
        kind: str,
        per_s: float,
        burst: int,
        *,
        unshared: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._secret, self._kind, self._clock = database, secret, kind, clock
        self._cost_us = max(1, round(_US / per_s))
        self._burst_us = self._cost_us * burst
        self._units = max(1, min(burst // 20, int(per_s * _LEASE_S / 2)))
        self._leases: OrderedDict[str, _Lease] = OrderedDict()
        # In memory, a bucket of this many units that fills at the same share of the rate.
        self._unshared = unshared
        self._unshared_cost_s = burst / (per_s * unshared) if unshared else 0.0
        self._quiet_until: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, source: str) -> float:
        """Take one unit for ``source``; 0 if there was one, else the seconds until there will be."""
        now = self._clock()
        with self._lock:
            known = self._remembered(source, now)
        return self._ask(source, now) if known is None else known

    def take_from_memory(self, source: str) -> bool:
        """Take one unit if this worker has one for ``source`` without asking the database; else nothing happens."""
        with self._lock:
            return self._remembered(source, self._clock()) == 0

    def _remembered(self, source: str, now: float) -> float | None:
        """What memory says: 0 and a unit is taken, the seconds to wait, or None if the database must be asked."""
        if self._is_quiet(source, now):
            return 0.0
        lease = self._leases.get(source)
        if lease is not None and now < lease.until <= now + max(_LEASE_S, self._burst_us / _US):
            if lease.refused:
                return lease.until - now
            if lease.units > 0:
                lease.units -= 1
                return 0.0
        return None

    def _is_quiet(self, source: str, now: float) -> bool:
        """Take one unit of the source's own share in this worker, if one is left."""
        full_at = max(now, self._quiet_until.get(source, now)) + self._unshared_cost_s
        if not self._unshared or full_at - now > self._unshared * self._unshared_cost_s + 1e-6:
            return False
        self._quiet_until[source] = full_at
        self._quiet_until.move_to_end(source)
        if len(self._quiet_until) > _MOST_SOURCES:
            self._quiet_until.popitem(last=False)
        return True

    def check(self, source: str, what: str) -> None:
        """Take one unit for ``source``.

        Raises:
            RefusedError: code ``rate_limited``, with ``retry_after_s``.
        """
        wait_s = self.wait_s(source)
        if wait_s > 0:
            raise RefusedError(
                "rate_limited",
                f"Too many {what}.",
                hint="Wait as long as Retry-After says, and send less at once.",
                kind="rate_limited",
                retry_after_s=int(wait_s) + 1,
            )

    def _ask(self, source: str, now: float) -> float:
        key, now_us = self._key(source), int(now * _US)
        wait_us = None
        with self._database.write() as tx:
            for units in sorted({self._units, 1}, reverse=True):
                wait_us = tx.limits.take(key, units * self._cost_us, self._burst_us, now_us)
                if wait_us is None:
                    self._remember(source, _Lease(units - 1, now + _LEASE_S, refused=False), now)
                    return 0.0
        wait_s = (wait_us or 1) / _US
        self._remember(source, _Lease(0, now + wait_s, refused=True), now)
        return wait_s

    def _remember(self, source: str, lease: _Lease, now: float) -> None:
        with self._lock:
            # Another thread may have asked at the same time: what it was granted is not thrown away.
            held = self._leases.get(source)
            if held is not None and held.units > 0 and held.until > now and not held.refused:
                if lease.refused:
                    return
                lease.units += held.units
            self._leases[source] = lease
            self._leases.move_to_end(source)
            if len(self._leases) > _MOST_SOURCES:
                self._leases.popitem(last=False)

    def _key(self, source: str) -> str:
        return f"{self._kind}/{self._secret.derive('rate limit', self._kind, source).hex()[:40]}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server: reports by source, publisher requests by token, wrong tokens by source."""

    outcomes: RateLimiter
    api: RateLimiter
    logins: RateLimiter


def make_limits(ports: Ports) -> Limits:
    """The limits that the settings ask for."""
    settings = ports.settings

    def limiter(kind: str, per_s: float, burst: int, unshared: int = 0) -> RateLimiter:
        return RateLimiter(ports.database, ports.secret, kind, per_s, burst, unshared=unshared)

    few = settings.outcomes_burst // 50
    return Limits(
        outcomes=limiter("outcomes", settings.outcomes_per_s, settings.outcomes_burst, few),
        api=limiter("api", settings.api_per_s, settings.api_burst),
        logins=limiter("logins", settings.login_failures_per_s, settings.login_failures_burst),
    )


def source_of(address: str) -> str:
    """Who counts as one source: an IPv4 address, or the /64 network that one subscriber of IPv6 usually has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def forget_full(ports: Ports, now_s: float) -> None:
    """Remove buckets that have been full for a minute: they say nothing that an absent one does not."""
    with ports.database.write() as tx:
        tx.limits.forget(int((now_s - 60) * _US))

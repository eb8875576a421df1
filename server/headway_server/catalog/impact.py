"""The impact query: if the app ships this base, which heads would devices still have, and which would they lose?

By the same :func:`headway.contract.compat.judge` that devices use. The share of devices on each base is estimated from
what they report; it is a share of reports, since nobody counts devices.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from headway.contract.compat import HostProfile, Incompatible, judge
from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.targets import HeadTarget
from headway_server.catalog import apps
from headway_server.ports import Ports


@dataclass(frozen=True, slots=True)
class HeadImpact:
    """One live head on the base in question: why it would not run there; no reason means it would."""

    base_id: str
    name: str
    release: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Impact:
    """What shipping a base means. ``reports_by_base`` and ``reports_by_name`` count confirmations so far, per base
    digest and per head name.
    """

    base: Digest
    heads: tuple[HeadImpact, ...]
    reports_by_base: dict[str, int]
    reports_by_name: dict[str, int]

    @property
    def lost(self) -> tuple[str, ...]:
        """Head names of which no live release runs on the base."""
        running = {head.name for head in self.heads if not head.reasons}
        return tuple(sorted({head.name for head in self.heads} - running))

    @property
    def lost_permyriad(self) -> int:
        """The share of all confirmations that were of heads which the base would lose, out of 10,000."""
        lost = sum(self.reports_by_name.get(name, 0) for name in self.lost)
        return round(lost * 10_000 / (sum(self.reports_by_name.values()) or 1))

    @property
    def shares_by_base(self) -> dict[str, int]:
        """The share of all confirmations that came from each base, out of 10,000."""
        total = sum(self.reports_by_base.values()) or 1
        return {base: round(count * 10_000 / total) for base, count in self.reports_by_base.items()}


def of_base(ports: Ports, app: str, package: Digest) -> Impact:
    """Judge every live head against a registered base.

    Raises:
        RefusedError: codes ``unknown_app``, ``unknown_base``.
    """
    with ports.database.read() as tx:
        apps.known(tx, app)
        base = tx.releases.base_by_digest(app, package)
        if base is None:
            raise RefusedError(
                "unknown_base",
                "The registry has no base with that digest.",
                hint="Register the base first (a dry run says its digest).",
                kind="not_found",
                base=package,
            )
        live = [HeadTarget.from_json(head.custom) for head in tx.releases.heads(app) if head.state == "live"]
        reports = dict(tx.outcomes.by_base(app))
        by_name: Counter[str] = Counter()
        for _, name, _, kind, _, count in tx.outcomes.totals(app):
            by_name[name] += count if kind == "confirmed" else 0
    judged = []
    for head in live:
        host = HostProfile(app, base.package, base.contract, head.min_os, head.min_app_build)
        verdict = judge(head, host)
        reasons = tuple(str(reason) for reason in verdict.reasons) if isinstance(verdict, Incompatible) else ()
        judged.append(HeadImpact(head.base_id, head.name, head.release, reasons))
    return Impact(package, tuple(judged), reports, dict(by_name))

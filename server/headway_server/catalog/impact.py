"""The impact query: if the app ships this base, which heads would devices still have, and which would they lose?

By the same :func:`headway.contract.compat.judge` that devices use. The share of devices on each base is estimated from
what they report; it is a share of reports, since nobody counts devices.
"""

from __future__ import annotations

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
    """What shipping a base means. ``reports_by_base`` counts confirmations per base digest, so far."""

    base: Digest
    heads: tuple[HeadImpact, ...]
    reports_by_base: dict[str, int]

    @property
    def lost(self) -> tuple[str, ...]:
        """Head names of which no live release runs on the base."""
        running = {head.name for head in self.heads if not head.reasons}
        return tuple(sorted({head.name for head in self.heads} - running))


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
    judged = []
    for head in live:
        host = HostProfile(app, base.package, base.contract, head.min_os, head.min_app_build)
        verdict = judge(head, host)
        reasons = tuple(str(reason) for reason in verdict.reasons) if isinstance(verdict, Incompatible) else ()
        judged.append(HeadImpact(head.base_id, head.name, head.release, reasons))
    return Impact(package, tuple(judged), reports)

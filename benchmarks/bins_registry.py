"""What the registry spends to take one release in: for ``benchmarks/bins.py``.

A real registry on SQLite and a folder, filled with records of heads as if each had been examined: the cost of accepting
signed metadata is measured, not that of examining models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from headway.contract.targets import HeadTarget
from headway.trust.bins import HeadRoles, arranged, placed
from headway.trust.keys import SigningKey
from headway.trust.repository import Holders, TrustPlan, create_trust
from headway.trust.roles import TargetEntry, edit, head_entry, heads_role
from headway.trust.wire import add_signatures
from headway_server.app import make_ports
from headway_server.catalog import apps, trust
from headway_server.catalog.files import keep_manifest
from headway_server.catalog.signed_heads import update_heads
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate
from headway_server.examining import AbsentExaminer
from headway_server.maintenance.tick import tick
from headway_server.ports import Actor, Ports
from headway_server.records import BaseRecord, EdgeRecord, HeadRecord
from headway_server.settings import Settings

APP, ACTOR, ROUNDS = "reader", Actor("benchmark", "-"), 5
TOGETHER = 64  # bins that a publisher renews in one request
DAY_S = 86_400
Manifest = Callable[[str, int], bytes]


@dataclass(frozen=True)
class Spent:
    """Processor time: in ms for one release of a head (median of :data:`ROUNDS`) and for the daily tick, which signs
    the timestamp anew; in s for taking a renewal of every role, and for all heads at once, each new to the records.
    """

    heads: int
    bins: int
    release_ms: float
    tick_ms: float
    renewal_s: float
    whole_s: float


def measure(
    folder: Path, base_id: str, heads: int, bits: int, head: Callable[[str, int], HeadTarget], manifest: Manifest
) -> Spent:
    """Fill a registry with ``heads`` heads in ``2 ** bits`` bins, then publish a second release of some of them."""
    settings = Settings(data_dir=folder)
    folder.mkdir(parents=True)
    database = SqlDatabase(settings.resolved_database_url)
    migrate(database.engine)
    ports = make_ports(settings, database=database, examiner=AbsentExaminer())
    key = SigningKey.generate()
    _establish(ports, base_id, key)
    roles = HeadRoles(base_id, bits)
    targets = [head(f"head-{n}", 1) for n in range(heads)]
    _bases(ports, targets[0])
    _examined(ports, targets, manifest)
    entries = [head_entry(target, manifest(target.name, 1)) for target in targets]
    held = Holders((key.public,))
    current = _signed(arranged(roles, entries, held, {heads_role(base_id): 1}, now=_now()), key)
    start = time.process_time()
    update_heads(ports, ACTOR, APP, current)
    whole_s = time.process_time() - start
    spent = []
    for number in range(ROUNDS):
        target = head(f"head-{number}", 2)
        _examined(ports, [target], manifest)
        entry = head_entry(target, manifest(target.name, 2))
        new = _signed(placed(roles, current, [entry], now=_now()), key)
        start = time.process_time()
        update_heads(ports, ACTOR, APP, new)
        spent.append((time.process_time() - start) * 1e3)
        current |= new
    tick_ms = _ticked(ports)
    renewal_s = _renewed(ports, roles, current, key)
    database.close()
    return Spent(heads, len(roles.listing), median(spent), tick_ms, renewal_s, whole_s)


def _ticked(ports: Ports) -> float:
    """One tick a day later, in ms."""
    tomorrow = replace(ports, clock=lambda: int(time.time()) + DAY_S)
    start = time.process_time()
    (done,) = tick(tomorrow, ACTOR)
    assert done.resigned
    return (time.process_time() - start) * 1e3


def _renewed(ports: Ports, roles: HeadRoles, current: Mapping[str, bytes], key: SigningKey) -> float:
    """Every role signed anew without a change, in the groups in which a publisher sends them, in s."""
    bins = roles.listing if roles.bits else ()
    groups = [bins[first : first + TOGETHER] for first in range(0, len(bins), TOGETHER)]
    signed = [
        _signed({role: edit(current[role], role, now=_now()) for role in group}, key)
        for group in (*groups, (roles.parent,))
    ]
    start = time.process_time()
    for group in signed:
        update_heads(ports, ACTOR, APP, group)
    return time.process_time() - start


def table(rows: Iterable[Spent]) -> list[str]:
    """The lines of the page."""
    return [
        "## What the registry spends",
        "",
        "Processor time of accepting signed metadata, on SQLite and a folder: of one release (median of"
        f" {ROUNDS}); of the daily tick,",
        "which signs the timestamp anew; of a renewal of every role, which a publisher sends in groups of"
        f" {TOGETHER} bins, twice a year;",
        "and of all heads at once, each new to the records: a split sends as much.",
        "",
        "| heads | roles that list them | one release, ms | daily tick, ms | renewal of all, s | all at once, s |",
        "|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row.heads:,} | {row.bins} | {row.release_ms:.0f} | {row.tick_ms:.0f} | {row.renewal_s:.1f} "
            f"| {row.whole_s:.1f} |"
            for row in rows
        ),
        "",
    ]


def _now() -> datetime:
    return datetime.now(UTC)


def _establish(ports: Ports, base_id: str, key: SigningKey) -> None:
    online, _ = apps.create(ports, ACTOR, APP)
    one = Holders((key.public,))
    plan = TrustPlan(APP, one, one, one, {base_id: one}, online)
    trust.establish(ports, ACTOR, APP, create_trust(plan, [key], now=_now()))


def _bases(ports: Ports, target: HeadTarget) -> None:
    with ports.database.write(APP) as tx:
        for number, base in enumerate(target.bases, 1):
            tx.releases.add_base(
                BaseRecord(
                    APP, target.base_id, str(number), base.digest, target.contract, {}, base.proof, 1, {}, None,
                    "benchmark", "registered", 0,
                )
            )  # fmt: skip


def _examined(ports: Ports, targets: Iterable[HeadTarget], manifest: Manifest) -> None:
    with ports.database.write(APP) as tx:
        for target in targets:
            entry: TargetEntry = head_entry(target, manifest(target.name, target.release))
            names = tuple(f"label {n}" for n in range(target.num_classes))
            record = HeadRecord(
                APP, target.base_id, target.name, target.release, target.head, None, target.contract, target.labels,
                names, entry.digest, target.bytes, target.to_json(), None, "benchmark", "registered", 0,
            )  # fmt: skip
            edges = [
                EdgeRecord(
                    APP, target.base_id, target.name, target.release, base.digest, base.proof, {}, None, "stated", 0
                )
                for base in target.bases
            ]
            tx.releases.add_head(record, edges)
            keep_manifest(ports, tx, APP, entry.path, entry.digest, manifest(target.name, target.release))


def _signed(drafts: Mapping[str, bytes], key: SigningKey) -> dict[str, bytes]:
    return {role: add_signatures(draft, role, [key]) for role, draft in drafts.items()}

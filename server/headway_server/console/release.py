"""What the page of one release shows: its gate, what was waived and why, and every proof with its date."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.manifest import base_manifest_path, head_manifest_path
from headway_server.catalog import cards, lineage, reproving
from headway_server.catalog.cards import GateLine
from headway_server.ports import Ports
from headway_server.records import BaseRecord, EdgeRecord, HeadRecord, ProofRunRecord


@dataclass(frozen=True, slots=True)
class ProofView:
    """One edge: the base it leads to, the proofs kept at registration, and those run again, newest first."""

    edge: EdgeRecord
    base: BaseRecord
    runs: tuple[ProofRunRecord, ...]


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """One head release or one base version; a base has no proofs of its own."""

    title: str
    release: HeadRecord | BaseRecord
    gate: tuple[GateLine, ...]
    proofs: tuple[ProofView, ...] = ()


def of_head(ports: Ports, app: str, base_id: str, name: str, release: int) -> ReleaseView | None:
    """The page of a head release, or None; raises ``unknown_app``."""
    found = [h for h in lineage.heads(ports, app, name) if (h.base_id, h.release) == (base_id, release)]
    if not found:
        return None
    key = (base_id, name, release)
    bases = {base.package: base for base in lineage.bases(ports, app)}
    runs = [run for run in reproving.listed(ports, app) if (run.base_id, run.name, run.release) == key]
    proofs = tuple(
        ProofView(edge, bases[edge.base], tuple(run for run in runs if run.base == edge.base))
        for edge in lineage.edges(ports, app)
        if (edge.base_id, edge.name, edge.release) == key
    )
    gate = cards.gate(ports, app, head_manifest_path(base_id, name, release), found[0].manifest)
    return ReleaseView(f"{name}@{release}", found[0], gate, proofs)


def of_base(ports: Ports, app: str, base_id: str, version: str) -> ReleaseView | None:
    """The page of a base version, or None; raises ``unknown_app``."""
    found = [b for b in lineage.bases(ports, app) if (b.base_id, b.version) == (base_id, version)]
    if not found:
        return None
    gate = cards.gate(ports, app, base_manifest_path(base_id, version), found[0].manifest)
    return ReleaseView(f"{base_id}@{version}", found[0], gate)

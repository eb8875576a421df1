"""Lineage: which head came from which, and on which base each is proven, by digest."""

from __future__ import annotations

from headway.contract.digests import Digest
from headway_server.catalog import apps
from headway_server.ports import Ports
from headway_server.records import BaseRecord, EdgeRecord, HeadRecord, JsonObject


def bases(ports: Ports, app: str) -> tuple[BaseRecord, ...]:
    """All base versions; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.releases.bases(app)


def heads(ports: Ports, app: str, name: str | None = None) -> tuple[HeadRecord, ...]:
    """All head releases, or those of one name; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.releases.heads(app, name)


def recalled_on(ports: Ports, app: str) -> dict[tuple[str, Digest], tuple[str, ...]]:
    """Channels on which heads are recalled, by base id and digest; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        recalls = tx.channels.all_recalls(app)
    found: dict[tuple[str, Digest], tuple[str, ...]] = {}
    for recall in recalls:
        key = (recall.base_id, recall.digest)
        found[key] = (*found.get(key, ()), recall.channel)
    return found


def edges(ports: Ports, app: str) -> tuple[EdgeRecord, ...]:
    """All head→base edges; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.releases.edges(app)


def graph(ports: Ports, app: str) -> JsonObject:
    """Nodes (``id`` is a digest for bases, ``name@release`` for heads) and typed edges; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        all_bases, all_heads, all_edges = tx.releases.bases(app), tx.releases.heads(app), tx.releases.edges(app)
    by_digest = {head.head: head_id(head) for head in all_heads}
    nodes = [
        {"id": b.package, "kind": "base", "label": f"{b.base_id}@{b.version}", "state": b.state} for b in all_bases
    ]
    nodes += [{"id": head_id(h), "kind": "head", "label": f"{h.name}@{h.release}", "state": h.state} for h in all_heads]
    links: list[JsonObject] = [
        {"kind": "parent", "from": head_id(h), "to": by_digest[h.parent]}
        for h in all_heads
        if h.parent is not None and h.parent in by_digest
    ]
    contracts = {(h.base_id, h.name, h.release): h.contract for h in all_heads}
    links += [
        {
            "kind": "runs_on",
            "from": f"{e.base_id}/{e.name}@{e.release}",
            "to": e.base,
            "contract": contracts[e.base_id, e.name, e.release],
            "proof": e.proof_digest,
            "reproven": e.reproof is not None,
        }
        for e in all_edges
    ]
    return {"nodes": nodes, "edges": links}


def head_id(head: HeadRecord) -> str:
    """The id of a head release inside its app: ``base_id/name@release``."""
    return f"{head.base_id}/{head.name}@{head.release}"

"""Prove an edge of head and base again on request: after an upgrade of what runs models, or when someone doubts.

The result is a new dated record beside the old ones. It changes nothing that devices see: a proof that no longer holds
is for a person to act upon, by a recall or a new release.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from headway.contract.digests import Digest
from headway.contract.errors import HeadwayError, RefusedError
from headway.contract.manifest import head_manifest_path
from headway.contract.proof import NotProven, Proof, assess
from headway_server.catalog import apps
from headway_server.catalog.files import laid_out, read_manifest
from headway_server.catalog.proofs import run_again
from headway_server.ports import Actor, Examined, Ports
from headway_server.publication import audit
from headway_server.records import BaseRecord, HeadRecord, ProofRunRecord

_BUSY_S = 5
_one_at_a_time = Lock()  # a run may take all the memory that one is allowed


@dataclass(frozen=True, slots=True)
class Edge:
    """Which head release on which base."""

    base_id: str
    name: str
    release: int
    base: Digest


def rerun(ports: Ports, actor: Actor, app: str, edge: Edge) -> ProofRunRecord:
    """Run the golden batch of an edge again and record what came out, good or bad.

    Raises:
        RefusedError: codes ``unknown_app``, ``unknown_edge``, ``busy`` (another run is on; ``retry_after_s``).
    """
    if not _one_at_a_time.acquire(blocking=False):
        raise RefusedError(
            "busy",
            "Another proof is being run.",
            hint="Ask again when it is done; one runs at a time.",
            kind="rate_limited",
            retry_after_s=_BUSY_S,
        )
    try:
        head, base = _ends(ports, app, edge)
        result, note, proof = _run(ports, head, base)
    finally:
        _one_at_a_time.release()
    record = ProofRunRecord(
        id=0,
        app=app,
        base_id=edge.base_id,
        name=edge.name,
        release=edge.release,
        base=edge.base,
        at=ports.clock(),
        actor=actor.name,
        result=result,
        note=note,
        proof=None if proof is None else dict(proof.to_json()),
    )
    with ports.database.write(app) as tx:
        audit.record(ports, tx, actor, app, "proof.rerun", f"{edge.name}@{edge.release}", base=edge.base, result=result)
        return tx.proof_runs.add(record)


def listed(ports: Ports, app: str) -> tuple[ProofRunRecord, ...]:
    """The newest runs of an app, newest first; raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.proof_runs.all(app)


def _ends(ports: Ports, app: str, edge: Edge) -> tuple[HeadRecord, BaseRecord]:
    with ports.database.read() as tx:
        apps.known(tx, app)
        head = tx.releases.head(app, edge.base_id, edge.name, edge.release)
        base = tx.releases.base_by_digest(app, edge.base)
        edges = tx.releases.edges(app, edge.name, edge.base_id)
        known = any((e.release, e.base) == (edge.release, edge.base) for e in edges)
    if head is None or base is None or not known:
        raise RefusedError(
            "unknown_edge",
            f"{edge.name}@{edge.release} is not registered on that base.",
            hint="List the proofs of the app; register the head for the base to add one.",
            kind="not_found",
        )
    return head, base


def _run(ports: Ports, head: HeadRecord, base: BaseRecord) -> tuple[str, str, Proof | None]:
    """The result, a sentence about it, and the proof if there is one."""
    path = head_manifest_path(head.base_id, head.name, head.release)
    with ports.database.read() as tx:
        manifest = read_manifest(tx, head.app, path, head.manifest)
    if manifest is None:
        return "broken", "The head's manifest is gone.", None
    try:
        with laid_out(ports, head.app, manifest) as root:
            examined = run_again(ports, head.app, root, base)
    except HeadwayError as error:
        return "broken", error.message, None
    return _judged(examined, head, base)


def _judged(examined: Examined, head: HeadRecord, base: BaseRecord) -> tuple[str, str, Proof | None]:
    proof = examined.proof
    if proof is None:
        return "not_run", examined.note, None
    if (proof.head, proof.base) != (head.head, base.package):
        return "broken", "What was run is not what was registered: the stored files are damaged.", proof
    verdict = assess(proof)
    if isinstance(verdict, NotProven):
        return "not_proven", "; ".join(verdict.reasons), proof
    return "proven", examined.note, proof

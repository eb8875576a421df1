"""Register a head release: what its signed facts will say is checked here against its bytes, first and in full.

What always holds: a release number never changes its content and only grows; a head is kept only if it may run on
every base it names, by the same :func:`headway.contract.compat.judge` that devices use, with a proof for each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headway.contract.compat import SENTENCES, HostProfile, Incompatible, judge
from headway.contract.digests import digest_of
from headway.contract.errors import IncompatibleError, RefusedError
from headway.contract.manifest import Manifest, head_manifest_path
from headway.contract.parsing import Fields
from headway.contract.targets import HeadTarget
from headway_server.catalog import apps
from headway_server.catalog.bases import check_identity, immutable
from headway_server.catalog.files import keep_manifest, read_small, require_artifacts
from headway_server.catalog.proofs import Examination, examine, stated_proofs
from headway_server.catalog.provenance import check_provenance
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.records import BaseRecord, EdgeRecord, HeadRecord, JsonObject

HEAD, LABELS, GOLDEN = "head.mlmodel", "labels.json", "golden.safetensors"


@dataclass(frozen=True, slots=True)
class HeadUpload:
    """What a publisher says about a head: exact manifest, the facts he will sign, and a proof for each base."""

    base_id: str
    name: str
    release: int
    manifest: bytes
    custom: JsonObject
    proofs: tuple[JsonObject, ...]
    provenance: JsonObject | None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A head release that the registry has: its record, the edges added now, and whether anything is new."""

    head: HeadRecord
    edges: tuple[EdgeRecord, ...]
    new: bool


def register(ports: Ports, actor: Actor, app: str, upload: HeadUpload) -> Registered:
    """Examine and keep a head.

    Sending a registered release again with further bases in its facts adds the edges to those.

    Raises:
        RefusedError: codes ``malformed``, ``wrong_manifest``, ``wrong_facts``, ``missing_artifact``, ``unknown_base``,
            ``unknown_parent``, ``stale_release``, ``rule_broken``, ``immutable_release``, ``wrong_proof``; kind
            ``gate``: ``not_proven``.
        IncompatibleError: code ``incompatible``; the head may not run on a base it names.
    """
    manifest = Manifest.from_bytes(upload.manifest)
    check_identity(manifest, "head", app, upload.name, str(upload.release))
    target = HeadTarget.from_json(upload.custom)
    _check_facts(app, upload, manifest, target)
    with ports.database.read() as tx:
        apps.known(tx, app)
        require_artifacts(tx, app, manifest)
        required = ports.settings.require_provenance
        check_provenance(tx, app, f"heads-{target.base_id}", upload.provenance, manifest, required=required)
        bases = _bases(tx, app, target)
        present = tx.releases.head(app, upload.base_id, upload.name, upload.release)
        _check_lineage(tx, app, target, present)
        edges_now = tx.releases.edges(app, upload.name, upload.base_id)
        known = {e.base for e in edges_now if e.release == upload.release}
    labels = _labels(read_small(ports, app, manifest, LABELS), target)
    if present is not None and present.manifest != digest_of(upload.manifest):
        raise immutable(f"{upload.name}@{upload.release}")
    fresh = tuple(base for base in bases if base.package not in known)
    if present is not None and not fresh:
        return Registered(present, (), new=False)
    proofs = stated_proofs(upload.proofs, target, manifest.file(GOLDEN).digest)
    examination = examine(ports, app, manifest, fresh, proofs)
    record = replace(_record(ports, app, upload, target, labels, examination), publisher=actor.name)
    edges = _edges(ports, record, target, proofs, examination, fresh)
    if not upload.dry_run:
        _keep(ports, actor, upload, record if present is None else present, edges, new=present is None)
    return Registered(record, edges, new=True)


def _check_facts(app: str, upload: HeadUpload, manifest: Manifest, target: HeadTarget) -> None:
    said = (target.app, target.base_id, target.name, target.release, target.status)
    wanted = (app, upload.base_id, upload.name, upload.release, "live")
    files = (target.head, target.labels, target.bytes)
    if said != wanted or files != (manifest.file(HEAD).digest, manifest.file(LABELS).digest, manifest.total_bytes):
        raise RefusedError(
            "wrong_facts",
            "The facts to be signed do not describe this release.",
            hint="App, base id, name, release, head, labels and bytes must be those of the manifest; status is live.",
        )


def _bases(tx: Transaction, app: str, target: HeadTarget) -> tuple[BaseRecord, ...]:
    found = []
    for edge in target.bases:
        base = tx.releases.base_by_digest(app, edge.digest)
        if base is None or base.base_id != target.base_id:
            raise RefusedError(
                "unknown_base",
                f"The head names a base of {target.base_id} that the registry does not have.",
                hint="Publish the base first; a head is pinned to it by digest.",
                base=edge.digest,
            )
        host = HostProfile(app, base.package, base.contract, target.min_os, target.min_app_build)
        verdict = judge(target, host)
        if isinstance(verdict, Incompatible):
            raise IncompatibleError(
                "incompatible",
                f"The head may not run on {base.base_id}@{base.version}: {SENTENCES[verdict.reasons[0]][0]}",
                hint="Fit the head on the features of this base and prove it there.",
                base=base.package,
                reasons=",".join(verdict.reasons),
            )
        found.append(base)
    if not found:
        raise RefusedError(
            "unknown_base", "The head names no base.", hint="Prove it on at least one base.", kind="gate"
        )
    return tuple(found)


def _check_lineage(tx: Transaction, app: str, target: HeadTarget, present: HeadRecord | None) -> None:
    if target.parent is not None and tx.releases.head_by_digest(app, target.parent) is None:
        raise RefusedError(
            "unknown_parent",
            "The head names a parent that the registry does not have.",
            hint="Publish the parent first, or name none.",
            parent=target.parent,
        )
    releases = [h.release for h in tx.releases.heads(app, target.name, target.base_id)]
    if present is None and releases and target.release <= max(releases):
        raise RefusedError(
            "stale_release",
            f"The newest release of {target.name} is {max(releases)}.",
            hint=f"Publish it as release {max(releases) + 1}; numbers only grow.",
            kind="conflict",
            newest=max(releases),
        )


def _labels(data: bytes, target: HeadTarget) -> tuple[str, ...]:
    try:
        names = json.loads(data.decode("utf-8"))
    except ValueError:
        names = None
    fields = Fields({"labels": names}, "labels.json")
    labels = fields.texts("labels")
    if len(labels) != target.num_classes or len(set(labels)) != len(labels):
        raise RefusedError(
            "wrong_labels",
            f"labels.json has {len(set(labels))} different labels; the head says {target.num_classes}.",
            hint="labels.json is the list of labels in the order of the head's outputs.",
        )
    return labels


def _record(
    ports: Ports, app: str, upload: HeadUpload, target: HeadTarget, labels: tuple[str, ...], examination: Examination
) -> HeadRecord:
    return HeadRecord(
        app=app,
        base_id=upload.base_id,
        name=upload.name,
        release=upload.release,
        head=target.head,
        parent=target.parent,
        contract=target.contract,
        labels=target.labels,
        label_names=labels,
        manifest=digest_of(upload.manifest),
        bytes=target.bytes,
        custom=target.to_json(),
        provenance=upload.provenance,
        checked=examination.note,
        state="registered",
        created_at=ports.clock(),
    )


def _edges(
    ports: Ports,
    record: HeadRecord,
    target: HeadTarget,
    proofs: dict[str, JsonObject],
    examination: Examination,
    bases: Sequence[BaseRecord],
) -> tuple[EdgeRecord, ...]:
    stated = {edge.digest: edge.proof for edge in target.bases}
    return tuple(
        EdgeRecord(
            app=record.app,
            base_id=record.base_id,
            name=record.name,
            release=record.release,
            base=base.package,
            proof_digest=stated[base.package],
            proof=proofs[base.package],
            reproof=examination.reproofs.get(base.package),
            verdict=examination.verdicts[base.package],
            created_at=ports.clock(),
        )
        for base in bases
    )


def _keep(
    ports: Ports, actor: Actor, upload: HeadUpload, record: HeadRecord, edges: Sequence[EdgeRecord], *, new: bool
) -> None:
    app = record.app
    subject = f"{upload.name}@{upload.release}"
    with ports.database.write(app) as tx:
        added = tx.releases.add_head(record, edges) if new else tx.releases.add_edges(edges)
        if not added:
            # The same request again, sent because the first answer took too long: it is done.
            there = tx.releases.head(app, upload.base_id, upload.name, upload.release)
            if there is not None and there.manifest == record.manifest:
                return
            raise immutable(subject)
        path = head_manifest_path(upload.base_id, upload.name, upload.release)
        keep_manifest(ports, tx, app, path, record.manifest, upload.manifest)
        action = "head.register" if new else "head.prove"
        audit.record(ports, tx, actor, app, action, subject, head=record.head, checked=record.checked, bases=len(edges))

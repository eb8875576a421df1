"""Remove what nobody can need: uploads that no release names, and files that crashed uploads left behind.

Only things older than a day go, so that an upload in progress is safe. Releases are never removed.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.manifest import Manifest, base_manifest_path, head_manifest_path
from headway_server.catalog import upload_parts
from headway_server.ports import Ports, Transaction
from headway_server.publication.layout import artifact_path

GRACE_S = 86_400


@dataclass(frozen=True, slots=True)
class Swept:
    """What was (or would be) removed."""

    app: str
    artifacts: tuple[str, ...]
    strays: tuple[str, ...]
    uploads: tuple[str, ...] = ()


def sweep(ports: Ports, *, dry_run: bool = False) -> tuple[Swept, ...]:
    """Collect garbage in every app."""
    if not dry_run:
        ports.store.sweep(ports.clock() - GRACE_S)
    with ports.database.read() as tx:
        apps = [record.app for record in tx.apps.all()]
    if not dry_run:
        _sweep_parts(ports)
    return tuple(_sweep_app(ports, app, dry_run=dry_run) for app in apps)


def _sweep_parts(ports: Ports) -> None:
    """Remove parts that belong to no upload: a process died between beginning one and writing it down, or the end."""
    with ports.database.read() as tx:
        known = tx.uploads.ids()
    for upload, handle in ports.staging.strays(known, ports.clock() - GRACE_S):
        ports.staging.discard(upload, handle)


def _sweep_app(ports: Ports, app: str, *, dry_run: bool) -> Swept:
    before = ports.clock() - GRACE_S
    with ports.database.write(app) as tx:
        needed = _needed(tx, app)
        unused = [a for a in tx.artifacts.all(app) if a.digest not in needed and a.created_at < before]
        strays = _strays(ports, tx, app)
        if not dry_run:
            for artifact in unused:
                tx.artifacts.remove(app, artifact.digest)
    if not dry_run:
        # Again under the lock, from the records as they are then: an upload that came meanwhile keeps its file,
        # and one that is just arriving looks for its file under the same lock.
        with ports.database.write(app) as tx:
            for path in _strays(ports, tx, app):
                ports.store.delete(path)
    expired = upload_parts.expired(ports, app)
    if not dry_run:
        upload_parts.expire(ports, app)
    return Swept(app, tuple(a.digest for a in unused), strays, tuple(upload.digest for upload in expired))


def _strays(ports: Ports, tx: Transaction, app: str) -> tuple[str, ...]:
    known = {artifact_path(app, a.digest) for a in tx.artifacts.all(app)}
    return tuple(path for path in ports.store.paths(f"apps/{app}/artifacts/") if path not in known)


def _needed(tx: Transaction, app: str) -> frozenset[Digest]:
    paths = [(base_manifest_path(b.base_id, b.version), b.manifest) for b in tx.releases.bases(app)]
    paths += [(head_manifest_path(h.base_id, h.name, h.release), h.manifest) for h in tx.releases.heads(app)]
    needed: set[Digest] = set()
    for path, digest in paths:
        kept = tx.roles.target(app, path, digest)
        if kept is not None:
            needed.update(file.digest for file in Manifest.from_bytes(kept.data).files)
    return frozenset(needed)

"""Uploads in one piece: streamed, bounded and hashed here; an artifact exists only once its bytes are what it says.

Files that come in parts are in :mod:`headway_server.catalog.upload_parts`.
"""

from __future__ import annotations

from collections.abc import Iterable

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError, TransferError
from headway_server.catalog import apps
from headway_server.ports import Actor, Ports
from headway_server.publication import audit
from headway_server.publication.layout import artifact_path
from headway_server.records import ArtifactRecord


def find(ports: Ports, app: str, digest: Digest) -> ArtifactRecord | None:
    """The artifact, if this app has it."""
    with ports.database.read() as tx:
        return tx.artifacts.get(app, digest)


def receive(ports: Ports, actor: Actor, app: str, digest: Digest, size: int, chunks: Iterable[bytes]) -> bool:
    """Store an artifact; False if it was there. Repeating an upload is harmless.

    Raises:
        RefusedError: codes ``unknown_app``, ``too_large``, ``size_mismatch``, ``digest_mismatch``.
        TransferError: code ``storage_failed``.
    """
    check_size(ports, size)
    with ports.database.read() as tx:
        apps.known(tx, app)
        if tx.artifacts.get(app, digest) is not None:
            return False
    # Outside any transaction: a slow upload must not hold a lock. A crash leaves a whole file that gc can find.
    ports.store.put(artifact_path(app, digest), digest, size, chunks)
    keep(ports, actor, app, digest, size)
    return True


def check_size(ports: Ports, size: int) -> None:
    """Pass, if a file may be so large.

    Raises:
        RefusedError: code ``too_large``.
    """
    if size > ports.settings.artifact_max_bytes:
        raise RefusedError(
            "too_large",
            f"The file has {size} bytes, more than {ports.settings.artifact_max_bytes}.",
            hint="Make the model smaller, or let the operator raise HEADWAY_SERVER_ARTIFACT_MAX_BYTES.",
            kind="too_large",
        )


def keep(ports: Ports, actor: Actor, app: str, digest: Digest, size: int, upload: str | None = None) -> None:
    """Remember a file that is in the storage, and forget the upload (by id) that it came by.

    Raises:
        TransferError: code ``swept``; garbage collection was faster.
    """
    with ports.database.write(app) as tx:
        if ports.store.size(artifact_path(app, digest)) != size:
            raise TransferError("swept", "The upload was swept away as unused.", hint="Send it again.", retry_after_s=1)
        tx.artifacts.add(ArtifactRecord(app, digest, size, ports.clock()))
        if upload is not None:
            tx.uploads.remove(app, upload)
        audit.record(ports, tx, actor, app, "artifact.add", digest, size=size)

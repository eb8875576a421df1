"""A release's files: known here, small ones read, models laid out in a scratch folder for examination."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.manifest import Manifest
from headway_server.ports import Ports, Transaction
from headway_server.publication.layout import artifact_path, target_path
from headway_server.records import TargetFile

_SMALL_BYTES = 1024 * 1024


def require_artifacts(tx: Transaction, app: str, manifest: Manifest) -> None:
    """Pass, if every file of the manifest was uploaded by this app, at its size.

    Raises:
        RefusedError: code ``missing_artifact``.
    """
    for file in manifest.files:
        found = tx.artifacts.get(app, file.digest)
        if found is None or found.size != file.size:
            raise RefusedError(
                "missing_artifact",
                f"The file {file.path} has not been uploaded.",
                hint="Upload every file of the manifest under its digest, then register the release.",
                path=file.path,
                digest=file.digest,
            )


def read_small(ports: Ports, app: str, manifest: Manifest, path: str, most: int = _SMALL_BYTES) -> bytes:
    """The bytes of a small file of the release, of at most ``most`` bytes.

    Raises:
        RefusedError: codes ``missing_file``, ``too_large``.
    """
    file = manifest.file(path)
    data = ports.store.read(artifact_path(app, file.digest)) if file.size <= most else None
    if data is None:
        raise RefusedError(
            "too_large",
            f"{path} must have at most {most} bytes and be in the storage.",
            hint="Publish the release again with a smaller file.",
            kind="too_large",
            path=path,
        )
    return data


def read_manifest(tx: Transaction, app: str, path: str, digest: Digest) -> Manifest | None:
    """A manifest that was registered, by its target path and digest."""
    found = tx.roles.target(app, path, digest)
    return None if found is None else Manifest.from_bytes(found.data)


@contextmanager
def laid_out(ports: Ports, app: str, manifest: Manifest) -> Iterator[Path]:
    """A scratch folder with the release's files in place, removed afterwards. Paths were confined by the manifest."""
    ports.settings.work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ports.settings.work_dir) as name:
        root = Path(name)
        for file in manifest.files:
            opened = ports.store.open(artifact_path(app, file.digest))
            if opened is None:
                continue
            target = root / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened[0] as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, 1024 * 1024)
        yield root


def keep_manifest(ports: Ports, tx: Transaction, app: str, path: str, digest: Digest, data: bytes) -> None:
    """Keep a manifest in the database and put it where devices will look for it."""
    tx.roles.add_target(TargetFile(app, path, digest, data, ports.clock()))
    public = target_path(app, path, digest)
    if ports.store.size(public) is None:
        ports.store.replace(public, data)

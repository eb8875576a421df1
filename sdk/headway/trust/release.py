"""Whether a manifest is the one its signed facts speak of: head, labels and size cannot be mixed and matched."""

from __future__ import annotations

from headway.contract.errors import UntrustedError
from headway.contract.manifest import Manifest
from headway.contract.targets import BaseTarget, HeadTarget

HEAD_FILE, LABELS_FILE, CONTRACT_FILE, PACKAGE = "head.mlmodel", "labels.json", "contract.json", "base.mlpackage"


def consistent_head(manifest: Manifest, target: HeadTarget) -> None:
    """Check the manifest of a head against its signed facts.

    Raises:
        UntrustedError: code ``mix_and_match``.
    """
    paths = {file.path: file.digest for file in manifest.files}
    _same(
        {
            "kind": (manifest.kind, "head"),
            "app": (manifest.app, target.app),
            "name": (manifest.id, target.name),
            "release": (manifest.version, str(target.release)),
            "head": (paths.get(HEAD_FILE), target.head),
            "labels": (paths.get(LABELS_FILE), target.labels),
            "bytes": (manifest.total_bytes, target.bytes),
        },
        f"{target.name}@{target.release}",
    )


def consistent_base(manifest: Manifest, target: BaseTarget) -> None:
    """Check the manifest of a base against its signed facts.

    Raises:
        UntrustedError: code ``mix_and_match``.
        RefusedError: code ``missing_file``; it holds no package.
    """
    paths = {file.path: file.digest for file in manifest.files}
    _same(
        {
            "kind": (manifest.kind, "base"),
            "app": (manifest.app, target.app),
            "base id": (manifest.id, target.base_id),
            "version": (manifest.version, target.version),
            "package": (manifest.package_digest(PACKAGE), target.package),
            "contract": (paths.get(CONTRACT_FILE), target.contract),
            "bytes": (manifest.total_bytes, target.bytes),
        },
        f"{target.base_id} {target.version}",
    )


def _same(pairs: dict[str, tuple[object, object]], what: str) -> None:
    for name, (listed, signed) in pairs.items():
        if listed != signed:
            raise UntrustedError(
                "mix_and_match",
                f"The file list of {what} has another {name} than its signed facts.",
                hint="Do not install it; its publisher must publish it again from one release folder.",
                field=name,
            )

"""Register a base version: its files are here, its package is well-formed, its vocabulary is what its contract names.

What always holds: a version never changes, and a package belongs to one version only. Registering again with the
same manifest is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest, base_manifest_path
from headway.contract.targets import BaseTarget
from headway.contract.tokenizer import Tokenizer
from headway_server.catalog import apps
from headway_server.catalog.files import keep_manifest, laid_out, read_small, require_artifacts
from headway_server.catalog.provenance import check_provenance
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.records import BaseRecord, JsonObject

PACKAGE, VOCABULARY = "base.mlpackage", "vocab.txt"
_VOCABULARY_BYTES = 2 * 1024 * 1024  # the largest published WordPiece vocabularies for many languages have 1 MiB


@dataclass(frozen=True, slots=True)
class BaseUpload:
    """What a publisher says about a base: the manifest's exact bytes and where it comes from."""

    base_id: str
    version: str
    manifest: bytes
    provenance: JsonObject | None
    dry_run: bool = False


def register(ports: Ports, actor: Actor, app: str, upload: BaseUpload) -> tuple[BaseRecord, bool]:
    """Examine and keep a base; whether it is new. With ``dry_run``, everything but the keeping.

    Raises:
        RefusedError: codes ``unknown_app``, ``malformed``, ``wrong_manifest``, ``missing_artifact``, ``missing_file``,
            ``contract_mismatch``, ``vocabulary``, ``rule_broken``, ``immutable_release``.
    """
    manifest = Manifest.from_bytes(upload.manifest)
    check_identity(manifest, "base", app, upload.base_id, upload.version)
    with ports.database.read() as tx:
        apps.known(tx, app)
        present = tx.releases.base(app, upload.base_id, upload.version)
        require_artifacts(tx, app, manifest)
        required = ports.settings.require_provenance
        check_provenance(tx, app, "bases", upload.provenance, manifest, required=required)
    digest = digest_of(upload.manifest)
    if present is not None:
        return same_release(present, present.manifest == digest), False
    record = replace(_examined(ports, app, upload, manifest), publisher=actor.name)
    if upload.dry_run:
        return record, True
    with ports.database.write(app) as tx:
        # The table's keys decide whoever was first: one content per version, one version per package.
        if not tx.releases.add_base(record):
            there = tx.releases.base(app, upload.base_id, upload.version)
            if there is None:
                raise _published_as(tx, record)
            return same_release(there, there.manifest == digest), False
        path = base_manifest_path(upload.base_id, upload.version)
        keep_manifest(ports, tx, app, path, digest, upload.manifest)
        subject = f"{upload.base_id}@{upload.version}"
        audit.record(ports, tx, actor, app, "base.register", subject, package=record.package, checked=record.checked)
    return record, True


def _examined(ports: Ports, app: str, upload: BaseUpload, manifest: Manifest) -> BaseRecord:
    contract = FeatureContract.from_bytes(read_small(ports, app, manifest, "contract.json"))
    package = manifest.package_digest(PACKAGE)
    _check_vocabulary(read_small(ports, app, manifest, VOCABULARY, _VOCABULARY_BYTES), contract)
    with laid_out(ports, app, manifest) as root:
        examined = ports.examiner.validate(root / PACKAGE)
    refuse_findings(examined.findings)
    target = BaseTarget(
        app=app,
        base_id=upload.base_id,
        version=upload.version,
        package=package,
        contract=contract.digest,
        bytes=manifest.total_bytes,
        status="live",
    )
    return BaseRecord(
        app=app,
        base_id=upload.base_id,
        version=upload.version,
        package=package,
        contract=contract.digest,
        contract_json=contract.to_json(),
        manifest=digest_of(upload.manifest),
        bytes=manifest.total_bytes,
        custom=target.to_json(),
        provenance=upload.provenance,
        checked=examined.note,
        state="registered",
        created_at=ports.clock(),
    )


def _check_vocabulary(data: bytes, contract: FeatureContract) -> None:
    """The golden batch holds token ids, so it passes with any vocabulary; every device would refuse the base."""
    if Tokenizer.from_bytes(data).digest != contract.tokenizer:
        raise RefusedError(
            "contract_mismatch",
            f"{VOCABULARY} is not the vocabulary that contract.json names.",
            hint="Publish the base, vocabulary and contract of one base release together.",
            part="tokenizer",
        )


def check_identity(manifest: Manifest, kind: str, app: str, name: str, version: str) -> None:
    """Pass, if the manifest is of this very release.

    Raises:
        RefusedError: code ``wrong_manifest``.
    """
    if (manifest.kind, manifest.app, manifest.id, manifest.version) != (kind, app, name, version):
        raise RefusedError(
            "wrong_manifest",
            f"The manifest is of the {manifest.kind} {manifest.id}@{manifest.version} of {manifest.app}.",
            hint=f"Send the manifest of the {kind} {name}@{version} of {app}.",
        )


def refuse_findings(findings: tuple[str, ...]) -> None:
    """Pass, if an examination found nothing.

    Raises:
        RefusedError: code ``rule_broken``, with the first finding; the rest in ``data``.
    """
    if findings:
        raise RefusedError(
            "rule_broken",
            findings[0],
            hint="Run `headway coreml validate` on the model for every rule it breaks, then build it again.",
            findings=len(findings),
            all=" | ".join(findings)[:2000],
        )


def same_release(present: BaseRecord, same: bool) -> BaseRecord:
    """The record that is there, if the new manifest is the same; raises ``immutable_release`` otherwise."""
    if not same:
        raise immutable(f"{present.base_id}@{present.version}")
    return present


def immutable(subject: str) -> RefusedError:
    """The error for a second content under a published name."""
    return RefusedError(
        "immutable_release",
        f"{subject} is already registered with another content.",
        hint="Publish it under a new number; a published one never changes.",
        kind="conflict",
    )


def _published_as(tx: Transaction, record: BaseRecord) -> RefusedError:
    there = tx.releases.base_by_digest(record.app, record.package)
    if there is None:
        return immutable(f"{record.base_id}@{record.version}")
    return RefusedError(
        "immutable_release",
        f"This package is registered already, as {there.base_id}@{there.version}.",
        hint="Heads name a base by its package, so one package has one version: use that one.",
        kind="conflict",
    )

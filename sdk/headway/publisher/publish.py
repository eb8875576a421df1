"""Publish a base or a head: read, prove, describe, upload, register, sign. Safe to repeat and to resume.

Order: files first, then the registration that lets the registry check them, then the signature that makes them
installable. What is there already is not sent, signed or counted again, so a publish that was cut off anywhere is
finished by running it again. Keys stay here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.manifest import Manifest, base_manifest_path, head_manifest_path
from headway.contract.targets import HeadTarget
from headway.publisher.bundle import PACKAGE, Release, open_release
from headway.publisher.describe import (
    HeadOptions,
    base_target,
    digests_in,
    head_target,
    materials_of_head,
    newest_release,
)
from headway.publisher.gate import Waiver, waived_card
from headway.publisher.head_roles import HeadsNow, put_head_entry
from headway.publisher.proving import prove_base, prove_head
from headway.publisher.registry import Registry
from headway.publisher.signing import SignedRole, allowed_signers, put_base_entry
from headway.trust import dsse
from headway.trust.client import utc_now
from headway.trust.keys import Signer
from headway.trust.roles import BASES, TargetEntry, base_entry, entries, head_entry, heads_role, revoked

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the bytes (or steps) done and the total."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did. With ``dry_run`` it is what it would have done, and ``role_version`` is 0.

    ``new`` is False if signed metadata already named exactly this release. ``uploaded`` are the digests that were
    sent (or would be), ``warnings`` sentences for a person.
    """

    kind: str
    name: str
    version: str
    manifest: Digest
    new: bool
    uploaded: tuple[Digest, ...]
    uploaded_bytes: int
    role_version: int
    dry_run: bool = False
    warnings: tuple[str, ...] = ()


def publish_base(
    registry: Registry,
    path: Path,
    *,
    base_id: str,
    version: str,
    signers: Sequence[Signer],
    builder: str = "headway",
    facts: Mapping[str, str | int] | None = None,
    waivers: Sequence[Waiver] = (),
    now: Callable[[], datetime] = utc_now,
    dry_run: bool = False,
    on_progress: Progress | None = None,
) -> Published:
    """Publish the base in the folder or zip ``path``.

    Needs the extra ``sim``: the base's own golden batch is run before anything is sent.

    Raises:
        RefusedError: the release, the gate (kind ``gate``), the keys, or the registry refuses.
        TransferError: the registry cannot be reached; run it again.
    """
    report = on_progress or _silent
    with open_release("base", path) as (read, scratch):
        release = read.with_card(waived_card(read.card(), waivers), scratch) if waivers else read
        card = waived_card(release.card(), ())
        manifest = release.manifest(app=registry.app, name=base_id, version=version, facts=facts)
        entry = base_entry(base_target(manifest, release), manifest.to_bytes())
        present = _entry(registry, BASES, base_manifest_path(base_id, version))
        if present is not None:
            return _already(registry, BASES, "base", base_id, manifest, present)
        allowed = allowed_signers(registry, BASES, signers)
        prove_base(release, report)
        missing = _missing(registry, release)
        if dry_run:
            return _planned("base", base_id, manifest, release, missing)
        _upload(registry, release, missing, report)
        provenance = dsse.Provenance.of_manifest(manifest, builder=builder, materials=digests_in(card))
        registry.register_base(base_id, version, manifest.to_bytes(), dsse.sign(provenance, allowed))
        signed = put_base_entry(registry, entry, allowed, now())
        return _done("base", base_id, manifest, release, missing, signed)


def publish_head(
    registry: Registry,
    path: Path,
    *,
    base_id: str,
    name: str,
    bases: Sequence[Path],
    signers: Sequence[Signer],
    release: int | None = None,
    options: HeadOptions | None = None,
    builder: str = "headway",
    facts: Mapping[str, str | int] | None = None,
    waivers: Sequence[Waiver] = (),
    now: Callable[[], datetime] = utc_now,
    dry_run: bool = False,
    on_progress: Progress | None = None,
) -> Published:
    """Prove the head in ``path`` on each of ``bases`` (base release folders), then publish it.

    Without ``release`` the next number is taken, or the newest one again if it has the same head and labels.

    Raises:
        RefusedError: as :func:`publish_base`; kind ``gate``, code ``not_proven``: a proof is not good enough.
        IncompatibleError: the head does not fit a base.
        TransferError: the registry cannot be reached; run it again.
    """
    report = on_progress or _silent
    options = options or HeadOptions()
    with open_release("head", path) as (read, scratch):
        files = read.with_card(waived_card(read.card(), waivers), scratch) if waivers else read
        card = waived_card(files.card(), ())
        published = registry.heads(name)
        number = newest_release(published, base_id, files) if release is None else release
        manifest = files.manifest(app=registry.app, name=name, version=str(number), facts=facts)
        signed_now = HeadsNow.of(registry, base_id)
        present = signed_now.entry(head_manifest_path(base_id, name, number))
        if present is not None and _proven_on(present, bases, f"{name}@{number}"):
            return _already(registry, signed_now.roles.home(present.path), "head", name, manifest, present)
        allowed = allowed_signers(registry, heads_role(base_id), signers)
        proofs = prove_head(files, bases, report)
        target = head_target(manifest, files, proofs, published, base_id=base_id, options=options)
        missing = _missing(registry, files)
        if dry_run:
            return _planned("head", name, manifest, files, missing)
        _upload(registry, files, missing, report)
        materials = {**digests_in(card), **materials_of_head(target)}
        provenance = dsse.Provenance.of_manifest(manifest, builder=builder, materials=materials)
        registry.register_head(target, manifest.to_bytes(), proofs, dsse.sign(provenance, allowed))
        signed = put_head_entry(registry, base_id, head_entry(target, manifest.to_bytes()), allowed, now())
        return _done("head", name, manifest, files, missing, signed)


def revoke_head(
    registry: Registry,
    *,
    base_id: str,
    name: str,
    release: int,
    signers: Sequence[Signer],
    now: Callable[[], datetime] = utc_now,
) -> SignedRole:
    """Mark a head release as revoked under the publisher's signature, for ever.

    No device takes it any more, and those that run it leave it at their next good poll.

    Raises:
        RefusedError: codes ``no_such_release``, ``no_signing_key``, …
    """
    there = HeadsNow.of(registry, base_id)
    current = there.role(there.roles.home(head_manifest_path(base_id, name, release)))
    return put_head_entry(registry, base_id, revoked(current, base_id, name, release), signers, now())


def _entry(registry: Registry, role: str, path: str) -> TargetEntry | None:
    current = registry.role_or_none(role)
    listed = () if current is None else entries(current, role)
    return next((entry for entry in listed if entry.path == path), None)


def _already(
    registry: Registry, role: str, kind: str, name: str, manifest: Manifest, present: TargetEntry
) -> Published:
    if present.digest != manifest.digest:
        raise RefusedError(
            "immutable_release",
            f"{name}@{manifest.version} is already published with other files.",
            hint="Publish this folder under the next number; a published release never changes.",
            kind="conflict",
            release=manifest.version,
        )
    return Published(kind, name, manifest.version, manifest.digest, False, (), 0, registry.role_version(role))


def _proven_on(present: TargetEntry, bases: Sequence[Path], release: str) -> bool:
    """Whether a published head was proven on all of ``bases``; False if they are those it has, and more."""
    proven = {base.digest for base in HeadTarget.from_json(present.custom).bases}
    asked = {_package_of(path) for path in bases}
    if not asked <= proven and not proven <= asked:
        raise RefusedError(
            "other_bases",
            f"{release} is already published, proven on other bases than these.",
            hint="Give each base that it should run on, those it has too; or publish it under the next number.",
            kind="conflict",
        )
    return asked <= proven


def _package_of(path: Path) -> Digest:
    with open_release("base", path) as (base, _):
        return base.manifest(app="app", name="base", version="1").package_digest(PACKAGE)


def _missing(registry: Registry, release: Release) -> tuple[Digest, ...]:
    wanted = dict.fromkeys(file.digest for file in release.files)
    return tuple(digest for digest in wanted if not registry.has_artifact(digest))


def _upload(registry: Registry, release: Release, missing: Sequence[Digest], report: Progress) -> None:
    files = {file.digest: file for file in release.files}
    total, sent = sum(files[digest].size for digest in missing), 0
    for digest in missing:
        file = files[digest]
        told = partial(_told, report, f"uploading {file.path}", sent, total)
        told(0)
        registry.upload_file(digest, file.size, file.source, on_sent=told)
        sent += file.size
    report("uploaded", sent, total)


def _told(report: Progress, what: str, before: int, total: int, arrived: int) -> None:
    report(what, before + arrived, total)


def _planned(kind: str, name: str, manifest: Manifest, release: Release, missing: tuple[Digest, ...]) -> Published:
    nothing = SignedRole("", 0, changed=True)
    return replace(_done(kind, name, manifest, release, missing, nothing), dry_run=True)


def _done(
    kind: str, name: str, manifest: Manifest, release: Release, missing: tuple[Digest, ...], signed: SignedRole
) -> Published:
    sizes = {file.digest: file.size for file in release.files}
    return Published(
        kind=kind,
        name=name,
        version=manifest.version,
        manifest=manifest.digest,
        new=signed.changed,
        uploaded=missing,
        uploaded_bytes=sum(sizes[digest] for digest in missing),
        role_version=signed.version,
        warnings=(*_warnings(release), *((signed.advice,) if signed.advice else ())),
    )


def _warnings(release: Release) -> tuple[str, ...]:
    if release.card().get("gate"):
        return ()
    return ("The card has no gate: nothing says how accurate this release is.",)


def _silent(what: str, done: int, total: int) -> None:
    """No progress wanted."""

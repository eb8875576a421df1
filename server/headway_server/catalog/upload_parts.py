"""Large files in parts: begun by digest, continued after whatever broke, joined and hashed at the end.

What always holds: nothing is public before its hash was computed here over exactly the bytes that become public. All
state is here: a publisher who lost everything but the file asks for its digest and goes on. An upload that nobody
continues expires; what all uploads of an app announce together is bounded.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError, TransferError
from headway_server.catalog import apps
from headway_server.catalog.uploads import check_size, find, keep
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.publication.layout import artifact_path
from headway_server.upload_record import UploadRecord, gone

MAX_PARTS = 1000
MAX_LISTED = 100
"""How many missing parts one answer lists."""


@dataclass(frozen=True, slots=True)
class MissingPart:
    """A part to send: ``size`` bytes from ``offset``, to ``url`` or (None) to the registry."""

    number: int
    offset: int
    size: int
    url: str | None


@dataclass(frozen=True, slots=True)
class UploadState:
    """Where an upload stands. ``record`` None: the file is stored. ``missing`` are the first of ``missing_count``."""

    digest: Digest
    size: int
    record: UploadRecord | None
    missing: tuple[MissingPart, ...] = ()
    missing_count: int = 0
    new: bool = False


def begin(ports: Ports, actor: Actor, app: str, digest: Digest, size: int) -> UploadState:
    """Begin an upload, or find the one of this digest and let it live longer.

    Raises:
        RefusedError: codes ``unknown_app``, ``too_large``, ``size_mismatch``, ``too_many_uploads``.
        TransferError: code ``storage_failed``.
    """
    check_size(ports, size)
    expire(ports, app)
    with ports.database.read() as tx:
        apps.known(tx, app)
        stored = tx.artifacts.get(app, digest)
        present = tx.uploads.get(app, digest)
        _check_room(ports, tx, app, size if present is None else 0)
    if stored is not None:
        return UploadState(digest, stored.size, None)
    record = present or _added(ports, actor, app, digest, size)
    if record.size != size:
        raise RefusedError(
            "size_mismatch",
            f"An upload of this digest was begun with {record.size} bytes.",
            hint="Give the file's true size, or give the upload up with DELETE first.",
            kind="conflict",
            expected=record.size,
        )
    with ports.database.write(app) as tx:
        tx.uploads.extend(app, digest, ports.clock() + ports.settings.upload_expires_s)
    return _state(ports, record, new=present is None)


def state(ports: Ports, app: str, digest: Digest) -> UploadState:
    """Where the upload of a digest stands.

    Raises:
        RefusedError: code ``unknown_upload``.
    """
    with ports.database.read() as tx:
        stored, record = tx.artifacts.get(app, digest), tx.uploads.get(app, digest)
    if stored is not None:
        return UploadState(digest, stored.size, None)
    if record is None:
        raise gone()
    return _state(ports, record)


def listed(ports: Ports, app: str) -> tuple[UploadRecord, ...]:
    """The uploads of an app that are under way, oldest first."""
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.uploads.all(app)


def receive_part(ports: Ports, app: str, digest: Digest, number: int, size: int, chunks: Iterable[bytes]) -> None:
    """Keep one part; sending it again replaces it.

    Raises:
        RefusedError: codes ``unknown_upload``, ``no_such_part``, ``size_mismatch``.
        TransferError: code ``storage_failed``.
    """
    record = _open(ports, app, digest)
    if number not in record.numbers():
        raise RefusedError(
            "no_such_part",
            f"The upload has the parts 1 to {len(record.numbers())}.",
            hint="Ask the upload which parts are missing.",
            kind="not_found",
        )
    wanted = record.bytes_of(number)
    if size != wanted:
        raise RefusedError(
            "size_mismatch",
            f"Part {number} has {wanted} bytes, not {size}.",
            hint="Ask the upload which parts are missing and how long they are.",
            expected=wanted,
        )
    ports.staging.put_part(record, number, size, chunks)


def complete(ports: Ports, actor: Actor, app: str, digest: Digest) -> bool:
    """Join and hash the parts, and store the artifact; False if it was there. Repeating it is harmless.

    Raises:
        RefusedError: codes ``unknown_upload``, ``parts_missing``, ``digest_mismatch`` (the upload is given up then).
        TransferError: codes ``storage_failed``, ``swept``; try again; ``upload_damaged``: begin again.
    """
    now = state(ports, app, digest)
    record = now.record
    if record is None:
        return False
    if now.missing_count:
        if find(ports, app, digest) is not None:
            return False  # somebody else completed it between the two looks, and its parts went
        raise RefusedError(
            "parts_missing",
            f"{now.missing_count} of {len(record.numbers())} parts have not arrived.",
            hint="Ask the upload which parts are missing, send them, then complete it.",
            kind="conflict",
            missing=now.missing_count,
            first=now.missing[0].number,
        )
    try:
        # Outside any transaction: hashing a large file takes long. A crash leaves a whole file and the upload.
        ports.staging.finish(record, artifact_path(app, digest))
    except (RefusedError, TransferError) as error:
        if error.code in ("digest_mismatch", "size_mismatch", "upload_damaged"):
            _give_up(ports, actor, record, "upload.refuse")
        raise
    keep(ports, actor, app, digest, record.size, record.id)
    ports.staging.discard(record.id, record.handle)
    return True


def abandon(ports: Ports, actor: Actor, app: str, digest: Digest) -> None:
    """Give an upload up and remove its parts.

    Raises:
        RefusedError: code ``unknown_upload``.
    """
    _give_up(ports, actor, _open(ports, app, digest), "upload.abandon")


def expire(ports: Ports, app: str) -> None:
    """Remove the uploads of an app that nobody continued in time."""
    for record in expired(ports, app):
        _give_up(ports, Actor("registry", "-"), record, "upload.expire")


def expired(ports: Ports, app: str) -> tuple[UploadRecord, ...]:
    """The uploads of an app that nobody continued in time."""
    with ports.database.read() as tx:
        return tuple(record for record in tx.uploads.all(app) if record.expires_at <= ports.clock())


def _open(ports: Ports, app: str, digest: Digest) -> UploadRecord:
    with ports.database.read() as tx:
        record = tx.uploads.get(app, digest)
    if record is None:
        raise gone()
    return record


def _added(ports: Ports, actor: Actor, app: str, digest: Digest, size: int) -> UploadRecord:
    upload, now = secrets.token_hex(16), ports.clock()
    part_bytes = max(ports.settings.upload_part_bytes, ports.staging.min_part_bytes, -(-size // MAX_PARTS))
    handle = ports.staging.begin(upload)
    expires_at = now + ports.settings.upload_expires_s
    record = UploadRecord(app, digest, upload, size, part_bytes, handle, actor.name, now, expires_at)
    try:
        with ports.database.write(app) as tx:
            _check_room(ports, tx, app, size)
            added = tx.uploads.add(record)
            if added:
                audit.record(ports, tx, actor, app, "upload.begin", digest, size=size)
            there = tx.uploads.get(app, digest)
    except RefusedError:
        ports.staging.discard(upload, handle)
        raise
    if not added:  # somebody else began it at the same moment: it is his
        ports.staging.discard(upload, handle)
    if there is None:
        raise gone()
    return there


def _check_room(ports: Ports, tx: Transaction, app: str, size: int) -> None:
    most = ports.settings.uploads_max_bytes
    if size and tx.uploads.announced_bytes(app) + size > most:
        raise RefusedError(
            "too_many_uploads",
            f"The uploads of {app} that are under way would announce more than {most} bytes together.",
            hint="Complete one, give one up with DELETE, or wait until one expires; the app's uploads list them.",
            kind="conflict",
        )


def _state(ports: Ports, record: UploadRecord, *, new: bool = False) -> UploadState:
    present = ports.staging.parts(record)
    missing = [number for number in record.numbers() if present.get(number) != record.bytes_of(number)]
    parts = tuple(_missing(ports, record, number) for number in missing[:MAX_LISTED])
    return UploadState(record.digest, record.size, record, parts, len(missing), new)


def _missing(ports: Ports, record: UploadRecord, number: int) -> MissingPart:
    size = record.bytes_of(number)
    return MissingPart(number, record.offset(number), size, ports.staging.part_url(record, number, size))


def _give_up(ports: Ports, actor: Actor, record: UploadRecord, action: str) -> None:
    with ports.database.write(record.app) as tx:
        if tx.uploads.remove(record.app, record.id):
            audit.record(ports, tx, actor, record.app, action, record.digest, size=record.size)
    ports.staging.discard(record.id, record.handle)

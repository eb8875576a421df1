"""Is everything as it should be? Each check is one sentence; nothing is changed unless repair is asked for."""

from __future__ import annotations

import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from headway.contract.digests import digest_of, digest_of_chunks
from headway.contract.errors import HeadwayError
from headway_server.ports import Ports
from headway_server.publication.layout import artifact_path, role_path, target_path
from headway_server.publication.mirror import named_files
from headway_server.records import Backlog, RoleVersion
from headway_server.upload_record import UploadRecord

_LOW_SPACE_BYTES = 1 << 30
_LATELY_S = 86_400
_PROBE = "apps/doctor/artifacts/probe"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def diagnose(
    ports: Ports, *, schema: str | None, wanted: str, storage: bool = False, deep: bool = False
) -> tuple[Check, ...]:
    """Look at schema, storage, keys, signatures' ages and the public tree.

    ``storage`` also writes, reads and deletes a probe; ``deep`` also hashes every artifact.
    """
    checks = [Check("schema", schema == wanted, f"the database is at {schema}, this server needs {wanted}")]
    if schema != wanted:
        return tuple(checks)
    checks += _space(ports)
    if storage:
        checks += [_probe(ports), _probe_parts(ports)]
    with ports.database.read() as tx:
        apps = tx.apps.all()
        backlogs = tx.webhooks.backlog(ports.clock() - _LATELY_S)
    checks += [_webhooks(backlog) for backlog in backlogs]
    for record in apps:
        checks += _app(ports, record.app)
        if deep:
            rotten = damaged(ports, record.app)
            checks.append(Check(f"{record.app}: artifacts", not rotten, f"{len(rotten)} damaged"))
    return tuple(checks)


def _space(ports: Ports) -> Iterator[Check]:
    folder = ports.settings.data_dir
    if folder.exists():
        free = shutil.disk_usage(folder).free
        yield Check("disk", free > _LOW_SPACE_BYTES, f"{free / 2**30:.1f} GiB free in the data folder")
    keys = ports.settings.keys_dir
    for path in sorted([*keys.glob("*/*.pem"), *keys.glob("server.key")]):
        private = not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        yield Check(
            "keys", private, f"{path.parent.name}/{path.name} is {'private' if private else 'readable by others'}"
        )


def _webhooks(backlog: Backlog) -> Check:
    """Wrong for a day after a message was given up: the list keeps it for longer, and someone may have seen to it."""
    detail = f"{backlog.dead} given up, {backlog.dead_lately} of them within a day, {backlog.pending} waiting"
    return Check(f"{backlog.app}: webhooks", not backlog.dead_lately, detail)


def _probe(ports: Ports) -> Check:
    data = b"headway storage probe"
    try:
        ports.store.replace(_PROBE, b"older")
        ports.store.replace(_PROBE, data)
        seen, size = ports.store.read(_PROBE), ports.store.size(_PROBE)
        listed = _PROBE in ports.store.paths("apps/doctor/")
        ports.store.delete(_PROBE)
        gone = ports.store.size(_PROBE) is None
    except HeadwayError as error:
        return Check("storage", False, error.diagnostics())
    ok = (seen, size, listed, gone) == (data, len(data), True, True)
    return Check("storage", ok, f"read after replace {seen == data}, listed {listed}, deleted {gone}")


def _probe_parts(ports: Ports) -> Check:
    """Send a file in one part, as large uploads are sent in many, and read it back."""
    data, upload = b"headway upload probe", secrets.token_hex(16)
    try:
        handle = ports.staging.begin(upload)
        record = UploadRecord("doctor", digest_of(data), upload, len(data), len(data), handle, "doctor", 0, 0)
        ports.staging.put_part(record, 1, len(data), (data,))
        listed = ports.staging.parts(record) == {1: len(data)}
        ports.staging.finish(record, _PROBE)
        joined = ports.store.read(_PROBE) == data
        ports.staging.discard(upload, handle)
        ports.store.delete(_PROBE)
    except HeadwayError as error:
        return Check("large uploads", False, error.diagnostics())
    return Check("large uploads", listed and joined, f"part listed {listed}, joined and read back {joined}")


def _app(ports: Ports, app: str) -> Iterator[Check]:
    with ports.database.read() as tx:
        roles = {role.role: role for role in tx.roles.currents(app)}
        artifacts = tx.artifacts.all(app)
    timestamp = roles.get("timestamp")
    if timestamp is None:
        yield Check(f"{app}: trust", True, "no trust files yet")
        return
    age_s = ports.clock() - timestamp.created_at
    yield Check(f"{app}: timestamp", age_s < 2 * ports.settings.resign_after_s, f"signed {age_s // 3600} h ago")
    public = ports.store.read(role_path(app, "timestamp", timestamp.version))
    yield Check(f"{app}: public tree", public == timestamp.data, f"should hold timestamp {timestamp.version}")
    missing = [path for path in _expected(app, roles) if ports.store.size(path) is None]
    missing += [a.digest for a in artifacts if ports.store.size(artifact_path(app, a.digest)) != a.size]
    yield Check(f"{app}: files", not missing, f"{len(missing)} missing" + (f", first {missing[0]}" if missing else ""))


def _expected(app: str, roles: dict[str, RoleVersion]) -> Iterator[str]:
    for name, role in roles.items():
        yield role_path(app, name, role.version)
        if name not in ("root", "targets", "snapshot", "timestamp"):
            for path, digest in named_files(role):
                yield target_path(app, path, digest)


def damaged(ports: Ports, app: str) -> tuple[str, ...]:
    """Paths of artifacts whose bytes no longer have their digest: reads everything, a piece at a time."""
    with ports.database.read() as tx:
        artifacts = tx.artifacts.all(app)
    paths = {artifact_path(app, artifact.digest): artifact.digest for artifact in artifacts}
    return tuple(path for path, digest in paths.items() if _digest_at(ports, path) != digest)


def _digest_at(ports: Ports, path: str) -> str | None:
    opened = ports.store.open(path)
    if opened is None:
        return None
    with opened[0] as reader:
        return digest_of_chunks(iter(lambda: reader.read(1 << 20), b""))[0]

"""Bring the public tree up to what the database holds, in an order that readers survive.

For each role: the files it names, then the role itself under its version; then the snapshot; at the very end
``timestamp.json``, the only file that is ever replaced. A crash anywhere leaves the old timestamp pointing at the old,
complete set; the next call finishes the work. The app's lock is held, so an older timestamp never overwrites a newer.
"""

from __future__ import annotations

from headway.contract.digests import Digest
from headway.contract.parsing import decode
from headway_server.ports import Ports, Transaction
from headway_server.publication.layout import role_path, target_path
from headway_server.publication.seal import listed_in
from headway_server.records import RoleVersion


def mirror(ports: Ports, app: str, *, force: bool = False) -> int:
    """Write what is missing from the public tree of ``app``; the timestamp version it now holds (0: none yet).

    ``force`` looks even when the tree is believed to be current: after a restore, or a bucket was emptied.

    Raises:
        TransferError: code ``storage_failed``; what was public before still is.
    """
    with ports.database.write(app) as tx:
        timestamp = tx.roles.current(app, "timestamp")
        known = tx.apps.get(app)
        if timestamp is None or known is None:
            return 0
        if known.published == timestamp.version and not force:
            return timestamp.version
        _mirror_roots(ports, tx, app)
        snapshot = tx.roles.current(app, "snapshot")
        if snapshot is not None:
            public = {} if force else _public(tx, app, known.published)
            for role, version in listed_in(snapshot).items():
                if public.get(role) != version:
                    _mirror_role(ports, tx, app, role, version)
            _write_once(ports, snapshot)
        ports.store.replace(role_path(app, "timestamp", timestamp.version), timestamp.data)
        tx.apps.set_published(app, timestamp.version)
        return timestamp.version


def mirror_all(ports: Ports, *, force: bool = False) -> None:
    """Every app: done at start, so that a crash before it is healed."""
    with ports.database.read() as tx:
        apps = [record.app for record in tx.apps.all()]
    for app in apps:
        mirror(ports, app, force=force)


def _mirror_roots(ports: Ports, tx: Transaction, app: str) -> None:
    for root in tx.roles.history(app, "root"):
        _write_once(ports, root)


def _mirror_role(ports: Ports, tx: Transaction, app: str, role: str, version: int) -> None:
    # A role's file is written after the files it names: where it is, they are.
    if ports.store.size(role_path(app, role, version)) is not None:
        return
    record = tx.roles.get(app, role, version)
    if record is None:
        return
    for path, digest in named_files(record):
        if ports.store.size(target_path(app, path, digest)) is None:
            target = tx.roles.target(app, path, digest)
            if target is not None:
                ports.store.replace(target_path(app, path, digest), target.data)
    _write_once(ports, record)


def named_files(role: RoleVersion) -> tuple[tuple[str, Digest], ...]:
    """The files that a targets role names, with their digests."""
    targets = decode(role.data, f"role {role.role}").nested("signed").nested("targets")
    return tuple(
        (path, Digest("sha256:" + targets.nested(path).nested("hashes").text("sha256"))) for path in targets.names()
    )


def _public(tx: Transaction, app: str, published: int) -> dict[str, int]:
    """The versions of roles that are in the public tree for certain: what the published timestamp leads to."""
    timestamp = tx.roles.get(app, "timestamp", published)
    snapshot = None if timestamp is None else tx.roles.get(app, "snapshot", listed_in(timestamp)["snapshot"])
    return {} if snapshot is None else listed_in(snapshot)


def _write_once(ports: Ports, role: RoleVersion) -> None:
    path = role_path(role.app, role.role, role.version)
    if ports.store.size(path) is None:
        ports.store.replace(path, role.data)

"""Seal a change: a new snapshot of all roles and a new timestamp, inside the caller's transaction.

A delegation whose role has no metadata yet would break every client's walk; so a snapshot names the newest *complete*
targets version, and the newer one goes out with its missing role.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from headway.contract.channel import ChannelDocument
from headway.contract.errors import RefusedError
from headway.contract.parsing import decode
from headway.trust.repository import keyids_for
from headway_server.ports import Ports, Transaction
from headway_server.publication.layout import ONLINE_ROLES
from headway_server.records import RoleVersion


def seal(ports: Ports, tx: Transaction, app: str) -> tuple[str, ...]:
    """Sign snapshot and timestamp over what is current; delegated roles that are still awaited.

    Raises:
        RefusedError: code ``no_trust``; the app has no trust files yet.
    """
    versions = tx.roles.versions(app)
    history = tx.roles.history(app, "targets")
    complete = next((v for v in reversed(history) if not missing_roles(v, versions)), None)
    root, before = tx.roles.current(app, "root"), tx.roles.current(app, "snapshot")
    if complete is None or root is None:
        raise no_trust(app)
    wanted = {**versions, "targets": complete.version}
    listed = {} if before is None else listed_in(before)
    roles, unchanged = {}, []
    for role, version in wanted.items():
        if role in ("root", "snapshot", "timestamp"):
            continue
        if listed.get(role) == version:
            unchanged.append(role)  # a version never changes: of a thousand bins only the new ones are read
        else:
            roles[role] = _data(tx.roles.get(app, role, version)) or b""
    keyids = online_keyids(root.data, complete.data)
    snapshot = ports.signer.snapshot(app, keyids["snapshot"], _data(before), roles, unchanged, ports.now())
    stamp = _data(tx.roles.current(app, "timestamp"))
    timestamp = ports.signer.timestamp(app, keyids["timestamp"], stamp, snapshot, ports.now())
    add_role(ports, tx, app, "snapshot", snapshot)
    add_role(ports, tx, app, "timestamp", timestamp)
    return missing_roles(history[-1], versions)


def reseal_timestamp(ports: Ports, tx: Transaction, app: str) -> None:
    """Sign the timestamp anew over the same snapshot: what proves to devices that nobody withholds anything."""
    root, targets = tx.roles.current(app, "root"), tx.roles.current(app, "targets")
    snapshot, timestamp = tx.roles.current(app, "snapshot"), tx.roles.current(app, "timestamp")
    if root is None or targets is None or snapshot is None or timestamp is None:
        raise no_trust(app)
    keyids = online_keyids(root.data, targets.data)["timestamp"]
    data = ports.signer.timestamp(app, keyids, timestamp.data, snapshot.data, ports.now())
    add_role(ports, tx, app, "timestamp", data)


def sign_channels(ports: Ports, tx: Transaction, app: str, documents: Iterable[ChannelDocument] = ()) -> None:
    """The next version of the role ``channels``, with these documents put in, by the key that targets lists now."""
    root, targets = tx.roles.current(app, "root"), tx.roles.current(app, "targets")
    if root is None or targets is None:
        raise no_trust(app)
    current = _data(tx.roles.current(app, "channels"))
    keyids = online_keyids(root.data, targets.data)["channels"]
    add_role(ports, tx, app, "channels", ports.signer.channels(app, keyids, current, documents, ports.now()))


def online_keyids(root: bytes, targets: bytes) -> dict[str, tuple[str, ...]]:
    """Ids of the keys that metadata lists for each online role."""
    return {role: keyids_for(role, root=root, targets=targets) for role in ONLINE_ROLES}


def add_role(ports: Ports, tx: Transaction, app: str, role: str, data: bytes) -> int:
    """Keep a signed version of a role; its version number.

    Raises:
        RefusedError: code ``version_conflict``; that version exists: somebody else was faster.
    """
    version = version_of(data, role)
    if not tx.roles.add(RoleVersion(app, role, version, data, ports.clock())):
        raise RefusedError(
            "version_conflict",
            f"Version {version} of {role} is already published.",
            hint="Fetch the current role, make the change on top of it, sign and send it again.",
            kind="conflict",
            role=role,
            version=version,
        )
    return version


def version_of(data: bytes, role: str) -> int:
    """The version a signed document states.

    Raises:
        RefusedError: code ``malformed``.
    """
    return decode(data, f"role {role}").nested("signed").integer("version", low=1)


def listed_in(snapshot: RoleVersion) -> dict[str, int]:
    """The version of each role that a snapshot (or a timestamp) lists."""
    meta = decode(snapshot.data, f"role {snapshot.role}").nested("signed").nested("meta")
    return {name.removesuffix(".json"): meta.nested(name).integer("version") for name in meta.names()}


def missing_roles(targets: RoleVersion, present: Container[str]) -> tuple[str, ...]:
    """Delegated roles without metadata; the server's own ``channels`` is signed as soon as trust is established."""
    delegations = decode(targets.data, "role targets").nested("signed").nested("delegations")
    names = (role.text("name") for role in delegations.objects("roles", most=500))
    return tuple(name for name in names if name not in present)


def no_trust(app: str) -> RefusedError:
    """The error for an app that has no trust files yet."""
    return RefusedError(
        "no_trust",
        f"The app {app} has no trust files yet.",
        hint="Create its keys and send the first metadata: `headway keys create`.",
        kind="conflict",
        app=app,
    )


def _data(role: RoleVersion | None) -> bytes | None:
    return None if role is None else role.data

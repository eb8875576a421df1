"""Seal a change: a new snapshot of all roles and a new timestamp, inside the caller's transaction.

A delegation whose role has no metadata yet would break every client's walk; so a snapshot names the newest *complete*
targets version, and the newer one goes out with its missing role.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    current = {role.role: role for role in tx.roles.currents(app)}
    if "targets" not in current:
        raise no_trust(app)
    complete = next((v for v in reversed(tx.roles.history(app, "targets")) if not missing_roles(v, current)), None)
    roles = {name: role.data for name, role in current.items() if name not in ("root", "snapshot", "timestamp")}
    if complete is None:
        raise no_trust(app)
    roles["targets"] = complete.data
    listed = online_keyids(current["root"].data, complete.data)
    before, stamp = _data(current.get("snapshot")), _data(current.get("timestamp"))
    snapshot = ports.signer.snapshot(app, listed["snapshot"], before, roles, ports.now())
    timestamp = ports.signer.timestamp(app, listed["timestamp"], stamp, snapshot, ports.now())
    add_role(ports, tx, app, "snapshot", snapshot)
    add_role(ports, tx, app, "timestamp", timestamp)
    return missing_roles(current["targets"], current)


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


def missing_roles(targets: RoleVersion, present: dict[str, RoleVersion]) -> tuple[str, ...]:
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

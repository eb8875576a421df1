"""Signed roles come in: checked against who may sign them, then sealed and mirrored.

The server never edits what a publisher signed. It keeps the exact bytes, or refuses them with the reason.
"""

from __future__ import annotations

from headway.contract.errors import RefusedError
from headway.trust.bins import HeadRoles, base_of_heads
from headway.trust.ceremony import missing_signatures
from headway.trust.online import OnlineKeys
from headway.trust.repository import TrustFiles
from headway.trust.verify import (
    VerifiedRole,
    verify_heads_stay,
    verify_role_update,
    verify_root_update,
    verify_trust,
)
from headway_server.catalog import apps
from headway_server.catalog.signed_heads import update_heads
from headway_server.catalog.signed_releases import Accepted, StateChange, follow_bases
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.publication.layout import ONLINE_ROLES
from headway_server.publication.mirror import mirror
from headway_server.publication.seal import add_role, no_trust, online_keyids, seal, sign_channels
from headway_server.records import RoleVersion


def establish(ports: Ports, actor: Actor, app: str, files: TrustFiles) -> bool:
    """Take an app's first metadata; False if exactly this was there.

    Raises:
        RefusedError: code ``trust_exists``, or as :func:`headway.trust.verify.verify_trust`.
        UntrustedError: as :func:`headway.trust.verify.verify_trust`.
    """
    with ports.database.write(app) as tx:
        apps.known(tx, app)
        present = tx.roles.get(app, "root", 1)
        if present is None:
            _establish(ports, tx, actor, app, files)
        elif present.data != files.root:
            raise RefusedError(
                "trust_exists",
                f"The app {app} already has another root.",
                hint="A root is only ever replaced by one that the old root's keys signed: `headway keys rotate`.",
                kind="conflict",
            )
    mirror(ports, app)
    return present is None


def _establish(ports: Ports, tx: Transaction, actor: Actor, app: str, files: TrustFiles) -> None:
    online = ports.signer.keys(app)
    verify_trust(files, app=app, online=online, now=ports.now())
    for role, data in files.named().items():
        add_role(ports, tx, app, role, data)
    sign_channels(ports, tx, app)
    seal(ports, tx, app)
    audit.record(ports, tx, actor, app, "trust.establish", app)


def update(ports: Ports, actor: Actor, app: str, role: str, data: bytes) -> Accepted:
    """Take a new version of a publisher's role. Sending the current bytes again changes nothing.

    Raises:
        RefusedError: codes ``online_role``, ``no_trust``, ``version_conflict`` (a lost race), ``unregistered_release``,
            or as :func:`headway.trust.verify.verify_role_update`.
        UntrustedError: the signatures do not suffice, or the metadata is expired or too old.
    """
    if role in ONLINE_ROLES:
        raise RefusedError(
            "online_role",
            f"The role {role} is signed by the server.",
            hint="Change it through channels and rollouts.",
            kind="not_allowed",
        )
    if base_of_heads(role) is not None:
        return update_heads(ports, actor, app, {role: data})[0]
    with ports.database.write(app) as tx:
        apps.known(tx, app)
        current = tx.roles.current(app, role)
        if current is not None and current.data == data:
            accepted = Accepted(role, current.version, changed=False)
        else:
            accepted = _accept(ports, tx, actor, app, role, data, current)
    mirror(ports, app)
    return accepted


def _accept(
    ports: Ports, tx: Transaction, actor: Actor, app: str, role: str, data: bytes, current: RoleVersion | None
) -> Accepted:
    root, targets = tx.roles.current(app, "root"), tx.roles.current(app, "targets")
    if root is None or targets is None:
        raise no_trust(app)
    verified = _verified(ports, app, role, data, current, root.data, targets.data)
    newer = {"root": root.data, "targets": targets.data} | {role: data}
    changes: tuple[StateChange, ...] = ()
    if role in ("root", "targets"):
        _keeps_online_keys(ports, app, newer["root"], newer["targets"])
        _keeps_roles(tx, app, newer["root"], newer["targets"])
    elif role == "bases":
        changes = follow_bases(tx, app, verified)
    add_role(ports, tx, app, role, data)
    if online_keyids(root.data, targets.data)["channels"] != online_keyids(root.data, newer["targets"])["channels"]:
        sign_channels(ports, tx, app)  # what the old key signed counts no more
    waiting = seal(ports, tx, app)
    audit.record(ports, tx, actor, app, "role.publish", role, version=verified.version, digest=verified.digest)
    for change in changes:
        facts = {"base_id": change.base_id, "digest": change.digest}
        audit.record(ports, tx, actor, app, f"{change.kind}.{change.state}", change.subject, **facts)
    return Accepted(role, verified.version, changed=True, waiting_for=waiting)


def _verified(
    ports: Ports, app: str, role: str, data: bytes, current: RoleVersion | None, root: bytes, targets: bytes
) -> VerifiedRole:
    if role == "root":
        return verify_root_update(data, current=root, now=ports.now())
    return verify_role_update(
        role,
        data,
        current=None if current is None else current.data,
        delegator=root if role == "targets" else targets,
        app=app,
        now=ports.now(),
    )


def _keeps_online_keys(ports: Ports, app: str, root: bytes, targets: bytes) -> None:
    # Otherwise the next seal would be signed by keys that no client trusts.
    for role, keyids in online_keyids(root, targets).items():
        if not ports.signer.holds(app, role, keyids):
            raise RefusedError(
                "foreign_online_key",
                f"The role {role} must be held by a key that this registry made for it.",
                hint="Sign it again with the registry's online keys; see `headway keys`.",
                role=role,
            )


def _keeps_roles(tx: Transaction, app: str, root: bytes, targets: bytes) -> None:
    # Otherwise devices would meet a published role that its new delegation no longer vouches for.
    for role in tx.roles.versions(app):
        base_id = base_of_heads(role)
        above_bins = base_id is None or role == HeadRoles(base_id).parent
        current = tx.roles.current(app, role)
        if current is None or role in (*ONLINE_ROLES, "root", "targets") or not above_bins:
            continue
        if base_id is not None:
            verify_heads_stay(base_id, targets, current.data)
        if missing_signatures(current.data, current.role, root=root, targets=targets):
            raise RefusedError(
                "unvouched_role",
                f"The role {current.role} would not be signed by enough of its new keys.",
                hint="Sign it first so that it holds under both, as `headway keys rotate` and `threshold` do.",
                kind="conflict",
                role=current.role,
            )
    if missing_signatures(targets, "targets", root=root, targets=targets):
        raise RefusedError(
            "unvouched_role",
            "The role targets would not be signed by enough of its new keys.",
            hint="Sign it first so that it holds under both roots, as `headway keys rotate` does.",
            kind="conflict",
            role="targets",
        )


def replace_online_keys(ports: Ports, actor: Actor, app: str) -> OnlineKeys:
    """New online keys, as after a theft. They sign nothing before root and targets list them.

    Until they are listed the same keys are given again, so that a replacement that was cut off can be finished.

    Raises:
        RefusedError: code ``unknown_app``.
    """
    with ports.database.write(app) as tx:
        apps.known(tx, app)
        newest = ports.signer.keys(app)
        root, targets = tx.roles.current(app, "root"), tx.roles.current(app, "targets")
        if root is None or targets is None or _unlisted(newest, root.data, targets.data):
            return newest
        keys = ports.signer.replace_keys(app)
        audit.record(ports, tx, actor, app, "trust.replace_online_keys", app)
    return keys


def _unlisted(keys: OnlineKeys, root: bytes, targets: bytes) -> bool:
    held = {"channels": keys.channels, "snapshot": keys.snapshot, "timestamp": keys.timestamp}
    listed = online_keyids(root, targets)
    return any(listed[role] != (key.keyid,) for role, key in held.items())


def current_role(ports: Ports, app: str, role: str) -> RoleVersion:
    """The exact bytes of a role's newest version.

    Raises:
        RefusedError: codes ``unknown_app``, ``unknown_role``.
    """
    with ports.database.read() as tx:
        apps.known(tx, app)
        found = tx.roles.current(app, role)
    if found is None:
        raise RefusedError(
            "unknown_role",
            f"The app {app} has no role {role[:80]}.",
            hint="See them with `headway keys show`.",
            kind="not_found",
        )
    return found


def role_versions(ports: Ports, app: str) -> dict[str, int]:
    """The number of the newest version of every role.

    Raises:
        RefusedError: code ``unknown_app``.
    """
    with ports.database.read() as tx:
        apps.known(tx, app)
        return tx.roles.versions(app)

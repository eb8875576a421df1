"""New versions of the roles that hold one base's heads: a flat role, single bins, or a split with all its bins.

What comes together is published together or not at all: one transaction, one snapshot. Devices see the heads before
or after a split, never half of it; and a release that stops being live is rolled out no more from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headway.contract.errors import RefusedError
from headway.contract.targets import HeadTarget
from headway.trust.bins import HeadRoles, base_of_heads
from headway.trust.verify import VerifiedHeads, verify_heads_update
from headway_server.catalog import apps
from headway_server.catalog.signed_releases import Accepted, StateChange, follow_heads
from headway_server.delivery.withdrawal import halt_withdrawn
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.publication.mirror import mirror
from headway_server.publication.seal import add_role, no_trust, seal
from headway_server.records import RoleVersion


def update_heads(ports: Ports, actor: Actor, app: str, roles: Mapping[str, bytes]) -> tuple[Accepted, ...]:
    """Take new versions of roles of one base's heads, by role. Sending the current bytes again changes nothing.

    Raises:
        RefusedError: codes ``mixed_roles``, ``no_trust``, ``version_conflict`` (a lost race), ``unregistered_release``,
            or as :func:`headway.trust.verify.verify_heads_update`.
        UntrustedError: the signatures do not suffice, or the metadata is expired or too old.
    """
    base_id = _one_base(roles)
    with ports.database.write(app) as tx:
        apps.known(tx, app)
        current = _current(tx, app, base_id, roles)
        if all(role in current and current[role].data == data for role, data in roles.items()):
            heads = tx.releases.listed_heads(app, base_id)
            accepted = tuple(Accepted(role, current[role].version, changed=False, heads=heads) for role in roles)
        else:
            accepted = _accept(ports, tx, actor, app, base_id, roles, current)
    mirror(ports, app)
    return accepted


def _accept(
    ports: Ports,
    tx: Transaction,
    actor: Actor,
    app: str,
    base_id: str,
    roles: Mapping[str, bytes],
    current: Mapping[str, RoleVersion],
) -> tuple[Accepted, ...]:
    targets = tx.roles.current(app, "targets")
    if targets is None:
        raise no_trust(app)

    def beside(name: str) -> Iterable[HeadTarget]:
        signed = (h for h in tx.releases.heads(app, name, base_id) if h.state in ("live", "revoked"))
        return [HeadTarget.from_json(head.custom) for head in signed]

    verified = verify_heads_update(
        base_id,
        roles,
        current={role: version.data for role, version in current.items()},
        targets=targets.data,
        app=app,
        now=ports.now(),
        beside=beside,
    )
    changes = follow_heads(tx, app, verified)
    for role, data in roles.items():
        add_role(ports, tx, app, role, data)
    _halt_withdrawn(ports, tx, actor, app, base_id, changes)
    waiting = seal(ports, tx, app)
    _record(ports, tx, actor, app, verified)
    for change in changes:
        facts = {"base_id": change.base_id, "digest": change.digest}
        audit.record(ports, tx, actor, app, f"{change.kind}.{change.state}", change.subject, **facts)
    heads = tx.releases.listed_heads(app, base_id)
    return tuple(Accepted(role.role, role.version, True, waiting, heads) for role in verified.roles)


def _halt_withdrawn(
    ports: Ports, tx: Transaction, actor: Actor, app: str, base_id: str, changes: Iterable[StateChange]
) -> None:
    gone = {change.subject for change in changes if change.state != "live"}
    if gone:
        halt_withdrawn(ports, tx, actor, app, base_id, gone)


def _record(ports: Ports, tx: Transaction, actor: Actor, app: str, verified: VerifiedHeads) -> None:
    """One line in the audit log for each role, or one for a split with all its bins."""
    parent = HeadRoles(verified.base_id).parent
    above = [role for role in verified.roles if role.role == parent]
    for role in above or verified.roles:
        facts: dict[str, str | int | bool | None] = {"version": role.version, "digest": role.digest}
        if above and len(verified.roles) > 1:
            facts["bins"] = len(verified.roles) - 1
        audit.record(ports, tx, actor, app, "role.publish", role.role, **facts)


def _current(tx: Transaction, app: str, base_id: str, roles: Mapping[str, bytes]) -> dict[str, RoleVersion]:
    """What is published now of the roles that come, of the role above them, and of all bins where that one comes."""
    parent = HeadRoles(base_id).parent
    wanted = {*roles, parent}
    present = tx.roles.current(app, parent)
    if parent in roles:
        for data in (roles[parent], None if present is None else present.data):
            wanted.update(HeadRoles.of(base_id, data).listing)
    found = {role: tx.roles.current(app, role) for role in sorted(wanted)}
    return {role: version for role, version in found.items() if version is not None}


def _one_base(roles: Mapping[str, bytes]) -> str:
    bases = {base_of_heads(role) for role in roles}
    base_id = next(iter(bases), None)
    if base_id is None or len(bases) != 1:
        raise RefusedError(
            "mixed_roles",
            "Only roles of one base's heads may be sent together.",
            hint="Send heads-BASE_ID with its bins, or bins of one base; every other role by itself.",
        )
    return base_id

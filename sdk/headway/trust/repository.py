"""One app's repository on paper: which keys hold which role, and its first metadata.

The plan is the whole policy: root and targets offline with a threshold, one role for bases, one terminating role per
base for its heads, and the online roles. The server holds no key that can mint a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, Targets

from headway.contract.errors import RefusedError
from headway.contract.versions import parse_name
from headway.trust.keys import PublicKey, Signer, among
from headway.trust.lifetimes import LIFETIMES, Lifetimes
from headway.trust.online import CHANNELS, SNAPSHOT, TIMESTAMP, OnlineKeys
from headway.trust.roles import BASES, edit, heads_role
from headway.trust.wire import add_signatures, library_key, parse, unsigned

ROOT, TARGETS = "root", "targets"


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a role: the keys, and how many of them must sign."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1

    def checked(self, role: str) -> Holders:
        """This, if ``threshold`` different keys can sign.

        Raises:
            RefusedError: code ``bad_threshold``.
        """
        if not 1 <= self.threshold <= len(set(self.keys)) or len(set(self.keys)) != len(self.keys):
            raise RefusedError(
                "bad_threshold",
                f"The role {role} wants {self.threshold} signatures of {len(set(self.keys))} different keys.",
                hint="Give at least as many different keys as the threshold, and a threshold of at least 1.",
                role=role,
            )
        return self


@dataclass(frozen=True, slots=True)
class TrustPlan:
    """Every role of one app's repository and its holders. ``heads`` is by base id."""

    app: str
    root: Holders
    targets: Holders
    bases: Holders
    heads: Mapping[str, Holders]
    online: OnlineKeys


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """The metadata that the publisher signs: exact bytes. ``delegated`` is by role name."""

    root: bytes
    targets: bytes
    delegated: Mapping[str, bytes]

    def named(self) -> dict[str, bytes]:
        """All of them by role name."""
        return {ROOT: self.root, TARGETS: self.targets, **self.delegated}


def draft_trust(plan: TrustPlan, *, now: datetime, lifetimes: Lifetimes = LIFETIMES) -> TrustFiles:
    """The first metadata of an app, unsigned, for signing by file exchange.

    Raises:
        RefusedError: codes ``bad_threshold``, ``shared_online_key``, ``malformed`` (a name).
    """
    parse_name(plan.app, what="app")
    delegated = [BASES, *(heads_role(base_id) for base_id in plan.heads)]
    return TrustFiles(
        root=_draft_root(plan, now, lifetimes),
        targets=_draft_targets(plan, now, lifetimes),
        delegated={role: edit(None, role, now=now, lifetimes=lifetimes) for role in delegated},
    )


def create_trust(
    plan: TrustPlan, signers: Iterable[Signer], *, now: datetime, lifetimes: Lifetimes = LIFETIMES
) -> TrustFiles:
    """The first metadata of an app, each file signed by those of ``signers`` that the plan lists for it.

    Whether the signatures suffice is for :func:`headway.trust.verify.verify_trust` to say. Raises as
    :func:`draft_trust`.
    """
    signers = tuple(signers)
    draft = draft_trust(plan, now=now, lifetimes=lifetimes)
    holders = {BASES: plan.bases} | {heads_role(base_id): holders for base_id, holders in plan.heads.items()}
    return TrustFiles(
        root=_signed(draft.root, ROOT, plan.root, signers),
        targets=_signed(draft.targets, TARGETS, plan.targets, signers),
        delegated={role: _signed(data, role, holders[role], signers) for role, data in draft.delegated.items()},
    )


def delegations_of(plan: TrustPlan) -> Delegations:
    """The delegations of the role ``targets``, most trusted first."""
    rows = [delegated_role(BASES, plan.bases)]
    keys = list(plan.bases.keys)
    for base_id, holders in plan.heads.items():
        rows.append(delegated_role(heads_role(parse_name(base_id, what="base id")), holders))
        keys.extend(holders.keys)
    rows.append(delegated_role(CHANNELS, Holders((plan.online.channels,))))
    keys.append(plan.online.channels)
    return Delegations({key.keyid: library_key(key) for key in keys}, {row.name: row for row in rows})


def paths_of(role: str) -> tuple[str, ...]:
    """The path patterns that a delegated role may sign. ``*`` does not cross ``/``.

    Raises:
        RefusedError: code ``unknown_role``.
    """
    if role == BASES:
        return ("bases/*/*/*",)
    if role == CHANNELS:
        return ("channels/*/*",)
    if role.startswith("heads-"):
        return (f"heads/{parse_name(role.removeprefix('heads-'), what='base id')}/*/*/*",)
    raise RefusedError(
        "unknown_role",
        f"There is no role {role[:80]!r}.",
        hint="Roles are root, targets, bases, heads-BASE_ID and channels.",
        kind="not_found",
    )


def delegated_role(role: str, holders: Holders) -> DelegatedRole:
    """The delegation of ``role``; heads end the search for their paths (terminating)."""
    holders.checked(role)
    return DelegatedRole(
        name=role,
        keyids=[key.keyid for key in holders.keys],
        threshold=holders.threshold,
        terminating=role.startswith("heads-"),
        paths=list(paths_of(role)),
    )


def keyids_for(role: str, *, root: bytes, targets: bytes) -> tuple[str, ...]:
    """Ids of the keys that may sign ``role`` according to current metadata.

    Raises:
        RefusedError: code ``unknown_role``; it is not delegated.
        UntrustedError: the metadata cannot be read.
    """
    try:
        if role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
            return tuple(parse(Root, root, ROOT).signed.roles[role].keyids)
        return tuple(parse(Targets, targets, TARGETS).signed.get_delegated_role(role).keyids)
    except ValueError as error:
        raise RefusedError(
            "unknown_role",
            f"The role {role} is not delegated yet.",
            hint="Delegate it first: `headway keys delegate`, signed by the holders of the role targets.",
            kind="not_found",
            role=role,
        ) from error


def sign_with_holders(data: bytes, role: str, signers: Iterable[Signer], *, root: bytes, targets: bytes) -> bytes:
    """``data`` signed by those of ``signers`` that may sign ``role``; raises as :func:`keyids_for`."""
    return add_signatures(data, role, among(signers, keyids_for(role, root=root, targets=targets)))


def _draft_root(plan: TrustPlan, now: datetime, lifetimes: Lifetimes) -> bytes:
    online = plan.online
    if len({online.channels, online.snapshot, online.timestamp}) != 3:
        raise RefusedError(
            "shared_online_key",
            "Channels, snapshot and timestamp must have three different keys.",
            hint="Let the registry make its own online keys.",
        )
    holders = {
        ROOT: plan.root,
        TARGETS: plan.targets,
        SNAPSHOT: Holders((online.snapshot,)),
        TIMESTAMP: Holders((online.timestamp,)),
    }
    keys = {key.keyid: library_key(key) for held in holders.values() for key in held.keys}
    roles = {
        role: Role([key.keyid for key in held.checked(role).keys], held.threshold) for role, held in holders.items()
    }
    expires = lifetimes.expiry(ROOT, now)
    return unsigned(Root(version=1, expires=expires, keys=keys, roles=roles, consistent_snapshot=True))


def _draft_targets(plan: TrustPlan, now: datetime, lifetimes: Lifetimes) -> bytes:
    expires = lifetimes.expiry(TARGETS, now)
    return unsigned(Targets(version=1, expires=expires, delegations=delegations_of(plan)))


def _signed(data: bytes, role: str, holders: Holders, signers: tuple[Signer, ...]) -> bytes:
    return add_signatures(data, role, among(signers, (key.keyid for key in holders.keys)))

"""Ceremonies against a registry: create an app, add a base, replace a key, change a threshold, see who holds what.

The order of steps is chosen so that no device ever meets metadata it cannot verify, and so that a ceremony that was
cut off is finished by running it again. Whoever runs these needs enough offline keys at hand; where they lie in
several hands, use file exchange (:mod:`headway.trust.offline`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from headway.contract.errors import RefusedError
from headway.publisher.registry import Registry
from headway.publisher.signing import SignedRole, post_edit, renew_role
from headway.trust.ceremony import (
    RootChange,
    add_base,
    admit,
    expel,
    holders,
    missing_signatures,
    next_root,
    next_targets,
    root_holders,
    sign_root,
)
from headway.trust.client import utc_now
from headway.trust.keys import KeyFolder, PublicKey, Signer, SigningKey
from headway.trust.offline import SigningRequest
from headway.trust.online import OnlineKeys
from headway.trust.repository import ROOT, TARGETS, Holders, TrustFiles, TrustPlan, create_trust, sign_with_holders
from headway.trust.roles import BASES, edit, heads_role, sign_heads
from headway.trust.storage import FolderStorage
from headway.trust.wire import facts

PUBLISHER = "publisher"
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """How many keys a new app gets: ``keys`` for root and for targets each, ``threshold`` of them must sign."""

    keys: int = 3
    threshold: int = 2


KEY_PLAN = KeyPlan()


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """A role, how many of which keys must sign it, and when its newest version expires.

    ``keys`` pairs each key id with its name in the local key folder, or None.
    """

    role: str
    threshold: int
    keys: tuple[tuple[str, str | None], ...]
    version: int
    expires: datetime


def create_app(
    registry: Registry, keys: KeyFolder, base_ids: Iterable[str], *, plan: KeyPlan = KEY_PLAN, now: Now = utc_now
) -> bool:
    """Create an app with its keys and first metadata; False if the registry had exactly this.

    Keys that are in the folder are used again. The metadata is kept in ``<keys>/trust`` before it is sent; the
    ``root.json`` there is what an app embeds.

    Raises:
        RefusedError: codes ``trust_exists``, ``bad_threshold``, …
    """
    online = registry.create_app()
    storage = FolderStorage(keys.folder / "trust")
    files = _kept(storage)
    if files is None:
        files = _first_trust(registry.app, keys, tuple(base_ids), online, plan, now())
        for role, data in files.named().items():
            if role != ROOT:
                storage.write_atomic(f"{role}.json", data)
        storage.write_atomic("root.json", files.root)  # last: its presence says that the rest is complete
    return registry.establish(files)


def embedded_root(keys: KeyFolder) -> Path:
    """Where :func:`create_app` keeps the root that an app embeds."""
    return keys.folder / "trust" / "root.json"


def delegate_base(
    registry: Registry, keys: KeyFolder, base_id: str, *, signers: Sequence[Signer] | None = None, now: Now = utc_now
) -> SignedRole:
    """Let those who sign bases sign heads on a new base.

    Raises:
        RefusedError: codes ``role_exists``, ``threshold_not_met``.
    """
    signers = keys.all() if signers is None else signers
    role = heads_role(base_id)
    held = holders(registry.role(TARGETS))
    if role not in held:
        _post_targets(registry, add_base(registry.role(TARGETS), base_id, held[BASES], now=now()), signers)
    elif registry.role_or_none(role) is not None:
        raise RefusedError(
            "role_exists", f"The role {role} is already there.", hint="Publish heads with it.", kind="conflict"
        )
    return post_edit(registry, role, signers, lambda _, allowed: sign_heads(None, base_id, (), allowed, now=now()))


def rotate_key(registry: Registry, keys: KeyFolder, name: str, *, now: Now = utc_now) -> tuple[str, SigningKey]:
    """Replace the key ``name`` (or a key id) by a new one in every role it holds; the new key and its name.

    The old key's file stays: destroy it when the rotation is through. A key that is lost or stolen is replaced just
    so, as long as enough other keys are at hand. A new key from an earlier, unfinished attempt is used again.

    Raises:
        RefusedError: codes ``no_such_key``, ``threshold_not_met``.
    """
    old_id = keys.load(name).public.keyid if name in keys.names() else name
    new_name = _successor(name if name in keys.names() else PUBLISHER)
    new = keys.load(new_name) if new_name in keys.names() else keys.create(new_name)
    signers = tuple(key for key in keys.all() if key.public.keyid != old_id)
    offline = _replaced(root_holders(registry.role(ROOT)), old_id, new.public)
    if offline:
        change = RootChange(root=offline.get(ROOT), targets=offline.get(TARGETS))
        # The old key still counts for the old root's threshold: sign with it where it is at hand.
        _post_root(registry, change, keys.all(), now)
        if TARGETS in offline:
            renew_role(registry, TARGETS, signers, now())
        return new_name, new
    _rotate_publisher(registry, old_id, new, signers, now)
    return new_name, new


def revoke_key(registry: Registry, keys: KeyFolder, keyid: str, *, now: Now = utc_now) -> SignedRole:
    """Take a publisher's key out of every role without a replacement; others must hold those roles too.

    Raises:
        RefusedError: codes ``no_such_key``, ``bad_threshold`` (rotate it instead), ``threshold_not_met``.
    """
    return _post_targets(registry, expel(registry.role(TARGETS), keyid, now=now()), keys.all())


def change_threshold(
    registry: Registry, keys: KeyFolder, role: str, threshold: int, *, now: Now = utc_now
) -> SignedRole:
    """Change how many of a role's keys must sign, and sign the role anew so that it holds.

    Raises:
        RefusedError: codes ``bad_threshold``, ``unknown_role``, ``threshold_not_met``.
    """
    at_top = root_holders(registry.role(ROOT))
    if role in (ROOT, TARGETS):
        held = Holders(at_top[role].keys, threshold)
        change = RootChange(root=held) if role == ROOT else RootChange(targets=held)
        signed = _post_root(registry, change, keys.all(), now)
        return signed if role == ROOT else renew_role(registry, TARGETS, keys.all(), now())
    delegated = holders(registry.role(TARGETS))
    if role not in delegated:
        raise RefusedError(
            "unknown_role", f"There is no role {role}.", hint="See `headway keys show`.", kind="not_found"
        )
    draft = next_targets(registry.role(TARGETS), {role: Holders(delegated[role].keys, threshold)}, now=now())
    _post_targets(registry, draft, keys.all())
    return renew_role(registry, role, keys.all(), now())


def renew_any(registry: Registry, keys: KeyFolder, role: str, *, now: Now = utc_now) -> SignedRole:
    """Sign any publisher's role anew without a change, root and targets too; raises as :func:`change_threshold`."""
    if role == ROOT:
        return _post_root(registry, RootChange(), keys.all(), now)
    return renew_role(registry, role, keys.all(), now())


def renewal_request(registry: Registry, role: str, *, now: Now = utc_now) -> SigningRequest:
    """A role's next version, unchanged and unsigned, for signing by file exchange."""
    current = registry.role(role)
    data = next_root(current, RootChange(), now=now()) if role == ROOT else edit(current, role, now=now())
    return SigningRequest(registry.app, role, data)


def status(registry: Registry, keys: KeyFolder) -> tuple[RoleStatus, ...]:
    """Every role of the app with its holders and expiry, most fundamental first."""
    names = {keys.load(name).public.keyid: name for name in keys.names()}
    root, targets = registry.role(ROOT), registry.role(TARGETS)
    rows = []
    for role, held in {**root_holders(root), **holders(targets)}.items():
        data = registry.role_or_none(role)
        if data is not None:
            known = tuple((key.keyid, names.get(key.keyid)) for key in held.keys)
            said = facts(data, role)
            rows.append(RoleStatus(role, held.threshold, known, said.version, said.expires))
    order = [ROOT, TARGETS, "bases"]
    return tuple(sorted(rows, key=lambda row: (order.index(row.role) if row.role in order else len(order), row.role)))


def _first_trust(
    app: str, keys: KeyFolder, base_ids: Sequence[str], online: OnlineKeys, plan: KeyPlan, now: datetime
) -> TrustFiles:
    root = [_have(keys, f"root-{n}") for n in range(1, plan.keys + 1)]
    targets = [_have(keys, f"targets-{n}") for n in range(1, plan.keys + 1)]
    publisher = _have(keys, PUBLISHER)
    may_publish = Holders((publisher.public,))
    return create_trust(
        TrustPlan(
            app=app,
            root=Holders(tuple(key.public for key in root), plan.threshold),
            targets=Holders(tuple(key.public for key in targets), plan.threshold),
            bases=may_publish,
            heads=dict.fromkeys(base_ids, may_publish),
            online=online,
        ),
        (*root, *targets, publisher),
        now=now,
    )


def _kept(storage: FolderStorage) -> TrustFiles | None:
    root, targets = storage.read("root.json"), storage.read("targets.json")
    if root is None or targets is None:
        return None
    delegated = {role: storage.read(f"{role}.json") for role in holders(targets)}
    return TrustFiles(root, targets, {role: data for role, data in delegated.items() if data is not None})


def _have(keys: KeyFolder, name: str) -> SigningKey:
    return keys.load(name) if name in keys.names() else keys.create(name)


def _successor(name: str) -> str:
    stem, _, number = name.rpartition("-v")
    return f"{stem}-v{int(number) + 1}" if stem and number.isdigit() else f"{name}-v2"


def _replaced(held: dict[str, Holders], old_id: str, new: PublicKey) -> dict[str, Holders]:
    return {
        role: Holders(tuple(new if key.keyid == old_id else key for key in holder.keys), holder.threshold)
        for role, holder in held.items()
        if role in (ROOT, TARGETS) and any(key.keyid == old_id for key in holder.keys)
    }


def _rotate_publisher(registry: Registry, old_id: str, new: SigningKey, signers: Sequence[Signer], now: Now) -> None:
    targets = registry.role(TARGETS)
    held = {role: h for role, h in holders(targets).items() if any(key.keyid == old_id for key in h.keys)}
    if not all(new.public in holder.keys for holder in held.values()) or not held:
        _post_targets(registry, admit(targets, new.public, beside=old_id, now=now()), signers)
    for role in held:
        if registry.role_or_none(role) is not None:
            renew_role(registry, role, signers, now())
    _post_targets(registry, expel(registry.role(TARGETS), old_id, now=now()), signers)


def _post_targets(registry: Registry, draft: bytes, signers: Sequence[Signer]) -> SignedRole:
    root = registry.role(ROOT)
    data = sign_with_holders(draft, TARGETS, signers, root=root, targets=draft)
    _enough(missing_signatures(data, TARGETS, root=root, targets=draft), TARGETS)
    posted = registry.post_role(TARGETS, data)
    return SignedRole(TARGETS, posted.version, posted.changed)


def _post_root(registry: Registry, change: RootChange, signers: Sequence[Signer], now: Now) -> SignedRole:
    current, targets = registry.role(ROOT), registry.role(TARGETS)
    draft = sign_root(next_root(current, change, now=now()), current, signers)
    for voucher in (current, draft):
        _enough(missing_signatures(draft, ROOT, root=voucher, targets=targets), ROOT)
    posted = registry.post_role(ROOT, draft)
    return SignedRole(ROOT, posted.version, posted.changed)


def _enough(missing: int, role: str) -> None:
    if missing:
        raise RefusedError(
            "threshold_not_met",
            f"The role {role} needs {missing} more signature(s).",
            hint="Bring the other holders' key files together, or collect signatures with `headway keys request`.",
            kind="not_allowed",
            role=role,
            missing=missing,
        )

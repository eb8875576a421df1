"""Ceremonies against a registry: create an app, add a base, renew a role, see who holds what.

A ceremony that was cut off is finished by running it again. Whoever runs these needs enough offline keys at hand;
where they lie in several hands, use file exchange (:mod:`headway.publisher.requests`). Replacing keys is in
:mod:`headway.publisher.rotations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from headway.contract.errors import RefusedError
from headway.contract.versions import parse_name
from headway.publisher.head_roles import renew_heads
from headway.publisher.registry import Registry
from headway.publisher.rotations import Now, post_root, post_targets
from headway.publisher.signing import SignedRole, post_edit, renew_role
from headway.trust.bins import HeadRoles, base_of_heads
from headway.trust.ceremony import RootChange, add_base, holders, root_holders
from headway.trust.client import utc_now
from headway.trust.keys import KeyFolder, Signer, SigningKey
from headway.trust.online import OnlineKeys
from headway.trust.repository import ROOT, TARGETS, Holders, TrustFiles, TrustPlan, create_trust
from headway.trust.roles import BASES, heads_role, sign_heads
from headway.trust.storage import FolderStorage
from headway.trust.wire import facts

PUBLISHER = "publisher"


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """How many keys a new app gets: ``keys`` for root and for targets each, ``threshold`` of them must sign."""

    keys: int = 3
    threshold: int = 2


KEY_PLAN = KeyPlan()


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """A role, how many of which keys must sign it, and when its newest version expires.

    ``keys`` pairs each key id with its name in the local key folder, or None. ``bins`` is how many bins a role of heads
    is split into; none of them expires before it.
    """

    role: str
    threshold: int
    keys: tuple[tuple[str, str | None], ...]
    version: int
    expires: datetime
    bins: int = 0


def create_app(
    registry: Registry, keys: KeyFolder, base_ids: Iterable[str], *, plan: KeyPlan = KEY_PLAN, now: Now = utc_now
) -> bool:
    """Create an app with its keys and first metadata; False if the registry had exactly this.

    Keys that are in the folder are used again. The metadata is kept in ``<keys>/trust`` before it is sent; the
    ``root.json`` there is what an app embeds.

    Raises:
        RefusedError: codes ``trust_exists``, ``bad_threshold``, ``keys_of_another_app``, …
    """
    base_ids = tuple(parse_name(base_id, what="base id") for base_id in base_ids)  # before anything is made
    storage = FolderStorage(keys.folder / "trust")
    files = _kept(storage)
    if plan.threshold > plan.keys:
        raise RefusedError(
            "bad_threshold",
            f"{plan.threshold} of {plan.keys} keys cannot sign.",
            hint="Let at most as many sign as there are keys.",
        )
    if files is not None and not registry.knows_app():  # before the registry makes one
        raise _foreign(keys)
    online = registry.create_app()
    if files is not None and online.snapshot.keyid not in {k.keyid for k in root_holders(files.root)["snapshot"].keys}:
        raise _foreign(keys)
    if files is None:
        files = _first_trust(registry.app, keys, base_ids, online, plan, now())
        for role, data in files.named().items():
            if role != ROOT:
                storage.write_atomic(f"{role}.json", data)
        storage.write_atomic("root.json", files.root)  # last: its presence says that the rest is complete
    return registry.establish(files)


def _foreign(keys: KeyFolder) -> RefusedError:
    return RefusedError(
        "keys_of_another_app",
        f"The folder {keys.folder} belongs to another app, or to this app on another registry.",
        hint="Give each its own folder: --keys FOLDER.",
        kind="conflict",
    )


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
        post_targets(registry, add_base(registry.role(TARGETS), base_id, held[BASES], now=now()), signers)
    elif registry.role_or_none(role) is not None:
        raise RefusedError(
            "role_exists", f"The role {role} is already there.", hint="Publish heads with it.", kind="conflict"
        )
    return post_edit(registry, role, signers, lambda _, allowed: sign_heads(None, base_id, (), allowed, now=now()))


def renew_any(registry: Registry, keys: KeyFolder, role: str, *, now: Now = utc_now) -> SignedRole:
    """Sign any publisher's role anew without a change, root and targets too; raises as :func:`change_threshold`."""
    if role == ROOT:
        return post_root(registry, RootChange(), keys.all(), now)
    base_id = base_of_heads(role)
    if base_id is not None and role == heads_role(base_id):
        return renew_heads(registry, base_id, keys.all(), now())
    return renew_role(registry, role, keys.all(), now())


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
            bits = HeadRoles.of(base_of_heads(role) or "", data).bits if base_of_heads(role) is not None else 0
            bins = 1 << bits if bits else 0
            rows.append(RoleStatus(role, held.threshold, known, said.version, said.expires, bins))
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

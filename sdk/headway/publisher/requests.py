"""Ceremonies by file exchange: the next version of a role as a request, for holders whose keys never meet.

A request is made where the network is and the offline keys are not; each holder signs it where his key lies
(:mod:`headway.trust.offline`), and the registry takes what comes back only if devices can follow it. What must be
signed ahead, such as targets by the keys that a new root gives it, its refusal says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headway.contract.errors import RefusedError
from headway.publisher.registry import Registry
from headway.publisher.rotations import Now
from headway.trust.ceremony import RootChange, holders, next_root, next_targets, root_holders
from headway.trust.client import utc_now
from headway.trust.keys import PublicKey
from headway.trust.offline import SigningRequest
from headway.trust.online import CHANNELS
from headway.trust.repository import ROOT, TARGETS, Holders
from headway.trust.roles import edit


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request changes beside the expiry: ``replaced`` are key ids and the keys that take their place,
    ``thresholds`` numbers of signatures by role, and with ``online`` the registry makes new online keys.
    """

    replaced: Mapping[str, PublicKey] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)
    online: bool = False

    @property
    def nothing(self) -> bool:
        """Whether only the expiry changes."""
        return not (self.replaced or self.thresholds or self.online)


RENEWAL = Asked()


def signing_request(registry: Registry, role: str, asked: Asked = RENEWAL, *, now: Now = utc_now) -> SigningRequest:
    """A role's next version, unsigned. The holders of root change in ``root``, those of the other roles in ``targets``.

    New online keys are named by both: ask for a request of each. They are the same until both are published.

    Raises:
        RefusedError: codes ``not_in_this_role``, ``bad_threshold``, ``unknown_role``, or the registry's.
    """
    current = registry.role(role)
    if role == ROOT:
        held = {name: held for name, held in root_holders(current).items() if name in (ROOT, TARGETS)}
        changed = _changed(held, role, asked)
        change = RootChange(changed.get(ROOT), changed.get(TARGETS))
        if asked.online:
            keys = registry.replace_online_keys()
            change = RootChange(change.root, change.targets, keys.snapshot, keys.timestamp)
        return SigningRequest(registry.app, role, next_root(current, change, now=now()))
    if role == TARGETS:
        held = {name: held for name, held in holders(current).items() if name != CHANNELS}
        changed = _changed(held, role, asked)
        if asked.online:
            changed[CHANNELS] = Holders((registry.replace_online_keys().channels,))
        return SigningRequest(registry.app, role, next_targets(current, changed, now=now()))
    if not asked.nothing:
        raise _elsewhere(role, "who may sign it")
    return SigningRequest(registry.app, role, edit(current, role, now=now()))


def _changed(held: Mapping[str, Holders], document: str, asked: Asked) -> dict[str, Holders]:
    known = {key.keyid for one in held.values() for key in one.keys}
    for keyid in asked.replaced:
        if keyid not in known:
            raise _elsewhere(document, f"the key {keyid[:12]}…")
    for role in asked.thresholds:
        if role not in held:
            raise _elsewhere(document, f"the threshold of {role}")
    new = {
        role: Holders(
            tuple(asked.replaced.get(key.keyid, key) for key in one.keys), asked.thresholds.get(role, one.threshold)
        ).checked(role)
        for role, one in held.items()
    }
    return {role: one for role, one in new.items() if one != held[role]}


def _elsewhere(document: str, what: str) -> RefusedError:
    return RefusedError(
        "not_in_this_role",
        f"The role {document} does not say {what}.",
        hint="`root` says who may sign root and targets, `targets` who may sign the rest: `headway keys show`.",
        kind="not_found",
        role=document,
    )

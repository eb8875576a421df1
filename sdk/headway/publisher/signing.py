"""Signing a role of one app on this machine and posting it, again on top of whatever came in between.

Devices and registry check everything again; here the aim is a clear sentence before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headway.contract.errors import RefusedError
from headway.publisher.registry import Registry
from headway.trust.ceremony import missing_signatures
from headway.trust.keys import Signer, among
from headway.trust.repository import keyids_for
from headway.trust.roles import TargetEntry, entries, heads_role, renew, sign_bases, sign_heads
from headway.trust.wire import facts

MAX_ATTEMPTS = 8
Edit = Callable[[bytes | None, Sequence[Signer]], bytes]


@dataclass(frozen=True, slots=True)
class SignedRole:
    """What became of a role: its version now, and whether this call changed it."""

    role: str
    version: int
    changed: bool


def allowed_signers(registry: Registry, role: str, signers: Sequence[Signer]) -> tuple[Signer, ...]:
    """Those of ``signers`` that may sign ``role`` now.

    Raises:
        RefusedError: code ``no_signing_key``; none of them, or ``unknown_role``.
    """
    return _allowed(role, signers, registry.role("root"), registry.role("targets"))


def post_edit(registry: Registry, role: str, signers: Sequence[Signer], make: Edit) -> SignedRole:
    """Make the next version of ``role`` with ``make(current, signers)``, sign and post it; retried on lost races.

    Raises:
        RefusedError: codes ``no_signing_key``, ``threshold_not_met``, ``contended``, ``unknown_role``, or the
            registry's.
    """
    root, targets = registry.role("root"), registry.role("targets")
    allowed = _allowed(role, signers, root, targets)
    for _ in range(MAX_ATTEMPTS):
        data = make(registry.role_or_none(role), allowed)
        missing = missing_signatures(data, role, root=root, targets=targets)
        if missing:
            raise RefusedError(
                "threshold_not_met",
                f"The role {role} needs {missing} more signature(s).",
                hint="Give the other holders' keys too, or collect signatures with `headway keys request`.",
                kind="not_allowed",
                role=role,
                missing=missing,
            )
        try:
            posted = registry.post_role(role, data)
        except RefusedError as error:
            if error.code != "version_conflict":
                raise
            continue
        return SignedRole(role, posted.version, posted.changed)
    raise RefusedError(
        "contended",
        f"The role {role} changed {MAX_ATTEMPTS} times while it was being signed.",
        hint="Someone else is publishing at the same time; run the command again.",
        kind="conflict",
        role=role,
    )


def put_base_entry(registry: Registry, entry: TargetEntry, signers: Sequence[Signer], now: datetime) -> SignedRole:
    """Sign a base's entry into ``bases``; nothing is signed if it stands there. Raises as :func:`post_edit`."""
    return _put(registry, "bases", entry, signers, lambda cur, allowed: sign_bases(cur, [entry], allowed, now=now))


def put_head_entry(
    registry: Registry, base_id: str, entry: TargetEntry, signers: Sequence[Signer], now: datetime
) -> SignedRole:
    """Sign a head's entry into its base's role; nothing is signed if it stands there. Raises as :func:`post_edit`."""

    def make(current: bytes | None, allowed: Sequence[Signer]) -> bytes:
        return sign_heads(current, base_id, [entry], allowed, now=now)

    return _put(registry, heads_role(base_id), entry, signers, make)


def renew_role(registry: Registry, role: str, signers: Sequence[Signer], now: datetime) -> SignedRole:
    """Sign a role anew without a change, before it expires. Raises as :func:`post_edit`."""
    return post_edit(registry, role, signers, lambda current, allowed: renew(current, role, allowed, now=now))


def _allowed(role: str, signers: Sequence[Signer], root: bytes, targets: bytes) -> tuple[Signer, ...]:
    allowed = among(signers, keyids_for(role, root=root, targets=targets))
    if not allowed:
        raise RefusedError(
            "no_signing_key",
            f"None of the keys given may sign the role {role}.",
            hint="Use the key folder of a publisher (setting keys); `headway keys show` says who may sign what.",
            kind="not_allowed",
            role=role,
        )
    return allowed


def _put(registry: Registry, role: str, entry: TargetEntry, signers: Sequence[Signer], make: Edit) -> SignedRole:
    current = registry.role_or_none(role)
    if current is not None and entry in entries(current, role):
        return SignedRole(role, facts(current, role).version, changed=False)
    return post_edit(registry, role, signers, make)

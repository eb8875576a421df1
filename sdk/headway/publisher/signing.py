"""Signing a role of one app on this machine and posting it, again on top of whatever came in between.

Devices and registry check everything again; here the aim is a clear sentence before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from headway.contract.errors import RefusedError
from headway.publisher.registry import Registry
from headway.trust.ceremony import missing_signatures
from headway.trust.keys import Signer, among
from headway.trust.repository import keyids_for
from headway.trust.roles import BASES, TargetEntry, entries, renew, sign_bases
from headway.trust.wire import facts

MAX_ATTEMPTS = 8
Edit = Callable[[bytes | None, Sequence[Signer]], bytes]


@dataclass(frozen=True, slots=True)
class SignedRole:
    """What became of a role: its version now, and whether this call changed it.

    ``heads`` is how many heads the registry counts in the roles of that base, where it says so; ``advice`` a sentence
    for a person, or empty.
    """

    role: str
    version: int
    changed: bool
    heads: int = 0
    advice: str = ""


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

    def attempt() -> SignedRole:
        data = make(registry.role_or_none(role), allowed)
        enough(missing_signatures(data, role, root=root, targets=targets), role)
        posted = registry.post_role(role, data)
        return SignedRole(role, posted.version, posted.changed)

    return retried(role, attempt)


def retried(role: str, attempt: Callable[[], SignedRole], lost: Collection[str] = ("version_conflict",)) -> SignedRole:
    """Make ``attempt`` until it is not refused with one of the codes ``lost``: somebody else was faster.

    Raises:
        RefusedError: code ``contended``, or what the last attempt was refused with.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return attempt()
        except RefusedError as error:
            if error.code not in lost:
                raise
            last = error
    if last.code != "version_conflict":
        raise last
    raise RefusedError(
        "contended",
        f"The role {role} changed {MAX_ATTEMPTS} times while it was being signed.",
        hint="Someone else is publishing at the same time; run the command again.",
        kind="conflict",
        role=role,
    )


def enough(missing: int, role: str) -> None:
    """Refuse a role that ``missing`` signatures keep from its threshold.

    Raises:
        RefusedError: code ``threshold_not_met``.
    """
    if missing:
        raise RefusedError(
            "threshold_not_met",
            f"The role {role} needs {missing} more signature(s).",
            hint="Bring the other holders' key files together, or collect signatures with `headway keys request`.",
            kind="not_allowed",
            role=role,
            missing=missing,
        )


def put_base_entry(registry: Registry, entry: TargetEntry, signers: Sequence[Signer], now: datetime) -> SignedRole:
    """Sign a base's entry into ``bases``; nothing is signed if it stands there. Raises as :func:`post_edit`."""
    current = registry.role_or_none(BASES)
    if current is not None and entry in entries(current, BASES):
        return SignedRole(BASES, facts(current, BASES).version, changed=False)
    return post_edit(registry, BASES, signers, lambda cur, allowed: sign_bases(cur, [entry], allowed, now=now))


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

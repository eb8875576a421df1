"""Which head releases a key vouched for, where devices may still run them, and how to order them off.

A key that is revoked signs nothing new; what it signed before stays on devices that took it, since absence is no order
(see :func:`headway.contract.explain.ordered_off`). So whoever revokes a key is told what is left to judge. Pure: rows
of the registry in, plain values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headway.contract.digests import Digest, parse_digest

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Vouched:
    """One head release. ``signed`` is False where nothing says who made it, so that the key may have.

    ``confirmed`` counts the confirmations that devices reported; ``commands`` order it off devices (none needed where
    it is revoked already, or was never offered).
    """

    base_id: str
    name: str
    release: int
    head: Digest
    state: str
    signed: bool
    confirmed: int
    commands: tuple[str, ...]


def vouched_by(keyid: str, heads: Iterable[Json], rollouts: Iterable[Json]) -> tuple[Vouched, ...]:
    """Releases whose provenance ``keyid`` signed, or whose provenance is missing; those devices confirmed first."""
    offered: dict[tuple[str, str, int], list[Json]] = {}
    for rollout in rollouts:
        offered.setdefault(_key(rollout), []).append(rollout)
    found = [_vouched(head, keyid, offered.get(_key(head), [])) for head in heads if _may_be_of(head, keyid)]
    return tuple(sorted(found, key=lambda v: (not v.signed, -v.confirmed, v.base_id, v.name, -v.release)))


def _vouched(head: Json, keyid: str, rollouts: list[Json]) -> Vouched:
    base_id, name, release = _key(head)
    return Vouched(
        base_id=base_id,
        name=name,
        release=release,
        head=parse_digest(head["head"]),
        state=str(head["state"]),
        signed=keyid in _signers(head),
        confirmed=sum(int(rollout["counts"].get("confirmed", 0)) for rollout in rollouts),
        commands=_commands(head, sorted({str(rollout["channel"]) for rollout in rollouts})),
    )


def _commands(head: Json, channels: list[str]) -> tuple[str, ...]:
    base_id, name, release = _key(head)
    if head["state"] == "live":
        return (f"headway heads revoke {name}@{release} --base-id {base_id}",)
    if head["state"] != "unlisted":
        return ()
    # What left the signed metadata can no longer be marked there; each channel that offered it can recall it.
    return tuple(
        f"headway channels recall {name}@{release} --base-id {base_id} --channel {channel} --reason 'revoked key'"
        for channel in channels
    )


def _key(row: Json) -> tuple[str, str, int]:
    return str(row["base_id"]), str(row["name"]), int(row["release"])


def _may_be_of(head: Json, keyid: str) -> bool:
    signers = _signers(head)
    return not signers or keyid in signers


def _signers(head: Json) -> frozenset[str]:
    envelope = head.get("provenance") or {}
    return frozenset(str(signature.get("keyid", "")) for signature in envelope.get("signatures", ()))

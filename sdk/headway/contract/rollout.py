"""Who is in a rollout: a device's sticky bucket, computed on the device, from nothing that leaves it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from headway.contract.parsing import Fields

BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Rollout:
    """A staged offer.

    ``permyriad`` of 10,000 buckets are in. ``pins`` and ``excludes`` are names of groups that the app puts a device
    in locally (for example ``qa``); an exclude wins over a pin. ``salt`` is new for each rollout, so that the same
    people are not always first.
    """

    salt: str
    permyriad: int
    pins: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_json`."""
        return {
            "salt": self.salt,
            "permyriad": self.permyriad,
            "pins": list(self.pins),
            "excludes": list(self.excludes),
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Rollout:
        """Read a rollout.

        Raises:
            RefusedError: code ``malformed``.
        """
        return cls(
            salt=fields.text("salt", max_length=64),
            permyriad=fields.integer("permyriad", high=BUCKETS),
            pins=fields.texts("pins", most=100),
            excludes=fields.texts("excludes", most=100),
        )


EVERYONE = Rollout(salt="", permyriad=BUCKETS)


def bucket(salt: str, install_id: str) -> int:
    """The bucket, 0 … 9,999, of a device in a rollout.

    First 8 bytes, big-endian, of SHA-256(salt ‖ 0x00 ‖ install id), modulo 10,000. The bias of the modulo over 2^64
    is below 1e-15.
    """
    hashed = hashlib.sha256(salt.encode() + b"\x00" + install_id.encode()).digest()
    return int.from_bytes(hashed[:8], "big") % BUCKETS


def is_excluded(rollout: Rollout, groups: Collection[str]) -> bool:
    """Whether one of the device's groups is excluded."""
    return any(group in groups for group in rollout.excludes)


def in_rollout(rollout: Rollout, install_id: str, groups: Collection[str] = ()) -> bool:
    """Whether a device gets the offer. Raising ``permyriad`` only ever adds devices."""
    if is_excluded(rollout, groups):
        return False
    if any(group in groups for group in rollout.pins):
        return True
    return bucket(rollout.salt, install_id) < rollout.permyriad

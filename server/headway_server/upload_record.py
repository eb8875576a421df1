"""A large upload under way, and which bytes its parts hold: plain arithmetic that server and storage share."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One file of an app that comes in parts of ``part_bytes`` (the last one shorter), numbered from 1.

    An app has at most one upload of a digest: that is how a publisher who was cut off finds it again. ``id`` names
    its parts in the storage and is never told; ``handle`` is what the storage itself calls it, or empty.
    """

    app: str
    digest: Digest
    id: str
    size: int
    part_bytes: int
    handle: str
    actor: str
    created_at: int
    expires_at: int

    def numbers(self) -> range:
        """The numbers of all parts."""
        return range(1, -(-self.size // self.part_bytes) + 1)

    def offset(self, number: int) -> int:
        """Where in the file a part begins."""
        return (number - 1) * self.part_bytes

    def bytes_of(self, number: int) -> int:
        """How many bytes a part has."""
        return min(self.part_bytes, self.size - self.offset(number))


def gone() -> RefusedError:
    """The error for an upload that is not under way: never begun, finished, given up, or expired."""
    return RefusedError(
        "unknown_upload",
        "There is no such upload under way.",
        hint="Begin it again with POST to the app's uploads; if the file is there already, that says so.",
        kind="not_found",
    )

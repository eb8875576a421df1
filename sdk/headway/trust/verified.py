"""What a device may act on: values that only the trusted client makes, from bytes whose signatures it checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from headway.contract.channel import ChannelDocument
from headway.contract.digests import Digest, parse_digest
from headway.contract.manifest import Manifest
from headway.contract.targets import BaseTarget, HeadTarget
from headway.trust.wire import untrusted


@dataclass(frozen=True, slots=True)
class VerifiedTarget:
    """A file named by signed metadata. ``length`` in bytes; ``hashes`` are hex by algorithm; ``role`` signed it."""

    path: str
    length: int
    hashes: Mapping[str, str]
    custom: object
    role: str

    @property
    def digest(self) -> Digest:
        """The SHA-256 digest.

        Raises:
            UntrustedError: code ``weak_hash``; the metadata names no SHA-256.
        """
        if "sha256" not in self.hashes:
            raise untrusted("weak_hash", f"{self.path} has no SHA-256 in signed metadata.", self.role)
        return parse_digest("sha256:" + self.hashes["sha256"])


@dataclass(frozen=True, slots=True)
class VerifiedHead:
    """One head release as its publisher signed it. ``digest`` and ``length`` are those of its manifest."""

    target: HeadTarget
    manifest_path: str
    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class VerifiedBase:
    """One base version as its publisher signed it. ``digest`` and ``length`` are those of its manifest."""

    target: BaseTarget
    manifest_path: str
    digest: Digest
    length: int


@dataclass(frozen=True, slots=True)
class VerifiedManifest:
    """The file list of a release, pinned by signed metadata and consistent with its signed facts."""

    manifest: Manifest
    data: bytes


@dataclass(frozen=True, slots=True)
class VerifiedChannel:
    """A channel document under the registry's online signature."""

    document: ChannelDocument
    digest: Digest


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh found.

    ``changed`` is False when the registry has nothing newer than what is stored. ``clock_floor`` is the time the
    signatures were judged at: no later refresh may take an earlier clock for true, so the caller keeps it.
    ``requests`` and ``received_bytes`` are what it cost.
    """

    changed: bool
    clock_floor: datetime
    requests: int
    received_bytes: int

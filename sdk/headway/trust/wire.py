"""Reading and writing TUF 1.0 metadata bytes: the one place that turns them into python-tuf's objects and back.

Bytes that were received are kept as they are; only bytes that we sign anew are serialised here. Whatever goes wrong
inside the library comes out as one of our errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from securesystemslib.signer import Signature, SSlibKey
from tuf.api.exceptions import (
    BadVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from headway.contract.errors import UntrustedError
from headway.trust.keys import PublicKey, Signer

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)
MAX_METADATA_BYTES = 5_000_000

_ROTATE_HINT = "Do not install from this registry until its publisher has explained it; what runs now stays."


@contextmanager
def judged(role: str) -> Iterator[None]:
    """Turn the library's verdicts about ``role`` into :class:`UntrustedError` with one stable code each."""
    try:
        yield
    except UnsignedMetadataError as error:
        raise untrusted("bad_signature", f"{role} is not signed by enough of its keys ({error}).", role) from error
    except ExpiredMetadataError as error:
        raise untrusted(
            "expired_metadata",
            f"The signed metadata has expired ({error}).",
            role,
            hint="Check this clock; if it is right, the registry is no longer re-signing: tell its operator.",
        ) from error
    except BadVersionNumberError as error:
        raise untrusted(
            "rollback", f"{role} is older than what was already seen, or mislabelled ({error}).", role
        ) from error
    except LengthOrHashMismatchError as error:
        raise untrusted(
            "mix_and_match", f"{role} is not the file that the signed metadata names ({error}).", role
        ) from error
    except DeserializationError as error:
        raise untrusted("malformed_metadata", f"{role} is not TUF metadata.", role) from error
    except RepositoryError as error:
        raise untrusted("bad_metadata", f"{role} cannot be trusted ({error}).", role) from error
    except ValueError as error:  # python-tuf: "no delegation found"
        raise untrusted("bad_metadata", f"{role} cannot be trusted ({error}).", role) from error


def untrusted(code: str, message: str, role: str, *, hint: str = _ROTATE_HINT) -> UntrustedError:
    """An :class:`UntrustedError` about ``role``."""
    return UntrustedError(code, message, hint=hint, role=role)


def parse(kind: type[S], data: bytes, role: str) -> Metadata[S]:
    """``data`` as metadata of ``kind``; nothing is verified yet.

    Raises:
        UntrustedError: codes ``too_large``, ``malformed_metadata``.
    """
    if len(data) > MAX_METADATA_BYTES:
        raise untrusted("too_large", f"{role} has {len(data)} bytes, more than {MAX_METADATA_BYTES}.", role)
    with judged(role):
        metadata: Metadata[S] = Metadata.from_bytes(data)
    if not isinstance(metadata.signed, kind):
        raise untrusted("malformed_metadata", f"{role} is metadata of another type.", role)
    return metadata


def parse_role(data: bytes, role: str) -> Metadata[Any]:
    """``data`` as metadata of the type that ``role`` must have (all but three are targets roles); as :func:`parse`."""
    match role:
        case "root":
            return parse(Root, data, role)
        case "snapshot":
            return parse(Snapshot, data, role)
        case "timestamp":
            return parse(Timestamp, data, role)
        case _:
            return parse(Targets, data, role)


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """What any metadata file says about itself. Unverified."""

    version: int
    expires: datetime
    keyids: tuple[str, ...]


def facts(data: bytes, role: str) -> RoleFacts:
    """Version, expiry and the ids of the keys that signed; raises as :func:`parse`."""
    metadata = parse_role(data, role)
    return RoleFacts(metadata.signed.version, metadata.signed.expires, tuple(metadata.signatures))


def unsigned(signed: Root | Targets | Snapshot | Timestamp) -> bytes:
    """Bytes of ``signed`` without signatures: what a signing request carries."""
    metadata: Metadata[Any] = Metadata(signed)
    return metadata.to_bytes()


def add_signatures(data: bytes, role: str, signers: Iterable[Signer]) -> bytes:
    """``data`` with the signatures of ``signers`` added; those already there stay.

    Raises:
        UntrustedError: codes ``too_large``, ``malformed_metadata``.
    """
    metadata = parse_role(data, role)
    payload = metadata.signed_bytes
    for signer in signers:
        keyid = signer.public.keyid
        metadata.signatures[keyid] = Signature(keyid, signer.sign(payload).hex())
    return metadata.to_bytes()


def library_key(key: PublicKey) -> SSlibKey:
    """``key`` as python-tuf wants it."""
    return SSlibKey(key.keyid, "ed25519", "ed25519", {"public": key.value})


def whole_seconds(moment: datetime) -> datetime:
    """``moment`` in UTC without the microseconds that TUF's date format cannot hold."""
    return moment.astimezone(UTC).replace(microsecond=0)

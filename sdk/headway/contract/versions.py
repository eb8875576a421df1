"""Names, release numbers, operating-system versions and references such as ``topic@17``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headway.contract.digests import Digest, parse_digest
from headway.contract.errors import RefusedError, malformed

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RELEASE = re.compile(r"[1-9][0-9]{0,8}")
MAX_RELEASE = 10**9 - 1
"""Releases of a head count from 1 to here."""

_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){0,2}")

OsVersion = tuple[int, int, int]
"""``(major, minor, patch)``; missing parts are 0, so that 17 equals 17.0."""


def parse_name(value: object, *, what: str = "name") -> str:
    """An app, base, head or channel name: 1–63 of ``a-z 0-9 -``, no dash at either end (an RFC 1123 label).

    Raises:
        RefusedError: code ``malformed``.
    """
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise malformed(what, "$", "1 to 63 of a-z, 0-9 and -, with no dash at either end")


def parse_version(value: object, *, what: str = "version") -> tuple[int, int, int]:
    """``1``, ``1.2`` or ``1.2.3`` as a tuple that orders rightly.

    Raises:
        RefusedError: code ``malformed``; leading zeros and suffixes are refused, so one version has one spelling.
    """
    if not (isinstance(value, str) and _VERSION.fullmatch(value)):
        raise malformed(what, "$", "1 to 3 numbers joined by dots")
    parts = [int(part) for part in value.split(".")]
    parts += [0] * (3 - len(parts))
    return parts[0], parts[1], parts[2]


def parse_release(value: object, *, what: str = "release") -> int:
    """A release number written in decimal, ``1`` … ``999999999``, without a leading zero.

    Raises:
        RefusedError: code ``malformed``.
    """
    if isinstance(value, str) and _RELEASE.fullmatch(value):
        return int(value)
    raise malformed(what, "$", f"a number from 1 to {MAX_RELEASE}")


@dataclass(frozen=True, slots=True)
class ReleaseReference:
    """``name@17``: one release of a head."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class ChannelReference:
    """``name@stable``: what a channel offers under that name now."""

    name: str
    channel: str


Reference = ReleaseReference | ChannelReference | Digest


def parse_reference(text: str) -> Reference:
    """``topic@17``, ``topic@stable`` or ``sha256:…``.

    Raises:
        RefusedError: code ``malformed_reference``, or ``malformed`` for a digest that is none.
    """
    if text.startswith("sha256:"):
        return parse_digest(text, document="reference", path="$")
    name, at, rest = text.partition("@")
    if at and _NAME.fullmatch(name):
        if _RELEASE.fullmatch(rest):
            return ReleaseReference(name, int(rest))
        if _NAME.fullmatch(rest) and not rest.isdigit():
            return ChannelReference(name, rest)
    raise RefusedError(
        "malformed_reference",
        f"{text!r} is not a reference.",
        hint="Write NAME@RELEASE, NAME@CHANNEL or sha256:DIGEST, for example topic@17 or topic@stable.",
    )

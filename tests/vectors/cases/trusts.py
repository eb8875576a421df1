"""The small rules of signed metadata: times, patterns, bins, quoting, and Ed25519."""

from __future__ import annotations

import calendar
import time
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from form import Case, Json, vectors
from tuf.api.metadata import DelegatedRole, SuccinctRoles

_ORDER = 2**252 + 27742317777372353535851937790883648493


def _times() -> list[Case]:
    good = [
        "1970-01-01T00:00:00Z",
        "2000-02-29T23:59:59Z",
        "2024-12-31T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2100-02-28T12:00:00Z",
        "9999-12-31T23:59:59Z",
    ]
    bad = [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-1-1T0:0:0Z",
        "+026-01-01T00:00:00Z",
        "２０２６-01-01T00:00:00Z",
    ]
    seconds = {text: calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) for text in good}
    return [
        *({"comment": text, "flags": ["Time"], "text": text, "seconds": value} for text, value in seconds.items()),
        *(
            {"comment": text.encode("ascii", "replace").decode(), "flags": ["Time"], "text": text, "seconds": None}
            for text in bad
        ),
    ]


def _patterns() -> list[Case]:
    pairs = [
        ("heads/b/topic/17/manifest.json", "heads/b/*/*/*"),
        ("heads/b/topic/17/x/manifest.json", "heads/b/*/*/*"),
        ("heads/b/topic", "heads/b/*/*/*"),
        ("heads/c/topic/17/manifest.json", "heads/b/*/*/*"),
        ("team/one-x", "team/one-*"),
        ("team/one-", "team/one-*"),
        ("team/two", "team/one-*"),
        ("a", "*"),
        ("a/b", "*"),
        ("", "*"),
        ("ab", "a?"),
        ("a", "a?"),
        ("a/b", "a?b"),
        ("abcbcd", "a*bcd"),
        ("abcbce", "a*bcd"),
        ("aaaa", "*a*a*"),
        ("topic.json", "*.json"),
        ("Topic.json", "topic.json"),
        ("头/一", "头/*"),
    ]
    return [
        {
            "comment": "path and pattern",
            "flags": ["Pattern"],
            "path": path,
            "pattern": pattern,
            "matches": DelegatedRole("r", [], 1, False, paths=[pattern]).is_delegated_path(path),
        }
        for path, pattern in pairs
    ]


def _bins() -> list[Case]:
    paths = ["a", "heads/b/topic/17/manifest.json", "", "头"]
    return [
        {
            "comment": f"{bits} bits",
            "flags": ["Bin"],
            "path": path,
            "bits": bits,
            "role": SuccinctRoles([], 1, bits, "bin").get_role_for_target(path),
        }
        for bits in (1, 3, 4, 5, 8, 10, 17, 32)
        for path in paths
    ]


def _signatures() -> list[Case]:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes_raw()
    message = b'{"_type":"timestamp"}'
    good = key.sign(message)
    scalar = int.from_bytes(good[32:], "little")
    malleable = good[:32] + (scalar + _ORDER).to_bytes(32, "little")

    def case(comment: str, valid: bool, signature: bytes = good, said: bytes = message, by: bytes = public) -> Case:
        return {
            "comment": comment,
            "flags": ["Ed25519"],
            "key": by.hex(),
            "signature": signature.hex(),
            "message": said.decode(),
            "valid": valid,
        }

    return [
        case("good", True),
        case("over nothing", True, key.sign(b""), b""),
        case("over something else", False, said=message + b" "),
        case("a bit of R turned", False, bytes([good[0] ^ 1]) + good[1:]),
        case("a bit of S turned", False, good[:40] + bytes([good[40] ^ 1]) + good[41:]),
        case("S plus the order of the group", False, malleable),
        case("cut by a byte", False, good[:-1]),
        case("a byte too long", False, good + b"\0"),
        case("empty", False, b""),
        case("all zero", False, bytes(64)),
        case("another key", False, by=Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()),
        case("a key of 31 bytes", False, by=public[:-1]),
        case("a key that is no point", False, by=b"\x02" + bytes(30) + b"\x80"),
    ]


def build() -> Json:
    """Run by Swift; Python leaves these to python-tuf and cryptography, from which the expectations come."""
    quoted = ["targets", "heads-kdconv-mobilebert", "a/b", "..", "a b", "%41", "~._-", "é", "头", "a\\b", "a:b?c#d"]
    return vectors(
        "Times, path patterns, hash bins, quoting and signatures of TUF metadata",
        {
            "Time": "an expiry as seconds since 1970, null where the text is none",
            "Pattern": "whether a delegation's pattern covers a path",
            "Bin": "which of the succinct roles speaks for a path",
            "Quote": "a role's or target's name as a file name",
            "Ed25519": "a signature and whether it verifies",
        },
        [
            *_times(),
            *_patterns(),
            *_bins(),
            *({"comment": "name", "flags": ["Quote"], "name": name, "quoted": quote(name, safe="")} for name in quoted),
            *_signatures(),
        ],
    )

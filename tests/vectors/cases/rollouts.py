"""Buckets, and who is in a rollout."""

from __future__ import annotations

import hashlib

from form import Case, Json, vectors


def bucket_of(salt: str, install: str) -> int:
    """The definition, once more, independently."""
    return int(hashlib.sha256(salt.encode() + b"\0" + install.encode()).hexdigest()[:16], 16) % 10_000


def install_with(salt: str, low: int, high: int) -> str:
    """The first install id of a fixed series whose bucket lies in ``low`` … ``high``."""
    return next(name for i in range(10**6) if low <= bucket_of(salt, name := f"device-{i}") <= high)


def _bucket(salt: str, install: str, comment: str = "bucket") -> Case:
    return {
        "comment": comment,
        "flags": ["Bucket"],
        "salt": salt,
        "install_id": install,
        "bucket": bucket_of(salt, install),
    }


def _member(comment: str, rollout: dict[str, object], install: str, groups: list[str], inside: bool) -> Case:
    full = {"salt": "s1", "permyriad": 0, "pins": [], "excludes": [], **rollout}
    return {
        "comment": comment,
        "flags": ["Member"],
        "rollout": full,
        "install_id": install,
        "groups": groups,
        "in": inside,
    }


def build() -> Json:
    """``bucket`` and ``in_rollout``."""
    first, last = install_with("s1", 0, 0), install_with("s1", 9999, 9999)
    tenth = install_with("s1", 1000, 1000)
    series = [_bucket("topic@17", f"device-{i}") for i in range(12)]
    return vectors(
        "A device's sticky bucket and whether it is in a rollout",
        {
            "Bucket": "first 8 bytes, big-endian, of SHA-256(salt, 0x00, install id), modulo 10,000",
            "Member": "in or not",
        },
        [
            *series,
            _bucket("", "", "empty salt and id"),
            _bucket("a", "b", "the separator counts"),
            _bucket("", "ab", "so this differs from the one before"),
            _bucket("topic@18", "device-0", "another salt, another bucket"),
            _bucket("s1", "0b8f2c1e-7d55-4b64-9e0b-6a2f0c9d4e11", "an id as devices draw it"),
            _bucket("s1", "设备", "the id counts by its UTF-8 bytes"),
            _member("0 of 10,000: not even bucket 0", {}, first, [], False),
            _member("1 of 10,000: bucket 0", {"permyriad": 1}, first, [], True),
            _member("9,999 of 10,000: not bucket 9,999", {"permyriad": 9999}, last, [], False),
            _member("10,000 of 10,000: all", {"permyriad": 10_000}, last, [], True),
            _member("bucket 1,000 at 10 %", {"permyriad": 1000}, tenth, [], False),
            _member("bucket 1,000 just above 10 %", {"permyriad": 1001}, tenth, [], True),
            _member("a pin is in at 0", {"pins": ["qa"]}, last, ["beta", "qa"], True),
            _member("a pin of others is not", {"pins": ["qa"]}, last, ["beta"], False),
            _member("group names match exactly", {"pins": ["qa"]}, last, ["QA", "qa2"], False),
            _member(
                "an exclude is out at 10,000", {"permyriad": 10_000, "excludes": ["kiosk"]}, first, ["kiosk"], False
            ),
            _member(
                "an exclude wins over a pin",
                {"permyriad": 10_000, "pins": ["qa"], "excludes": ["kiosk"]},
                first,
                ["qa", "kiosk"],
                False,
            ),
            _member(
                "an exclude of others does not count", {"permyriad": 1, "excludes": ["kiosk"]}, first, ["qa"], True
            ),
        ],
    )

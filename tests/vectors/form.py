"""The form of a vector file, and the independent oracles that expectations come from.

Nothing under ``tests/vectors`` imports Headway: an expectation is written by hand or computed by hashlib and
securesystemslib, so that a vector can never be right merely because the code says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from securesystemslib.formats import encode_canonical

Json = object
Case = dict[str, object]


def digest(data: bytes | str) -> str:
    """``sha256:<hex>``; text stands for its UTF-8 bytes, so ``digest("base")`` is a readable stand-in for a file."""
    return "sha256:" + hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def canonical(value: Json) -> str:
    """Canonical JSON by securesystemslib."""
    text = encode_canonical(value)
    assert isinstance(text, str)
    return text


def vectors(about: str, notes: Mapping[str, str], cases: Iterable[Case]) -> Json:
    """A vector file: what is tested, what the flags mean, and numbered cases."""
    numbered = [{"id": number, **case} for number, case in enumerate(cases, start=1)]
    used = {flag for case in numbered for flag in list(case["flags"])}  # type: ignore[call-overload]
    assert used == set(notes), f"{about}: flags without a note or notes without a flag: {used ^ set(notes)}"
    return {"about": about, "notes": dict(notes), "cases": numbered}


def without(value: Mapping[str, object], *names: str) -> dict[str, object]:
    """``value`` less some members."""
    return {name: item for name, item in value.items() if name not in names}

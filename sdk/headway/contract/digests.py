"""Digests, and the one byte form of JSON that is digested and signed.

``Digest`` is ``sha256:<64 lower-case hex>``. Canonical JSON here is the OLPC form that TUF uses, on a deliberately
small value space: printable ASCII, integers, booleans, null, lists and objects. No floats: two languages never
agree on their digits.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import NewType

from headway.contract.errors import malformed

Digest = NewType("Digest", str)
"""``sha256:<hex>``; made by :func:`digest_of` or :func:`parse_digest` only."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
MAX_INTEGER = 2**53 - 1
"""Largest absolute integer: Swift's and JavaScript's readers would disagree beyond it."""
MAX_NESTING = 32
"""Lists and objects inside one another, the outermost included; a limit of its own, so that no two readers differ."""


def digest_of(data: bytes) -> Digest:
    """SHA-256 digest of ``data``."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def digest_of_chunks(chunks: Iterable[bytes]) -> tuple[Digest, int]:
    """Digest and size in bytes of a stream, without holding it."""
    state, size = hashlib.sha256(), 0
    for chunk in chunks:
        state.update(chunk)
        size += len(chunk)
    return Digest("sha256:" + state.hexdigest()), size


def parse_digest(value: object, *, document: str = "digest", path: str = "$") -> Digest:
    """``value`` as a digest.

    Raises:
        RefusedError: code ``malformed``; anything but ``sha256:`` and 64 lower-case hex digits.
    """
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return Digest(value)
    raise malformed(document, path, "sha256: and 64 lower-case hex digits")


def hex_of(digest: Digest) -> str:
    """The 64 hex digits: how an artifact is named in a URL or a folder."""
    return digest.removeprefix("sha256:")


def canonical_json(value: object, *, document: str = "document") -> bytes:
    """The canonical bytes of ``value``.

    Raises:
        RefusedError: code ``malformed``; see :func:`check_value`.
    """
    check_value(value, document=document)
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode("ascii")


def check_value(value: object, *, document: str) -> None:
    """Refuse what has no canonical form; :func:`canonical_json` succeeds exactly where this does.

    Raises:
        RefusedError: code ``malformed``; a float, a non-ASCII or control character, a key that is not a string,
            an integer beyond ±:data:`MAX_INTEGER`, or nesting deeper than :data:`MAX_NESTING`.
    """
    _check(value, document, None, MAX_NESTING)


def is_printable_ascii(text: str) -> bool:
    """Whether every character is one of U+0020 … U+007E; true for the empty string."""
    return text.isascii() and text.isprintable()


# Where a value stands is only spelled out when it is wrong: most values are right, and there are many.
_Place = tuple["_Place", str | int] | None


def _check(value: object, document: str, place: _Place, levels: int) -> None:
    match value:
        case str():
            if not is_printable_ascii(value):
                raise malformed(document, _path(place), "printable ASCII")
        case None | bool():
            return
        case int():
            if abs(value) > MAX_INTEGER:
                raise malformed(document, _path(place), "an integer within ±(2^53-1)")
        case list() | tuple() | dict() if levels == 0:
            raise malformed(document, _path(place), f"nested at most {MAX_NESTING} levels deep")
        case dict():
            for key, item in value.items():
                if not (isinstance(key, str) and is_printable_ascii(key)):
                    raise malformed(document, _path(place), "an object whose keys are printable ASCII")
                _check(item, document, (place, key), levels - 1)
        case list() | tuple():
            for index, item in enumerate(value):
                _check(item, document, (place, index), levels - 1)
        case _:
            raise malformed(document, _path(place), "an integer, string, boolean, null, list or object (no floats)")


def _path(place: _Place) -> str:
    if place is None:
        return "$"
    parent, step = place
    return f"{_path(parent)}[{step}]" if isinstance(step, int) else f"{_path(parent)}.{step}"


def tree_digest(files: Iterable[tuple[str, Digest, int]]) -> Digest:
    """Digest of a folder: of the canonical list of its files as ``(relative path, digest, size in bytes)``.

    The order given does not matter. A base is known by this digest of its ``.mlpackage``.
    """
    rows = [{"digest": digest, "path": path, "size": size} for path, digest, size in sorted(files)]
    return digest_of(canonical_json(rows, document="file list"))

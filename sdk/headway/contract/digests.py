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
_MAX_INTEGER = 2**53 - 1


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


def parse_digest(value: object, *, document: str = "digest", path: str = "digest") -> Digest:
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
        RefusedError: code ``malformed``; a float, a non-ASCII or control character, a key that is not a string,
            or an integer beyond ±(2^53-1) (Swift's and JavaScript's readers would disagree about it).
    """
    _lint(value, document, "$")
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode("ascii")


def _lint(value: object, document: str, path: str) -> None:
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > _MAX_INTEGER:
                raise malformed(document, path, "an integer within ±(2^53-1)")
        case str():
            if not (value.isascii() and value.isprintable()):
                raise malformed(document, path, "printable ASCII")
        case list() | tuple():
            for index, item in enumerate(value):
                _lint(item, document, f"{path}[{index}]")
        case dict():
            for key, item in value.items():
                if not (isinstance(key, str) and key.isascii() and key.isprintable()):
                    raise malformed(document, path, "an object whose keys are printable ASCII")
                _lint(item, document, f"{path}.{key}")
        case _:
            raise malformed(document, path, "an integer, string, boolean, null, list or object (no floats)")


def tree_digest(files: Iterable[tuple[str, Digest, int]]) -> Digest:
    """Digest of a folder: of the canonical list of its files as ``(relative path, digest, size in bytes)``.

    The order given does not matter. A base is known by this digest of its ``.mlpackage``.
    """
    rows = [{"digest": digest, "path": path, "size": size} for path, digest, size in sorted(files)]
    return digest_of(canonical_json(rows, document="file list"))

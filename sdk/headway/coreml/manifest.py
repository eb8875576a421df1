"""``Manifest.json`` of a ``.mlpackage``: which file is the model and which folders belong to it.

coremltools' own check accepts item paths that leave the package; this one does not.  Every file of the package must be
the manifest itself or lie at or under a listed item: nothing travels unlisted.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from headway.coreml.limits import DEFAULT_LIMITS, ReadLimits
from headway.coreml.tree import check_names, refuse

__all__ = ["PackageManifest", "parse_manifest"]

_HINT = "Save the package again with coremltools; do not edit it by hand."
_UNLISTED = frozenset({"Manifest.json", "executorch_debug_handle_mapping.json"})
"""Files that coremltools writes beside the listed items; the second for every program that came from torch.export."""


@dataclass(frozen=True)
class PackageManifest:
    """The names, relative to the package, of the model and of all listed items."""

    model: str
    items: tuple[str, ...]


def parse_manifest(data: bytes, names: Collection[str], limits: ReadLimits = DEFAULT_LIMITS) -> PackageManifest:
    """Parse the manifest *data* of a package whose files are *names*.

    Raises :class:`RefusedError` when it is malformed, points outside the package, or does not cover the files.
    """
    if len(data) > limits.manifest_bytes:
        raise refuse("Manifest.json is too large.", code="too_large")
    content = _object(_load(data), "the manifest")
    version = content.get("fileFormatVersion")
    if not isinstance(version, str) or version.split(".")[0] != "1":
        raise refuse(f"The package format version {version!r} is not known.", hint=_HINT)
    entries = _object(content.get("itemInfoEntries"), "itemInfoEntries")
    if len(entries) > limits.files:
        raise refuse("The manifest lists too many items.", code="too_large")
    items = {identifier: _item_path(entry) for identifier, entry in entries.items()}
    check_names(items.values(), limits)
    root = content.get("rootModelIdentifier")
    model = items.get(root) if isinstance(root, str) else None
    if model is None or model not in names:
        raise refuse("The manifest's root model is not a file of the package.", hint=_HINT)
    _check_cover(tuple(items.values()), names)
    return PackageManifest(model=model, items=tuple(sorted(items.values())))


def _load(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise refuse("Manifest.json is not valid JSON.", hint=_HINT) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a name appears twice")
    return dict(pairs)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refuse(f"In Manifest.json, {what} is not an object.", hint=_HINT)
    return value


def _item_path(entry: Any) -> str:
    path = _object(entry, "an item").get("path")
    if not isinstance(path, str):
        raise refuse("An item of Manifest.json has no path.", hint=_HINT)
    return f"Data/{path}"


def _check_cover(items: tuple[str, ...], names: Collection[str]) -> None:
    for name in names:
        if name not in _UNLISTED and not any(name == item or name.startswith(f"{item}/") for item in items):
            raise refuse(f"The file {name!r} is not listed in Manifest.json.", hint="Remove it, or save again.")
    # A listed folder may be empty: coremltools lists `weights` for a program that has none. A weight that the
    # program does refer to is looked for by check_blobs.

"""A release folder or zip, read strictly: exactly the files a release has, refused rather than repaired.

Names, links, sizes and zip tricks are refused by the readers in :mod:`headway.coreml.tree`; this module adds what a
*release* may hold. Nothing is renamed, skipped or completed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headway.contract.digests import Digest, digest_of, digest_of_chunks
from headway.contract.errors import RefusedError
from headway.contract.manifest import (
    BASE_LIMITS,
    HEAD_LIMITS,
    Manifest,
    ManifestFile,
    check_file_set,
    check_path,
)
from headway.coreml.limits import ReadLimits
from headway.coreml.tree import read_folder, read_zip

PACKAGE = "base.mlpackage"
HEAD_FILES = frozenset({"head.mlmodel", "golden.safetensors", "labels.json", "card.json"})
BASE_FILES = frozenset({"vocab.txt", "contract.json", "golden.jsonl", "golden.safetensors", "card.json"})
_MEDIA_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".txt": "text/plain; charset=utf-8",
    ".mlmodel": "application/vnd.apple.coreml.model",
    ".safetensors": "application/vnd.safetensors",
}
_CHUNK_BYTES = 256 * 1024
_MAX_CARD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release: its path in it, where its bytes are, and what they are."""

    path: str
    source: Path
    digest: Digest
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The bytes, piece by piece."""
        with self.source.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk


@dataclass(frozen=True, slots=True)
class Release:
    """The files of one release on this machine, sorted by path. ``kind`` is ``base`` or ``head``."""

    kind: str
    files: tuple[ReleaseFile, ...]

    def file(self, path: str) -> ReleaseFile:
        """The file at ``path``, which :func:`open_release` has made sure of."""
        return next(file for file in self.files if file.path == path)

    def folder(self, name: str) -> Path:
        """Where the sub-folder ``name`` (``base.mlpackage``) is."""
        first = next(file for file in self.files if file.path.startswith(name + "/"))
        return Path(str(first.source).removesuffix(first.path[len(name) :]))

    def card(self) -> dict[str, Any]:
        """The content of ``card.json``.

        Raises:
            RefusedError: code ``bad_card``.
        """
        try:
            value = json.loads(self.file("card.json").source.read_bytes().decode("utf-8"))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise RefusedError("bad_card", "card.json is not a JSON object.", hint="Write the card again.")
        return value

    def with_card(self, card: Mapping[str, Any], scratch: Path) -> Release:
        """The same release with another ``card.json``, whose bytes are written into ``scratch``."""
        data = (json.dumps(card, ensure_ascii=False, indent=2) + "\n").encode()
        if len(data) > _MAX_CARD_BYTES:
            raise RefusedError("bad_card", "card.json would be larger than 1 MiB.", hint="Give shorter reasons.")
        target = scratch / "card.json"
        target.write_bytes(data)
        new = ReleaseFile("card.json", target, digest_of(data), len(data))
        return replace(self, files=tuple(new if file.path == "card.json" else file for file in self.files))

    def manifest(self, *, app: str, name: str, version: str, facts: Mapping[str, str | int] | None = None) -> Manifest:
        """The manifest of this release, read back from its own bytes so that every rule has been checked.

        Raises:
            RefusedError: codes ``malformed``, ``unsafe_path``, ``too_large``.
        """
        files = tuple(ManifestFile(f.path, f.digest, f.size, media_type(f.path)) for f in self.files)
        manifest = Manifest(self.kind, app, name, version, files, dict(facts or {}))
        return Manifest.from_bytes(manifest.to_bytes())


def media_type(path: str) -> str:
    """The media type of a file of a release, by its name."""
    return _MEDIA_TYPES.get(Path(path).suffix, "application/octet-stream")


@contextmanager
def open_release(kind: str, path: Path) -> Iterator[tuple[Release, Path]]:
    """Read the release in a folder or zip, with a scratch folder that lives as long as it does.

    Raises:
        RefusedError: codes ``no_release``, ``missing_file``, ``extra_file``, ``unsafe_path``, ``too_large``,
            ``package`` (links, zip tricks).
    """
    with tempfile.TemporaryDirectory(prefix="headway-") as name:
        scratch = Path(name)
        limits = BASE_LIMITS if kind == "base" else HEAD_LIMITS
        reading = ReadLimits(
            file_bytes=limits.max_file_bytes, total_bytes=limits.max_total_bytes, files=limits.max_files
        )
        if path.is_dir():
            sources = read_folder(path, reading)
        elif path.is_file():
            sources = _unpacked(read_zip(path, reading), scratch / "release")
        else:
            raise RefusedError(
                "no_release",
                f"There is no release at {path}.",
                hint="Give the folder (or zip) that the trainer wrote.",
                kind="not_found",
            )
        check_contents(kind, sources)
        files = tuple(_measured(name, source) for name, source in sorted(sources.items()))
        yield Release(kind, files), scratch


def check_contents(kind: str, names: Mapping[str, object]) -> None:
    """Refuse a file set that is not exactly that of a release.

    Raises:
        RefusedError: codes ``missing_file``, ``extra_file``, ``unsafe_path``.
    """
    for name in names:
        check_path(name)
    check_file_set(names)
    wanted = BASE_FILES if kind == "base" else HEAD_FILES
    inside = {name for name in names if kind == "base" and name.startswith(PACKAGE + "/")}
    missing = sorted(wanted - set(names)) or ([PACKAGE] if kind == "base" and not inside else [])
    if missing:
        raise RefusedError(
            "missing_file",
            f"The {kind} release has no {missing[0]}.",
            hint=f"A {kind} release holds {', '.join(sorted(wanted))}{' and ' + PACKAGE if kind == 'base' else ''}.",
            path=missing[0],
        )
    extra = sorted(set(names) - wanted - inside)
    if extra:
        raise RefusedError(
            "extra_file",
            f"The {kind} release holds {extra[0]}, which is no part of one.",
            hint="Remove it from the folder; what is published is exactly what is there.",
            path=extra[0],
        )


def _measured(name: str, source: Path) -> ReleaseFile:
    with source.open("rb") as stream:
        digest, size = digest_of_chunks(iter(lambda: stream.read(_CHUNK_BYTES), b""))
    return ReleaseFile(name, source, digest, size)


def _unpacked(contents: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    placed = {}
    for name, data in contents.items():
        target = folder / check_path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        placed[name] = target
    return placed

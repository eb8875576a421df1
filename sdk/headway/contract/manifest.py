"""The manifest: the signed list of a release's files.

A release on disk must be *exactly* its manifest: no file missing, none extra. Paths are confined by
:func:`check_path`; a bad path is refused, never repaired, because repair is where parsers disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headway.contract.digests import MAX_INTEGER, Digest, canonical_json, digest_of, tree_digest
from headway.contract.errors import RefusedError
from headway.contract.parsing import Fields, decode
from headway.contract.versions import parse_name, parse_release, parse_version

SCHEMA = 1
KINDS = ("base", "head")
MAX_DEPTH = 6
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a release may weigh. Sizes are bytes."""

    max_files: int
    max_file_bytes: int
    max_total_bytes: int


HEAD_LIMITS = Limits(max_files=32, max_file_bytes=32 * 2**20, max_total_bytes=64 * 2**20)
BASE_LIMITS = Limits(max_files=256, max_file_bytes=2 * 2**30, max_total_bytes=2 * 2**30)
_LIMITS = {"head": HEAD_LIMITS, "base": BASE_LIMITS}


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One artifact of a release and where it stands in it."""

    path: str
    digest: Digest
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one release. ``id`` is the base id or head name; ``version`` the base version or release number.

    ``facts`` are strings and integers for people and reports (training run, data digests); no rule reads them.
    """

    kind: str
    app: str
    id: str
    version: str
    files: tuple[ManifestFile, ...]
    facts: Mapping[str, str | int]

    @property
    def digest(self) -> Digest:
        """Digest of the canonical bytes."""
        return digest_of(self.to_bytes())

    @property
    def total_bytes(self) -> int:
        """Bytes of all files together: what a device downloads at most."""
        return sum(file.size for file in self.files)

    def file(self, path: str) -> ManifestFile:
        """The entry at ``path``.

        Raises:
            RefusedError: code ``missing_file``.
        """
        for entry in self.files:
            if entry.path == path:
                return entry
        raise _missing(path)

    def package_digest(self, folder: str) -> Digest:
        """Tree digest of the files under ``folder/``, by paths relative to it: the digest of a base.

        Raises:
            RefusedError: code ``missing_file``; no file lies there, or ``folder`` is a file itself.
        """
        prefix = folder + "/"
        inside = [f for f in self.files if f.path.startswith(prefix)]
        if not inside:
            raise _missing(prefix)
        return tree_digest((f.path.removeprefix(prefix), f.digest, f.size) for f in inside)

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "app": self.app,
            "id": self.id,
            "version": self.version,
            "files": [
                {"path": f.path, "digest": f.digest, "size": f.size, "media_type": f.media_type}
                for f in sorted(self.files, key=lambda f: f.path)
            ],
            "facts": dict(self.facts),
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes: the content of ``manifest.json``, which signed metadata pins."""
        return canonical_json(self.to_json(), document="manifest")

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read and check a manifest: paths, limits, duplicates after case folding.

        Raises:
            RefusedError: codes ``malformed``, ``unsafe_path``, ``too_large``.
        """
        fields = decode(data, "manifest")
        fields.schema(SCHEMA)
        kind = fields.text("kind", choices=KINDS)
        limits = _LIMITS[kind]
        version = fields.text("version", max_length=32)
        if kind == "head":
            parse_release(version, what="manifest version")
        else:
            parse_version(version, what="manifest version")
        files = tuple(
            ManifestFile(
                path=check_path(entry.text("path", max_length=1024)),
                digest=entry.digest("digest"),
                size=entry.integer("size", high=limits.max_file_bytes),
                media_type=entry.text("media_type", max_length=128),
            )
            for entry in fields.objects("files", most=limits.max_files)
        )
        check_file_set(f.path for f in files)
        manifest = cls(
            kind=kind,
            app=parse_name(fields.text("app"), what="app"),
            id=parse_name(fields.text("id"), what="id"),
            version=version,
            files=tuple(sorted(files, key=lambda f: f.path)),
            facts=_facts(fields.nested("facts")),
        )
        if manifest.total_bytes > limits.max_total_bytes:
            raise RefusedError(
                "too_large",
                f"The release has {manifest.total_bytes} bytes, more than {limits.max_total_bytes}.",
                hint="Make the model smaller, or split what is not needed on the device from the release.",
                kind="too_large",
            )
        return manifest


def _facts(fields: Fields) -> dict[str, str | int]:
    facts: dict[str, str | int] = {}
    for name in fields.names():
        try:
            facts[name] = fields.text(name)
        except RefusedError:
            facts[name] = fields.integer(name, low=-MAX_INTEGER)
    return facts


def _missing(path: str) -> RefusedError:
    return RefusedError(
        "missing_file",
        f"The release has no file {path}.",
        hint=f"Publish the release again with {path} in its folder.",
        path=path,
    )


def check_path(path: str) -> str:
    """``path`` if it is safe inside a release.

    Safe is: relative, ``/`` between parts, ASCII letters, digits, dot, dash and underscore, no part that starts
    with a dot or dash (so no ``..`` and no hidden file), at most six parts.

    Raises:
        RefusedError: code ``unsafe_path``.
    """
    parts = path.split("/")
    if len(parts) <= MAX_DEPTH and all(_PART.fullmatch(part) for part in parts):
        return path
    raise RefusedError(
        "unsafe_path",
        f"The path {path[:80]!r} is not allowed in a release.",
        hint="Use relative ASCII names without '..', at most six folders deep, and publish again.",
    )


def check_file_set(paths: Iterable[str]) -> None:
    """Refuse two paths that one file system could fold together, or a file that is also a folder.

    Raises:
        RefusedError: code ``unsafe_path``.
    """
    files: set[str] = set()
    folders: dict[str, str] = {}
    for path in paths:
        if path.casefold() in files:
            raise _clash(path, "stands twice in the release (letter case does not count)")
        files.add(path.casefold())
        for folder in _folders(path):
            if folders.setdefault(folder.casefold(), folder) != folder:
                raise _clash(folder, "is spelled in two ways in the release")
    for both in sorted(files & folders.keys()):
        raise _clash(both, "is both a file and a folder in the release")


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _clash(path: str, fault: str) -> RefusedError:
    return RefusedError(
        "unsafe_path", f"The path {path[:80]!r} {fault}.", hint="Rename one of the two and publish again."
    )


def head_manifest_path(base_id: str, name: str, release: int) -> str:
    """Target path of a head's manifest in signed metadata."""
    return f"heads/{base_id}/{name}/{release}/manifest.json"


def base_manifest_path(base_id: str, version: str) -> str:
    """Target path of a base's manifest in signed metadata."""
    return f"bases/{base_id}/{version}/manifest.json"


def channel_path(channel: str, base_id: str) -> str:
    """Target path of a channel document in signed metadata."""
    return f"channels/{channel}/{base_id}.json"

"""The app bundle: what ships inside an app, read-only, and always there.

A folder::

    app.json                  app, channel, base id, build, urls, and the heads with their release numbers
    root.json                 the root of trust, as signed
    base/base.mlpackage/ vocab.txt contract.json
    heads/<name>/             an embedded head release: head.mlmodel, labels.json, golden.safetensors, …

:meth:`AppBundle.load` digests the base that is *really* there. One loaded bundle may serve many simulated devices.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from headway.contract.digests import Digest, digest_of, digest_of_chunks, tree_digest
from headway.contract.errors import RefusedError
from headway.contract.features import FeatureContract
from headway.contract.parsing import decode
from headway.contract.versions import parse_name
from headway.device.state import HeldRelease

HEAD_FILE, LABELS_FILE, GOLDEN_FILE = "head.mlmodel", "labels.json", "golden.safetensors"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class AppConfig:
    """What an app is built with. URLs are folders; ``outcomes_url`` may be empty: then nothing is reported."""

    app: str
    channel: str
    base_id: str
    build: int
    heads: Mapping[str, int]
    """Release number of each embedded head (0: never published)."""
    metadata_url: str
    targets_url: str
    artifacts_url: str
    outcomes_url: str = ""

    def to_bytes(self) -> bytes:
        """The content of ``app.json``."""
        value = {
            "schema": 1,
            "app": self.app,
            "channel": self.channel,
            "base_id": self.base_id,
            "build": self.build,
            "heads": dict(self.heads),
            "metadata_url": self.metadata_url,
            "targets_url": self.targets_url,
            "artifacts_url": self.artifacts_url,
            "outcomes_url": self.outcomes_url,
        }
        return json.dumps(value, indent=2).encode() + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> AppConfig:
        """Read ``app.json``.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = decode(data, "app bundle")
        fields.schema(1)
        heads = fields.nested("heads")
        return cls(
            app=parse_name(fields.text("app"), what="app"),
            channel=parse_name(fields.text("channel"), what="channel"),
            base_id=parse_name(fields.text("base_id"), what="base id"),
            build=fields.integer("build"),
            heads={parse_name(name, what="head name"): heads.integer(name) for name in heads.names()},
            metadata_url=fields.text("metadata_url"),
            targets_url=fields.text("targets_url"),
            artifacts_url=fields.text("artifacts_url"),
            outcomes_url=fields.text("outcomes_url"),
        )

    @classmethod
    def for_registry(
        cls, url: str, app: str, channel: str, base_id: str, build: int, heads: Mapping[str, int]
    ) -> AppConfig:
        """The configuration of an app that follows a Headway server at ``url``."""
        root = f"{url.rstrip('/')}/apps/{app}"
        return cls(
            app,
            channel,
            base_id,
            build,
            heads,
            metadata_url=f"{root}/metadata/",
            targets_url=f"{root}/targets/",
            artifacts_url=f"{root}/artifacts/",
            outcomes_url=f"{url.rstrip('/')}/v1/outcomes",
        )


@dataclass(frozen=True, slots=True)
class AppBundle:
    """A bundle as found on disk. ``base`` is the tree digest of the base package that is present."""

    folder: Path
    config: AppConfig
    root_bytes: bytes
    base: Digest
    contract: FeatureContract
    embedded: Mapping[str, HeldRelease]

    @property
    def base_path(self) -> Path:
        """The base package."""
        return self.folder / "base" / "base.mlpackage"

    @property
    def vocabulary_path(self) -> Path:
        """The vocabulary of the tokenizer."""
        return self.folder / "base" / "vocab.txt"

    def following(self, url: str) -> AppBundle:
        """The same app, following a Headway server at another ``url``; what it trusts stays what it was built with."""
        c = self.config
        return replace(self, config=AppConfig.for_registry(url, c.app, c.channel, c.base_id, c.build, c.heads))

    def embedded_file(self, name: str, path: str) -> bytes | None:
        """One file of the embedded head ``name``, or None."""
        try:
            return (self.folder / "heads" / name / path).read_bytes()
        except OSError:
            return None

    @classmethod
    def load(cls, folder: Path) -> AppBundle:
        """Read a bundle and digest its base.

        Raises:
            RefusedError: code ``malformed`` or ``bundle_incomplete``.
        """
        config = AppConfig.from_bytes(_required(folder / "app.json"))
        base = package_digest(folder / "base" / "base.mlpackage")
        return cls(
            folder=folder,
            config=config,
            root_bytes=_required(folder / "root.json"),
            base=base,
            contract=FeatureContract.from_bytes(_required(folder / "base" / "contract.json")),
            embedded={n: _embedded(folder / "heads" / n, r, base) for n, r in config.heads.items()},
        )


def _embedded(folder: Path, release: int, base: Digest) -> HeldRelease:
    return HeldRelease(
        release=release,
        head=digest_of(_required(folder / HEAD_FILE)),
        base=base,
        manifest=package_digest(folder),
        labels=digest_of(_required(folder / LABELS_FILE)),
    )


def _required(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(
            "bundle_incomplete",
            f"The app bundle has no readable {path.name}.",
            hint="Build the app bundle again with `write_bundle`.",
            path=path.name,
        ) from error


def package_digest(folder: Path) -> Digest:
    """Tree digest of a folder as it is on disk: of a base package, the digest that a head's edge names."""
    rows = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            digest, size = digest_of_chunks(iter(lambda s=stream: s.read(_CHUNK), b""))  # type: ignore[misc]
        rows.append((path.relative_to(folder).as_posix(), digest, size))
    return tree_digest(rows)


def write_bundle(
    folder: Path, config: AppConfig, root_bytes: bytes, base_release: Path, heads: Mapping[str, Path]
) -> AppBundle:
    """Lay out an app bundle from a base release folder and one release folder per head, and load it.

    The base's large files are hard-linked where the file system can.
    """
    (folder / "base").mkdir(parents=True, exist_ok=True)
    shutil.copytree(base_release / "base.mlpackage", folder / "base" / "base.mlpackage", copy_function=_link_or_copy)
    for name in ("vocab.txt", "contract.json"):
        shutil.copyfile(base_release / name, folder / "base" / name)
    for name, source in heads.items():
        shutil.copytree(source, folder / "heads" / name)
    (folder / "root.json").write_bytes(root_bytes)
    (folder / "app.json").write_bytes(config.to_bytes())
    return AppBundle.load(folder)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target

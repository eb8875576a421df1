"""Reading a Core ML model file: ``.mlmodel``, a ``.mlpackage`` folder, or a zip of one.

One strict reader for everything: names, links, sizes, the manifest and the references into weight files are checked
before anyone uses the model, and nothing is repaired.  What comes out is a frozen :class:`Package`.  Whether the model
makes sense as an updatable head is the validator's question, not this module's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from headway.contract.digests import Digest, digest_of, digest_of_chunks, tree_digest
from headway.coreml.blob import WeightFile, check_blobs
from headway.coreml.limits import DEFAULT_LIMITS, ReadLimits
from headway.coreml.manifest import parse_manifest
from headway.coreml.proto import Message, parse_model
from headway.coreml.tree import read_folder, read_zip, refuse, strip_root

__all__ = ["Package", "PackageFile", "read_package"]

_CHUNK = 1024 * 1024
_ZIP_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True)
class PackageFile:
    """One file of a package: relative name, digest, size in bytes."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True)
class Package:
    """A model that was read whole.

    *spec_bytes* and *spec* are the ``Model`` message as bytes and parsed; *files* every file of the package, sorted;
    *contents* the same files by name, as a path (folder) or bytes (zip); *model_path* the model's name within it.
    *digest* is the digest of the file for a ``.mlmodel`` and the tree digest of *files* for a package.
    """

    path: Path
    spec_bytes: bytes
    spec: Message = field(repr=False, compare=False)
    files: tuple[PackageFile, ...]
    contents: Mapping[str, WeightFile] = field(repr=False, compare=False)
    model_path: str
    digest: Digest

    @property
    def is_package(self) -> bool:
        """Whether this came from a ``.mlpackage`` (folder or zip)."""
        return bool(self.contents)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def weights(self) -> WeightFile | None:
        """The weight file of an ML Program (a path, or bytes from a zip), or None when it has none.

        A pipeline may have several: see :meth:`weight_file`.
        """
        names = [name for name in self.contents if name.endswith(".bin")]
        return self.contents[names[0]] if names else None

    @property
    def weights_folder(self) -> Path | None:
        """The folder of the weight files on disk, or None (a zip, or no weights)."""
        weights = self.weights
        return weights.parent if isinstance(weights, Path) else None

    def weight_file(self, name: str) -> WeightFile:
        """Return the weight file that the program calls *name* (``@model_path/weights/weight.bin``).

        Raises:
            RefusedError: code ``weights``, when the package has no such file.
        """
        found = self.contents.get(str(PurePosixPath(self.model_path).parent / name.removeprefix("@model_path/")))
        if found is None:
            raise refuse(f"The package has no weight file {name!r}.", "weights")
        return found


def read_package(path: Path | str, limits: ReadLimits = DEFAULT_LIMITS) -> Package:
    """Read the model at *path*.

    Raises:
        RefusedError: codes ``not_found``, ``package``, ``weights``, ``too_large`` or ``model_unreadable``.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _from_folder(path, limits)
        if not path.is_file():
            raise refuse(f"There is no model at {path.name!r}.", "not_found", "Give a .mlmodel or .mlpackage.")
        with path.open("rb") as stream:
            head = stream.read(4)
        return _from_zip(path, limits) if head == _ZIP_MAGIC else _from_file(path, limits)
    except OSError as error:
        raise refuse(f"The model {path.name!r} cannot be read: {error.strerror}.", "io") from error


def _from_file(path: Path, limits: ReadLimits) -> Package:
    data = _read_limited(path, limits.spec_bytes)
    model = parse_model(data)
    check_blobs(model, PurePosixPath("."), {})
    digest = digest_of(data)
    files = (PackageFile(path.name, digest, len(data)),)
    return Package(path, data, model, files, MappingProxyType({}), path.name, digest)


def _from_folder(path: Path, limits: ReadLimits) -> Package:
    contents = read_folder(path, limits)
    if "Manifest.json" not in contents:
        raise refuse("The folder has no Manifest.json: it is not a .mlpackage.", hint="Give a .mlpackage folder.")
    listed = parse_manifest(_read_limited(contents["Manifest.json"], limits.manifest_bytes), contents, limits)
    data = _read_limited(contents[listed.model], limits.spec_bytes)
    files = []
    for name, file in contents.items():
        with file.open("rb") as stream:
            digest, size = digest_of_chunks(iter(lambda: stream.read(_CHUNK), b""))
        files.append(PackageFile(name, digest, size))
    return _assemble(path, data, tuple(files), contents, listed.model)


def _from_zip(path: Path, limits: ReadLimits) -> Package:
    contents = strip_root(read_zip(path, limits))
    if "Manifest.json" not in contents:
        raise refuse("The zip file has no Manifest.json: it is not a .mlpackage.", hint="Zip a .mlpackage folder.")
    listed = parse_manifest(contents["Manifest.json"], contents, limits)
    data = contents[listed.model]
    if len(data) > limits.spec_bytes:
        raise refuse("The model specification is too large.", "too_large")
    files = tuple(PackageFile(name, digest_of(content), len(content)) for name, content in contents.items())
    return _assemble(path, data, files, contents, listed.model)


def _assemble(
    path: Path, data: bytes, files: tuple[PackageFile, ...], contents: Mapping[str, WeightFile], model_path: str
) -> Package:
    model = parse_model(data)
    check_blobs(model, PurePosixPath(model_path).parent, contents)
    digest = tree_digest((file.path, file.digest, file.size) for file in files)
    return Package(path, data, model, files, MappingProxyType(dict(contents)), model_path, digest)


def _read_limited(path: Path, limit: int) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise refuse(f"{path.name!r} is larger than {limit} bytes.", "too_large")
    return data

"""Weight files of ML Programs: every reference from the specification must land on a whole, well-formed entry.

A weight file (MIL blob storage, version 2) starts with a 64-byte header; each entry has a 64-byte header of its own
(sentinel, type, size, offset of the data) at a 64-byte boundary, and the program refers to entries by offset.  Nothing
is read but headers; the numbers themselves are left to the executor.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headway.coreml.proto import Message, messages
from headway.coreml.tree import refuse

__all__ = ["BlobReference", "WeightFile", "blob_references", "check_blobs"]

WeightFile = Path | bytes
"""A weight file on disk or in memory."""

_ENTRY = struct.Struct("<IIQQ")
_STORAGE = struct.Struct("<II")
_SENTINEL = 0xDEADBEEF
_ALIGNMENT = 64
_ROOT = "@model_path/"
_MAX_REFERENCES = 100_000


@dataclass(frozen=True)
class BlobReference:
    """One use of a weight file: its name relative to the model, the entry's offset, and what the program expects there.

    *kind* is MIL's name of the scalar type (``INT8``, ``FLOAT32``), empty where it has none; *elements* is None where
    the program leaves a dimension open.
    """

    file: str
    offset: int
    kind: str
    elements: int | None

    @property
    def size(self) -> int | None:
        """The expected bytes, rounded up; None when they are not known."""
        width = re.match(r"[A-Z]+?(\d+)", self.kind)
        return None if width is None or self.elements is None else (self.elements * int(width[1]) + 7) // 8


def blob_references(model: Message) -> Iterator[BlobReference]:
    """Yield every reference to a weight file anywhere in *model* (sub-models of pipelines included)."""
    value_name = messages("MIL").Value.DESCRIPTOR.full_name
    pending = [model]
    while pending:
        message = pending.pop()
        if message.DESCRIPTOR.full_name == value_name and message.WhichOneof("value") == "blobFileValue":
            yield _reference(message)
            continue
        for field, content in message.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                if field.message_type.fields_by_name["value"].message_type is not None:
                    pending.extend(content.values())
            elif field.is_repeated:
                pending.extend(content)
            else:
                pending.append(content)


def _reference(value: Message) -> BlobReference:
    blob = value.blobFileValue
    if not blob.fileName.startswith(_ROOT):
        raise refuse(f"The weight file name {blob.fileName!r} does not start with {_ROOT!r}.", "weights")
    return BlobReference(blob.fileName.removeprefix(_ROOT), int(blob.offset), *_tensor(value.type))


def _tensor(value_type: Message) -> tuple[str, int | None]:
    """The scalar type of a tensor and how many elements it has, None when it is not a fully known tensor."""
    if value_type.WhichOneof("type") != "tensorType":
        return "", None
    tensor = value_type.tensorType
    enum = messages("MIL").DataType
    kind = enum.Name(int(tensor.dataType)) if int(tensor.dataType) in enum.values() else ""
    elements = 1
    for dimension in tensor.dimensions:
        if dimension.WhichOneof("dimension") != "constant":
            return kind, None
        elements *= int(dimension.constant.size)
    return kind, elements


def check_blobs(model: Message, folder: PurePosixPath, files: Mapping[str, WeightFile]) -> None:
    """Raise :class:`RefusedError` unless every weight reference of *model* is sound.

    *folder* is the model's folder within the package and *files* the package's files by name.
    """
    checked: set[BlobReference] = set()
    headers: dict[str, tuple[WeightFile, int]] = {}
    for count, reference in enumerate(blob_references(model)):
        if count >= _MAX_REFERENCES:
            raise refuse("The program refers to too many weights.", "too_large")
        if reference in checked:
            continue
        checked.add(reference)
        if reference.file not in headers:
            headers[reference.file] = _open(reference.file, folder, files)
        _check_entry(reference, *headers[reference.file])


def _open(name: str, folder: PurePosixPath, files: Mapping[str, WeightFile]) -> tuple[WeightFile, int]:
    """Return the weight file *name* and its size after checking its header."""
    path = str(folder / name)
    if ".." in PurePosixPath(name).parts or path not in files:
        raise refuse(f"The program refers to the weight file {name!r}, which is not in the package.", "weights")
    source = files[path]
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    head = _read(source, 0, _ALIGNMENT)
    if len(head) < _ALIGNMENT or _STORAGE.unpack_from(head)[1] != 2:
        raise refuse(f"The weight file {name!r} has no header of a known version.", "weights")
    return source, size


def _check_entry(reference: BlobReference, source: WeightFile, size: int) -> None:
    where = f"{reference.file!r} at offset {reference.offset}"
    if reference.offset % _ALIGNMENT or not _ALIGNMENT <= reference.offset <= size - _ALIGNMENT:
        raise refuse(f"A weight refers to {where}, outside the file or off its grid.", "weights")
    sentinel, _, entry_bytes, start = _ENTRY.unpack(_read(source, reference.offset, _ENTRY.size))
    if sentinel != _SENTINEL:
        raise refuse(f"There is no weight entry in {where}.", "weights")
    if start % _ALIGNMENT or start < reference.offset + _ALIGNMENT or start + entry_bytes > size:
        raise refuse(f"The weight entry in {where} reaches outside the file.", "weights")
    if reference.size is not None and entry_bytes != reference.size:
        raise refuse(
            f"The weight entry in {where} has {entry_bytes} bytes where the program needs {reference.size}.",
            "weights",
        )


def _read(source: WeightFile, offset: int, count: int) -> bytes:
    if isinstance(source, bytes):
        return source[offset : offset + count]
    with source.open("rb") as stream:
        stream.seek(offset)
        return stream.read(count)

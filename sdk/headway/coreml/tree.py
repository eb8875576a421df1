"""The file tree of a package: names that every system agrees on, and two strict ways of reading one.

Rules that always hold: names are relative, printable ASCII, at most a few levels deep, without ``..``, backslash or
colon, and unique after case folding; only regular files; nothing is renamed, skipped or repaired.  The zip reader keeps
what it reads in memory and never writes a file; the folder reader keeps only paths.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from headway.contract.errors import RefusedError
from headway.coreml.limits import DEFAULT_LIMITS, ReadLimits

__all__ = ["check_names", "read_folder", "read_zip", "refuse", "strip_root"]

_FORBIDDEN = set('\\:*?"<>|')
_RATIO_FLOOR = 1024 * 1024  # tiny files may compress as well as they like
_CHUNK = 1024 * 1024


def refuse(message: str, code: str = "package", hint: str = "Save the package again.") -> RefusedError:
    """Return the error for a package that breaks a rule."""
    kind = code if code in ("too_large", "not_found") else "invalid"
    return RefusedError(code, message, hint=hint, kind=kind)


def check_names(names: Iterable[str], limits: ReadLimits = DEFAULT_LIMITS) -> None:
    """Raise :class:`RefusedError` unless all *names* are safe on every file system and do not clash.

    A clash is two equal names after case folding, or a file where another name needs a folder.
    """
    seen: set[str] = set()
    folders: set[str] = set()
    for count, name in enumerate(names, start=1):
        if count > limits.files:
            raise refuse(f"The package has more than {limits.files} files.", hint="A package needs only a handful.")
        _check_name(name, limits)
        folded = name.lower()
        if folded in seen:
            raise refuse(f"Two files of the package have the name {name!r} (ignoring case).")
        seen.add(folded)
        parts = folded.split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if clash := seen & folders:
        raise refuse(f"{min(clash)!r} is both a file and a folder.")


def _check_name(name: str, limits: ReadLimits) -> None:
    parts = name.split("/")
    printable = name.isascii() and name.isprintable()
    if not name or not printable or _FORBIDDEN & set(name) or len(name) > 255:
        raise refuse(f"The file name {name!r} is not plain printable ASCII.")
    if any(part in ("", ".", "..") or part[-1] in " ." for part in parts):
        raise refuse(f"The file name {name!r} is not a plain relative path.")
    if len(parts) > limits.depth:
        raise refuse(f"The file name {name!r} is deeper than {limits.depth} levels.")


def read_folder(root: Path, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, Path]:
    """Return every file under *root* by relative name, sorted.

    Raises :class:`RefusedError` on a symlink, a device, an unsafe name or a limit passed.
    """
    found: dict[str, Path] = {}
    total = 0
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    if name.count("/") >= limits.depth or len(pending) > limits.files:
                        raise refuse(f"The folder {name!r} is too deep or one of too many.")
                    pending.append((Path(entry.path), name + "/"))
                    continue
                if not stat.S_ISREG(mode):
                    raise refuse(f"{name!r} is not a regular file.", hint="A package holds no links or devices.")
                size = entry.stat(follow_symlinks=False).st_size
                total += size
                if size > limits.file_bytes or total > limits.total_bytes or len(found) >= limits.files:
                    raise refuse(f"The package is too large at {name!r}.", code="too_large")
                found[name] = Path(entry.path)
    check_names(found, limits)
    return dict(sorted(found.items()))


def read_zip(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """Return the contents of the zip file *path* by name, sorted.

    Raises :class:`RefusedError` on anything but plain stored or deflated regular files with safe, unique names whose
    sizes and checksums are what the directory says, or when a limit is passed (the declared sizes are checked before
    anything is decompressed, and decompression never goes past them).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.stat().st_size, limits)
            return {info.filename: _content(archive, info) for info in sorted(members, key=lambda i: i.filename)}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OverflowError, NotImplementedError) as error:
        raise refuse(f"The zip file cannot be read: {error}.", hint="Pack the folder again.") from error


def _members(archive: zipfile.ZipFile, archive_bytes: int, limits: ReadLimits) -> list[zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > 4 * limits.files:
        raise refuse("The zip file has too many entries.", code="too_large")
    if archive.comment or (infos and min(info.header_offset for info in infos) != 0):
        raise refuse("The zip file has bytes before, or a comment after, its entries.")
    files = [info for info in infos if not _is_folder(info)]
    check_names((info.filename for info in files), limits)
    _check_overlap(infos)
    total = 0
    for info in files:
        total += info.file_size
        if info.file_size > limits.file_bytes or total > limits.zip_total_bytes:
            raise refuse(f"The zip file unpacks to too much at {info.filename!r}.", code="too_large")
        if info.file_size > max(_RATIO_FLOOR, limits.zip_ratio * info.compress_size):
            raise refuse(f"{info.filename!r} is compressed beyond belief.", code="too_large")
    return files


def _is_folder(info: zipfile.ZipInfo) -> bool:
    """Tell a folder entry from a file; raise on an entry that is neither."""
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if info.orig_filename != info.filename:
        raise refuse(f"The entry name {info.orig_filename!r} is read differently by different programs.")
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise refuse(f"The entry {info.filename!r} is encrypted or compressed in an unusual way.")
    if info.filename.endswith("/"):  # its own is_dir() fails on an empty name
        if kind not in (0, stat.S_IFDIR) or info.file_size:
            raise refuse(f"The entry {info.filename!r} is not a plain folder.")
        _check_name(info.filename.rstrip("/"), DEFAULT_LIMITS)
        return True
    if kind not in (0, stat.S_IFREG):
        raise refuse(f"The entry {info.filename!r} is not a regular file.", hint="A package holds no links.")
    return False


def _check_overlap(infos: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse entries that share bytes: the trick behind small archives that unpack without end."""
    end = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < end:
            raise refuse(f"The entry {info.filename!r} shares bytes with another.", code="too_large")
        end = info.header_offset + 30 + len(info.filename) + info.compress_size


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    parts: list[bytes] = []
    left = info.file_size
    with archive.open(info) as stream:
        while chunk := stream.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise refuse(f"The entry {info.filename!r} is longer than it says.", code="too_large")
            parts.append(chunk)
    if left:
        raise refuse(f"The entry {info.filename!r} is shorter than it says.")
    return b"".join(parts)


def strip_root(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return *files* without the single folder that holds them all (``X.mlpackage/``), when there is one."""
    roots = {name.split("/", 1)[0] for name in files}
    if "Manifest.json" in files or len(roots) != 1:
        return dict(files)
    prefix = roots.pop() + "/"
    return {name.removeprefix(prefix): content for name, content in files.items() if name.startswith(prefix)}

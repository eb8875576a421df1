"""Backup and restore of a server on SQLite and a folder: one tar file with database, keys and public tree.

The database is copied by SQLite's own online backup, so the server may run meanwhile. The file holds the online
private keys: it is written with mode 0600, and whoever has it can sign channels. PostgreSQL and S3 have better tools.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO

from headway.contract.errors import RefusedError
from headway_server.settings import Settings

_DATABASE = "headway.db"
_FOLDERS = ("keys", "public")
_VERSION = "headway-backup-1"
_IN_THE_WAY = (FileExistsError, IsADirectoryError, NotADirectoryError)  # one name as a file and as a folder


def backup(settings: Settings, target: Path) -> int:
    """Write a backup to ``target`` (must not exist); its size in bytes.

    Raises:
        RefusedError: codes ``not_here`` (another database or storage), ``exists``, ``no_data``.
    """
    _only_local(settings)
    source = settings.data_dir / _DATABASE
    if not source.is_file():
        raise RefusedError(
            "no_data", f"There is no database in {settings.data_dir}.", hint="Check the data folder.", kind="not_found"
        )
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RefusedError("exists", f"{target} exists.", hint="Choose another name.", kind="conflict") from error
    try:
        with os.fdopen(handle, "wb") as out:
            _write(settings, source, out)
    except BaseException:
        target.unlink()  # half a backup is worse than none
        raise
    return target.stat().st_size


def _write(settings: Settings, source: Path, out: IO[bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=settings.data_dir) as scratch, tarfile.open(fileobj=out, mode="w") as archive:
        copy = Path(scratch) / _DATABASE
        _copy_database(source, copy)
        note = tarfile.TarInfo("VERSION")
        note.size = len(_VERSION)
        archive.addfile(note, io.BytesIO(_VERSION.encode()))
        # The database first: files written after it was copied are harmless extras, never a gap.
        archive.add(copy, _DATABASE)
        for folder in _FOLDERS:
            if (settings.data_dir / folder).is_dir():
                archive.add(settings.data_dir / folder, folder, filter=_without_incoming)


def restore(settings: Settings, source: Path) -> None:
    """Unpack a backup into an empty data folder.

    Raises:
        RefusedError: codes ``not_here``, ``not_empty``, ``no_backup``, ``not_a_backup``.
    """
    _only_local(settings)
    target = settings.data_dir
    if target.exists() and any(target.iterdir()):
        raise RefusedError(
            "not_empty", f"{target} is not empty.", hint="Restore into a new folder, then move it.", kind="conflict"
        )
    if not source.is_file():
        raise RefusedError("no_backup", f"There is no file {source}.", hint="Check its path.", kind="not_found")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, then moved there in one step: a broken file or a full disk leaves nothing half-restored.
    scratch = target.with_name(f".{target.name}.restoring-{os.getpid()}")
    scratch.mkdir()
    try:
        _unpack(source, scratch)
        scratch.rename(target)
    except (tarfile.TarError, EOFError, UnicodeDecodeError, *_IN_THE_WAY) as error:
        raise RefusedError(
            "not_a_backup",
            f"{source} is no backup of this server, or a damaged one.",
            hint="Give a whole file made by `headway server backup`; nothing was restored.",
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _unpack(source: Path, folder: Path) -> None:
    with tarfile.open(source) as archive:
        first = archive.next()
        content = archive.extractfile(first) if first is not None and first.name == "VERSION" else None
        if content is None or content.read().decode() != _VERSION:
            raise tarfile.TarError("no version")
        for entry in archive:
            _unpack_entry(archive, entry, folder)
    (folder / "VERSION").unlink(missing_ok=True)
    for key in [*(folder / "keys").glob("*/*.pem"), *(folder / "keys").glob("server.key")]:
        key.chmod(0o600)


def _unpack_entry(archive: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    """Plain files and folders inside ``folder``, and nothing else; Python before 3.11.4 has no filter for that."""
    name = PurePosixPath(entry.name)
    if name.is_absolute() or ".." in name.parts or not (entry.isfile() or entry.isdir()):
        raise tarfile.TarError("no plain file, or one outside")
    target = folder / name
    (target if entry.isdir() else target.parent).mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(entry)
    if content is not None:
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(entry.mode & 0o755 | 0o600)
        os.utime(target, (entry.mtime, entry.mtime))


def _copy_database(source: Path, copy: Path) -> None:
    reading, writing = sqlite3.connect(source), sqlite3.connect(copy)
    try:
        reading.backup(writing)
    finally:
        reading.close()
        writing.close()


def _without_incoming(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "/.incoming" in entry.name else entry


def _only_local(settings: Settings) -> None:
    if settings.database_url or settings.storage != "filesystem":
        raise RefusedError(
            "not_here",
            "This command backs up SQLite and a folder only.",
            hint="Use pg_dump and your bucket's versioning, and keep the keys folder.",
        )

"""From a file's bytes to its text: UTF-8 with or without a mark, UTF-16 with one, GB18030; never a guess beyond that.

A UTF-8 file with a damaged line is told apart from a GB18030 file, for that would read as other, wrong characters.
"""

from __future__ import annotations

import codecs
import gzip
import lzma
import zlib
from dataclasses import dataclass
from pathlib import Path

from headway_trainer.importing.errors import at_line, unreadable, unusable

UTF8, UTF8_MARK, UTF16, GB18030 = "UTF-8", "UTF-8 with byte order mark", "UTF-16", "GB18030"

_DAMAGED_SHARE = 0.02
"""Up to this share of undecodable characters among the non-ASCII ones, a file is UTF-8 with damage, not another one."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's whole text and the name of its encoding."""

    text: str
    encoding: str


def read_file(path: Path) -> tuple[bytes, bytes]:
    """Return a file's bytes as stored and unpacked (`.xz`, `.gz`). Raises `RefusedError` (`import.file`)."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path.name, error) from error
    try:
        if path.suffix == ".xz":
            return raw, lzma.decompress(raw)
        if path.suffix == ".gz":
            return raw, gzip.decompress(raw)
    except (lzma.LZMAError, OSError, EOFError, zlib.error) as error:
        raise unusable(path.name, f"it is no whole {path.suffix} file") from error
    return raw, raw


def decode(content: bytes, name: str) -> Decoded:
    """Return the text of `content`. Raises `RefusedError` (`import.encoding`) with the line that is not readable."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _strict(content, "utf-16", UTF16, name)
    if content.startswith(codecs.BOM_UTF8):
        return _strict(content, "utf-8-sig", UTF8_MARK, name)
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise at_line("import.encoding", name, line, "there is a zero byte: this is no text file")
    try:
        return Decoded(content.decode("utf-8"), UTF8)
    except UnicodeDecodeError:
        if _is_damaged_utf8(content):
            return _strict(content, "utf-8", UTF8, name)
        return _strict(content, "gb18030", GB18030, name)


def _strict(content: bytes, codec: str, encoding: str, name: str) -> Decoded:
    try:
        return Decoded(content.decode(codec), encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        told = encoding if encoding != GB18030 else "UTF-8 or GB18030"
        raise at_line("import.encoding", name, line, f"the bytes are not {told}") from error


def _is_damaged_utf8(content: bytes) -> bool:
    text = content.decode("utf-8", errors="replace")
    foreign = sum(character > "\x7f" for character in text)
    return text.count("\ufffd") <= _DAMAGED_SHARE * foreign

"""From a file's text to its records: CSV, TSV without quoting, and JSON lines, each record with its line number.

CSV may be separated by comma, semicolon or tab; a field in quotes may hold line breaks. A record with another number
of fields than the first, or that is no JSON object, is refused with its line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from headway_trainer.importing.errors import at_line, unusable

Format = str
"""`csv`, `tsv` or `jsonl`."""

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@dataclass(frozen=True, slots=True)
class Record:
    """The fields of one record in the order of the table's columns, and the line at which it ends."""

    line: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Records of one width. `keys` are the names of JSON lines; CSV and TSV may or may not begin with a header."""

    format: Format
    records: tuple[Record, ...]
    keys: tuple[str, ...] | None = None


def parse(text: str, name: str) -> Table:
    """Return the records of a file. Raises `RefusedError` (`import.row`, `import.file`)."""
    kind = _format(text, name)
    if kind == "jsonl":
        return _json_lines(text, name)
    records = tuple(_csv(text, name) if kind == "csv" else _tsv(text))
    if not records:
        raise unusable(name, "it holds no rows")
    width = len(records[0].fields)
    for record in records:
        if len(record.fields) != width:
            raise at_line("import.row", name, record.line, f"{len(record.fields)} fields, the first line has {width}")
    if width < 2:
        raise unusable(name, "it has one column, and a text and a label are needed")
    return Table(kind, records)


def _format(text: str, name: str) -> Format:
    for suffix in PurePath(name).suffixes[::-1]:
        if suffix.lower() in _SUFFIXES:
            return _SUFFIXES[suffix.lower()]
    start = text.lstrip()[:1]
    if start == "{":
        return "jsonl"
    return "tsv" if "\t" in text.split("\n", 1)[0] else "csv"


def _tsv(text: str) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.removesuffix("\r")
        if content:
            yield Record(number, tuple(content.split("\t")))


def _csv(text: str, name: str) -> Iterator[Record]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            if fields:
                yield Record(reader.line_num, tuple(fields))
    except csv.Error as error:
        raise at_line("import.row", name, reader.line_num, f"the row is not readable as CSV: {error}") from error


def _json_lines(text: str, name: str) -> Table:
    objects: list[tuple[int, dict[str, Any]]] = []
    keys: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise at_line("import.row", name, number, "the line is no JSON") from error
        if not isinstance(found, dict):
            raise at_line("import.row", name, number, "the line is no JSON object")
        objects.append((number, found))
        keys.update(dict.fromkeys(found))
    if not objects:
        raise unusable(name, "it holds no rows")
    records = [Record(number, tuple(_told(found.get(key)) for key in keys)) for number, found in objects]
    return Table("jsonl", tuple(records), tuple(keys))


def _told(value: Any) -> str:
    """A JSON value as a field: null is empty, numbers as written, a list or object as its JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

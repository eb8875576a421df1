"""Labelled rows out of files: every row has a text the tokenizer can read and a label, or the file is refused.

White space around labels is dropped; in texts, tabs and line breaks become spaces, which the tokenizer takes them for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.contract.tokenizer import words
from headway_trainer.data.checks import text_key
from headway_trainer.importing.columns import Columns, Wanted, choose
from headway_trainer.importing.decoding import decode, read_file
from headway_trainer.importing.errors import at_lines
from headway_trainer.importing.tables import Record, parse

_SPACES = str.maketrans("\t\r\n\v\f", "     ")


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text, the group it belongs to (empty if none) and where it stood.

    `key` is what the tokenizer sees of the text: equal keys are one text to every model.
    """

    text: str
    label: str
    group: str
    file: str
    line: int
    key: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its rows, and for the report its format, encoding, columns and digest."""

    name: str
    rows: tuple[Row, ...]
    facts: dict[str, Any]


def read_source(path: Path, wanted: Wanted) -> Source:
    """Read a file.

    Raises `RefusedError` with the line: `import.encoding`, `import.row`, `import.label` for a missing label,
    `import.text` for a text in which the tokenizer finds nothing; `import.file` for a file that is no table.
    """
    raw, content = read_file(path)
    decoded = decode(content, path.name)
    table = parse(decoded.text, path.name)
    columns = choose(table, wanted, path.name)
    label = columns.label
    _none("import.label", path.name, columns, lambda record: record.fields[label].strip(), "the label is missing")
    _none("import.text", path.name, columns, lambda record: words(record.fields[columns.text]), "the text is empty")
    if columns.group is not None:
        group = columns.group
        _none("import.row", path.name, columns, lambda record: record.fields[group].strip(), "the group is missing")
    rows = tuple(_row(record, columns, path.name) for record in columns.rows)
    facts = {
        "file": path.name,
        "digest": f"sha256:{hashlib.sha256(raw).hexdigest()}",
        "bytes": len(raw),
        "format": table.format,
        "encoding": decoded.encoding,
        "rows": len(rows),
        "columns": {role: columns.names[index] for role, index in _roles(columns).items()},
        "guessed": list(columns.guessed),
    }
    return Source(path.name, rows, facts)


def _roles(columns: Columns) -> dict[str, int]:
    roles = {"text": columns.text, "label": columns.label}
    return roles if columns.group is None else {**roles, "group": columns.group}


def _row(record: Record, columns: Columns, name: str) -> Row:
    label = " ".join(record.fields[columns.label].split())
    group = "" if columns.group is None else " ".join(record.fields[columns.group].split())
    text = record.fields[columns.text].translate(_SPACES).strip()
    return Row(text, label, group, name, record.line, text_key(text))


def _none(code: str, name: str, columns: Columns, value: Callable[[Record], object], why: str) -> None:
    empty = [record.line for record in columns.rows if not value(record)]
    if empty:
        raise at_lines(code, name, empty, why)

"""Which columns hold the text, the label and the group, and whether the first row is a header.

A person's choice, by name or by number from 1, is taken as it is. Otherwise the name decides, and where no name is
known the content: labels are few and repeat, the text is the longest of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway_trainer.importing.errors import unusable
from headway_trainer.importing.tables import Record, Table

TEXT_NAMES = (
    *("text", "sentence", "content", "review", "utterance", "query", "title", "question", "comment", "message"),
    *("body", "post", "文本", "句子", "内容", "评论", "正文", "标题", "问题", "语句"),
)
LABEL_NAMES = (
    *("label", "labels", "category", "cat", "class", "topic", "intent", "domain", "sentiment", "emotion", "target"),
    *("tag", "标签", "类别", "分类", "类目", "主题", "意图", "情感", "领域"),
)

_MOST_LABELS_PER_ROW = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person named: a column's name or its number from 1; None leaves it to the guess."""

    text: str | None = None
    label: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Indices of the columns, their names for the report, what was guessed, and the records that hold rows."""

    text: int
    label: int
    group: int | None
    names: tuple[str, ...]
    guessed: tuple[str, ...]
    rows: tuple[Record, ...]


def choose(table: Table, wanted: Wanted, name: str) -> Columns:
    """Decide. Raises `RefusedError` (`import.file`) where a named column is not there or nothing can be guessed."""
    first = table.keys or table.records[0].fields
    header = [cell.strip().lower() for cell in first]
    label = _found(wanted.label, header, LABEL_NAMES, name)
    text = _found(wanted.text, header, TEXT_NAMES, name)
    if label is None:
        label = _few_values(table, text)
    if label is None or (text is None and len(header) < 2):
        raise unusable(name, "no column looks like labels", "Name the columns: --label COLUMN --text COLUMN.")
    if text is None:
        text = _longest(table, label)
    if text == label:
        raise unusable(name, "text and label are the same column", "Name two columns: --label COLUMN --text COLUMN.")
    group = _named(wanted.group, header, name) if wanted.group else None
    named = table.keys is not None or _is_header(table, header, label, text, wanted)
    names = tuple(cell.strip() for cell in first) if named else tuple(str(i) for i in range(1, len(first) + 1))
    rows = table.records if table.keys is not None or not named else table.records[1:]
    if not rows:
        raise unusable(name, "it holds no rows after the header")
    guessed = tuple(what for what in ("text", "label") if getattr(wanted, what) is None)
    return Columns(text, label, group, names, guessed, rows)


def _found(wanted: str | None, header: Sequence[str], known: Sequence[str], name: str) -> int | None:
    if wanted is not None:
        return _named(wanted, header, name)
    return next((header.index(entry) for entry in known if entry in header), None)


def _named(wanted: str, header: Sequence[str], name: str) -> int:
    key = wanted.strip().lower()
    if key in header:
        return header.index(key)
    if key.isdecimal() and 1 <= int(key) <= len(header):
        return int(key) - 1
    raise unusable(
        name, f"it has no column {wanted}", f"Its first line has {len(header)} fields; name one of them or its number."
    )


def _is_header(table: Table, header: Sequence[str], label: int, text: int, wanted: Wanted) -> bool:
    """Whether the first row names columns: a known or wanted name stands in it, or its label is no row's label."""
    by_name = {(wanted.label or "").lower(), (wanted.text or "").lower(), *LABEL_NAMES, *TEXT_NAMES}
    if header[label] in by_name and header[text] in by_name:
        return True
    first = table.records[0].fields[label]
    return len(table.records) > 1 and all(record.fields[label] != first for record in table.records[1:])


def _few_values(table: Table, text: int | None) -> int | None:
    most = max(2.0, _MOST_LABELS_PER_ROW * len(table.records))
    counts = {
        index: len({record.fields[index] for record in table.records})
        for index in range(len(table.records[0].fields))
        if index != text
    }
    fitting = {index: count for index, count in counts.items() if 2 <= count <= most}
    return min(fitting, key=lambda index: fitting[index], default=None)


def _longest(table: Table, label: int) -> int:
    others = [index for index in range(len(table.records[0].fields)) if index != label]
    return max(others, key=lambda index: sum(len(record.fields[index]) for record in table.records))

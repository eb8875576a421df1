"""An import's report for a person: a table of the splits, and what is worth knowing before training."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_FEW_ROWS = 20
_STRONG_IMBALANCE = 10.0
_MANY_UNKNOWN = 0.01

Json = Mapping[str, Any]


def tell(report: Json) -> str:
    """Return the report as text: files, splits, classes, then the remarks."""
    parts = [
        _table(("file", "split", "rows", "format", "encoding", "text", "label"), [_file(f) for f in report["files"]]),
        _table(
            ("split", "rows", "p50", "p90", "p95", "p99", "max tokens", f"over {report['max_length']}", "unknown"),
            [_split(name, split) for name, split in report["splits"].items()],
        ),
        _table(
            ("class", *report["splits"]),
            [
                (label, *(str(split["labels"][label]) for split in report["splits"].values()))
                for label in report["labels"]
            ],
        ),
        "\n".join(f"- {remark}" for remark in report["remarks"]),
    ]
    return "\n\n".join(part for part in parts if part)


def remarks(report: Json) -> list[str]:
    """Return the sentences that a person should read before training."""
    found = [*_cleaning(report), *_classes(report)]
    for name, split in report["splits"].items():
        if split["unknown"]["share"] > _MANY_UNKNOWN:
            signs = " ".join(split["unknown"]["characters"])
            found.append(
                f"{100 * split['unknown']['share']:.1f} % of the tokens of {name} are unknown; most often: {signs}"
            )
    train, limit = report["splits"]["train"], report["max_length"]
    cut = train["over_max_length"]
    if cut:
        found.append(f"{cut} training texts ({100 * cut / train['rows']:.1f} %) are cut to {limit} tokens")
    return found


def _cleaning(report: Json) -> list[str]:
    found = []
    duplicates, conflicts = report["duplicates"], report["conflicts"]
    if duplicates["dropped from train"]:
        found.append(f"{duplicates['dropped from train']} training rows repeat another one and were left out")
    if conflicts["texts"]:
        rows = conflicts["rows dropped from train"]
        found.append(f"{conflicts['texts']} texts have more than one label; their {rows} training rows were left out")
    for name, leak in report["leakage"].items():
        if leak["rows"]:
            one, other = name.split(" in ")
            found.append(f"{leak['rows']} rows of {one} stand in {other} too and were left out of {one}")
    for split in ("dev", "test"):
        if duplicates[f"kept in {split}"]:
            found.append(f"{duplicates[f'kept in {split}']} rows of {split} repeat another one and were kept")
        if conflicts[f"texts in {split}"]:
            found.append(f"{conflicts[f'texts in {split}']} texts of {split} have more than one label and were kept")
    if report["groups in two splits"]:
        found.append(f"{report['groups in two splits']} groups stand in more than one of the given splits")
    return found


def _classes(report: Json) -> list[str]:
    found = []
    imbalance = report["imbalance"]
    if imbalance["ratio"] >= _STRONG_IMBALANCE:
        found.append(
            f"the largest class has {imbalance['ratio']:g} times the rows of the smallest; always answering it is "
            f"right in {100 * imbalance['share_of_largest']:.1f} % of the training rows, so look at each class, not "
            "at accuracy alone"
        )
    few = [label for label, rows in report["splits"]["train"]["labels"].items() if rows < _FEW_ROWS]
    if few:
        found.append(f"{len(few)} classes have fewer than {_FEW_ROWS} training rows: {', '.join(few[:10])}")
    for split in ("dev", "test"):
        absent = [label for label, rows in report["splits"][split]["labels"].items() if not rows]
        if absent:
            found.append(f"{split} has no row of {', '.join(absent[:10])}")
    return found


def _file(facts: Json) -> tuple[str, ...]:
    columns = facts["columns"]
    guessed = {role: " (guessed)" if role in facts["guessed"] else "" for role in ("text", "label")}
    chosen = [f"{columns[role]}{guessed[role]}" for role in ("text", "label")]
    return (facts["file"], facts["split"], str(facts["rows"]), facts["format"], facts["encoding"], *chosen)


def _split(name: str, split: Json) -> tuple[str, ...]:
    tokens = split["tokens"]
    lengths = [str(tokens[key]) for key in ("p50", "p90", "p95", "p99", "max")]
    share = f"{100 * split['unknown']['share']:.2f} %"
    return (name, str(split["rows"]), *lengths, str(split["over_max_length"]), share)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, *rows]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _width(text: str) -> int:
    """Columns a terminal gives a text: two for an ideograph."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

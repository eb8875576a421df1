"""What would spoil training or measuring: the same text twice, with two labels, or on both sides of a split.

Texts are the same if the tokenizer makes the same words of them. The rules, always these: a file given as test is
measured on as it is; dev gives way to test, and training rows give way to both; among training rows the first of equal
ones stays, and a text with two labels is left out altogether, for nobody but its owner knows which is right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway_trainer.importing.errors import at_line, unusable
from headway_trainer.importing.rows import Row

Splits = Mapping[str, Sequence[Row]]
_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The rows that stay in each split, and what was found: counts, and places as `file:line`."""

    splits: dict[str, tuple[Row, ...]]
    found: dict[str, Any]


def check_labels(splits: Splits) -> tuple[str, ...]:
    """Return the labels of train in order. Raises `RefusedError` (`import.label`, `import.file`): one class, or a label
    that dev or test has and train lacks."""
    train = splits["train"]
    names = sorted({row.label for row in train})
    if len(names) < 2:
        raise unusable(
            ", ".join(dict.fromkeys(row.file for row in train)),
            "every row has the same label, and a classifier needs at least two",
            "Name the right column with --label, or add rows of another class.",
        )
    for split in ("dev", "test"):
        for row in splits.get(split, ()):
            if row.label not in names:
                raise at_line("import.label", row.file, row.line, f"no training row has the label of this {split} row")
    return tuple(names)


def clean(splits: Splits) -> Cleaned:
    """Apply the rules of this module to `train` and to `dev` and `test` where given."""
    train, dev, test = (list(splits.get(name, ())) for name in ("train", "dev", "test"))
    leaks = {
        "train in test": _shared(train, test),
        "train in dev": _shared(train, dev),
        "dev in test": _shared(dev, test),
    }
    conflicts = _conflicts(train)
    elsewhere = {row.key for row in (*dev, *test)}
    kept = [row for row in train if row.key not in elsewhere and row.key not in conflicts]
    once = _first_of_equal(kept)
    kept_dev = _without(dev, {row.key for row in test})
    found = {
        "duplicates": {
            "dropped from train": len(kept) - len(once),
            "kept in dev": len(kept_dev) - len({row.key for row in kept_dev}),
            "kept in test": len(test) - len({row.key for row in test}),
            "examples": _pairs(kept),
        },
        "conflicts": {
            "texts": len(conflicts),
            "rows dropped from train": sum(map(len, conflicts.values())),
            "examples": [[_told(row) for row in rows] for rows in list(conflicts.values())[:_EXAMPLES]],
            "texts in dev": len(_conflicts(dev)),
            "texts in test": len(_conflicts(test)),
        },
        "leakage": {
            name: {"rows": len(rows), "examples": [place(row) for row in rows[:_EXAMPLES]]}
            for name, rows in leaks.items()
        },
        "groups in two splits": _groups_in_two(splits),
    }
    given = {"train": tuple(once), "dev": tuple(kept_dev), "test": tuple(test)}
    return Cleaned({name: rows for name, rows in given.items() if rows}, found)


def place(row: Row) -> str:
    """Where a row stood: `file:line`."""
    return f"{row.file}:{row.line}"


def _told(row: Row) -> str:
    return f"{place(row)} {row.label}"


def _conflicts(rows: Iterable[Row]) -> dict[str, list[Row]]:
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_key[row.key].append(row)
    return {key: same for key, same in by_key.items() if len({row.label for row in same}) > 1}


def _first_of_equal(rows: Iterable[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row.key, row)
    return list(found.values())


def _pairs(rows: Iterable[Row]) -> list[str]:
    first: dict[str, Row] = {}
    again = [(first.setdefault(row.key, row), row) for row in rows]
    return [f"{place(one)} = {place(other)}" for one, other in again if one is not other][:_EXAMPLES]


def _shared(rows: Iterable[Row], others: Iterable[Row]) -> list[Row]:
    known = {row.key for row in others}
    return [row for row in rows if row.key in known]


def _without(rows: Iterable[Row], keys: set[str]) -> list[Row]:
    return [row for row in rows if row.key not in keys]


def _groups_in_two(splits: Splits) -> int:
    seen = Counter(group for rows in splits.values() for group in {row.group for row in rows if row.group})
    return sum(count > 1 for count in seen.values())

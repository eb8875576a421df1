"""The whole of an import: read, examine, deal out, measure, write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.contract.errors import RefusedError
from headway.contract.tokenizer import Tokenizer
from headway_trainer.importing import writing
from headway_trainer.importing.columns import Wanted
from headway_trainer.importing.errors import unusable
from headway_trainer.importing.examine import check_labels, clean
from headway_trainer.importing.figures import figures
from headway_trainer.importing.rows import Row, Source, read_source
from headway_trainer.importing.splitting import Shares, deal
from headway_trainer.importing.telling import remarks

SCHEMA = 1
_BY_NAME = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev", "test": "test"}


@dataclass(frozen=True, slots=True)
class Order:
    """What to import: the files, those of dev and test if any, columns, where to, and what the configuration says."""

    files: Sequence[Path]
    out: Path
    vocabulary: Path
    dev: Sequence[Path] = ()
    test: Sequence[Path] = ()
    columns: Wanted = field(default_factory=Wanted)
    shares: Shares = field(default_factory=Shares)
    seed: int = 1
    max_length: int | None = None
    title: str | None = None
    licence: str = "not stated"


def import_texts(order: Order) -> dict[str, Any]:
    """Do it and return the report that is also written. Raises `RefusedError`, before anything is written."""
    if order.out.exists() and any(order.out.iterdir()):
        raise RefusedError("import.folder", f"{order.out.name} is not empty.", hint="Give a new folder with --out.")
    tokenizer = _tokenizer(order.vocabulary)
    sources = {split: [read_source(path, order.columns) for path in files] for split, files in _assigned(order).items()}
    if not sources.get("train"):
        raise unusable("The selection", "there is no file to train on", "Give at least one file besides dev and test.")
    given = {split: _rows(found) for split, found in sources.items() if found}
    labels = check_labels(given)
    cleaned = clean(given)
    splits = _complete(cleaned.splits, order)
    for split, rows in splits.items():
        if not rows:
            raise unusable("The selection", f"no row is left for {split}", "Give more rows, or another share of them.")
    labels = check_labels(splits)
    measured = figures(splits, labels, tokenizer, order.max_length)
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "files": [{"split": split, **source.facts} for split, found in sources.items() for source in found],
        "labels": list(labels),
        "seed": order.seed,
        "made_here": sorted(set(splits) - set(given)),
        **cleaned.found,
        **measured,
        "tokenizer": tokenizer.digest,
    }
    report["remarks"] = remarks(report)
    report["written"] = writing.write_splits(order.out, splits, tokenizer)
    title = order.title or order.out.resolve().name
    writing.write_config(order.out, labels, report["max_length"], title, order.licence)
    writing.write_report(order.out, report)
    return report


def _assigned(order: Order) -> dict[str, list[Path]]:
    """Each file's split: as given, else by the first word of its name, else train."""
    found: dict[str, list[Path]] = {"train": [], "dev": list(order.dev), "test": list(order.test)}
    named_outright = {split for split in ("dev", "test") if found[split]}
    for path in order.files:
        split = _BY_NAME.get(re.split(r"[^a-z]", path.name.lower(), maxsplit=1)[0], "train")
        found["train" if split in named_outright else split].append(path)
    return found


def _rows(sources: Sequence[Source]) -> list[Row]:
    return [row for source in sources for row in source.rows]


def _complete(splits: dict[str, tuple[Row, ...]], order: Order) -> dict[str, tuple[Row, ...]]:
    wanted = Shares(0 if "dev" in splits else order.shares.dev, 0 if "test" in splits else order.shares.test)
    if not (wanted.dev or wanted.test):
        return splits
    dealt = deal(splits.get("train", ()), wanted, order.seed)
    return {name: dealt.get(name, splits.get(name, ())) for name in ("train", "dev", "test")}


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_vocab(path)
    except OSError as error:
        raise RefusedError(
            "import.vocabulary",
            f"The vocabulary {path.name} cannot be read: {error.strerror}.",
            hint="Give the teacher's vocab.txt with --vocabulary.",
            kind="not_found" if isinstance(error, FileNotFoundError) else "invalid",
        ) from error

"""The files an import leaves: `train`, `dev` and `test` as `.tsv.xz`, the vocabulary, `import.json`, `run.toml`.

The TSV files have the columns `label`, `group` (where there are groups) and `text`. Equal rows give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.contract.tokenizer import Tokenizer
from headway_trainer.files import unwritable, write_text
from headway_trainer.importing.rows import Row

REPORT, CONFIG, VOCABULARY = "import.json", "run.toml", "vocab.txt"


def write_splits(folder: Path, splits: Mapping[str, Sequence[Row]], tokenizer: Tokenizer) -> dict[str, dict[str, str]]:
    """Write splits and vocabulary; return each split's file and digest. Raises `RefusedError` (`train.disk`)."""
    grouped = any(row.group for rows in splits.values() for row in rows)
    written = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in splits.items():
            packed = lzma.compress(_tsv(rows, grouped).encode())
            path = folder / f"{name}.tsv.xz"
            path.write_bytes(packed)
            written[name] = {"file": path.name, "digest": f"sha256:{hashlib.sha256(packed).hexdigest()}"}
    except OSError as error:
        raise unwritable(f"The folder {folder.name}", error) from error
    write_text(folder / VOCABULARY, "".join(f"{token}\n" for token in tokenizer.tokens))
    return written


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write `import.json`."""
    write_text(folder / REPORT, json.dumps(report, ensure_ascii=False, indent=2) + "\n")


def write_config(folder: Path, labels: Sequence[str], max_length: int, title: str, licence: str) -> None:
    """Write `run.toml`: a small student, general values, every choice with its reason."""
    named = ", ".join(_quoted(label) for label in labels)
    base_id = slug(title)
    write_text(
        folder / CONFIG,
        f"""# Made by `headway train import`. Train with:
#   headway train {CONFIG} --teacher FOLDER_OR_ID --run runs/{base_id}
# The student below takes minutes to an hour on two CPU cores for some ten thousand short texts; docs/training.md says
# what a larger one costs and brings.
base_id = {_quoted(base_id)}
version = "1"
seed = 1
threads = 2

[data]
labels = [{named}]
# What people read for the labels in reports, in the same order; leave it out and the labels stand as they are.
label_titles = [{named}]
train = "train.tsv.xz"
dev = "dev.tsv.xz"
test = "test.tsv.xz"
title = {_quoted(title)}
licence = {_quoted(licence)}
vocabulary = "{VOCABULARY}"

[teacher]
# What the card calls the teacher; which one it is, --teacher says.
name = "bert-base-chinese"
licence = "Apache-2.0"

[student]
layers = 4
hidden = 512
bottleneck = 128
embedding = 128
intermediate = 512
heads = 4
feedforwards = 2
pooling = "mean_max"
dropout = 0.3
# 99 of 100 training texts are no longer; longer ones are cut.
max_length = {max_length}

[general]
steps = 1200
round_steps = 100

[ngram]
# The n-gram second opinion helps where texts are short and rows are few.
share = 0.5

[task]
epochs = 4

[qat]
epochs = 2
schedule = {{ learning_rate = 4e-4 }}

[[heads]]
name = {_quoted(f"{base_id[:60]}-1")}
""",
    )


def slug(title: str) -> str:
    """Return a name that the contract takes for a base: lower-case letters, digits and dashes."""
    found = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-")
    return found or "my-base"


def _tsv(rows: Sequence[Row], grouped: bool) -> str:
    lines = ["label\tgroup\ttext" if grouped else "label\ttext"]
    lines += [f"{row.label}\t{row.group}\t{row.text}" if grouped else f"{row.label}\t{row.text}" for row in rows]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for the delete character, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

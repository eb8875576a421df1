"""What a linear model makes of the rows that a finished run read: character n-grams and a linear SVM, set by set.

    python benchmarks/linear.py CONFIG.toml RUN [--data FOLDER] [--write]

CONFIG.toml names several labelled sets, and RUN is a finished run of it. Each SVM is fitted twice: on the training
files alone, and on the rows that the run's base and heads were fitted on, which may be dev rows too
(`learn_rest_of_dev`, `refit`). Dev chooses C on the training files. Texts are read whole, where the base cuts them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from headway.contract.tokenizer import normalise
from headway_trainer.config import RunConfig, read_config
from headway_trainer.data.corpora import Labelled, together
from headway_trainer.data.sets import LabelledSet, read_sets

PAGE = Path(__file__).parent / "results/linear.md"
STRENGTHS = (0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Linear:
    """One set's SVM: rows and test accuracy on the training files, and on all rows that the base was fitted on."""

    strength: float
    rows: int
    alone: float
    all_rows: int
    all: float


def main() -> None:
    """Fit, print and, with --write, keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--write", action="store_true", help="write the page, not only print it")
    chosen = parser.parse_args()
    config = read_config(chosen.config)
    sets = _read(config, chosen.data or chosen.config.resolve().parent)
    found: dict[str, Linear] = {}
    for of, plain in sets:
        found[of.name] = linear(of, plain)
        print(of.name, found[of.name], flush=True)
    heads = json.loads((chosen.run / "evaluate/facts.json").read_text("utf-8"))["heads"]
    text = table(found, {entry["set"]: entry["test"] for entry in heads.values()})
    print(text)
    if chosen.write:
        PAGE.write_text(text, "utf-8")


def _read(config: RunConfig, folder: Path) -> list[tuple[LabelledSet, LabelledSet]]:
    """Return every set as the run read it, and with its training files alone."""
    own = config.data.labelled
    plain = tuple(replace(entry, learn_rest_of_dev=False) for entry in own)
    longest = config.student.max_length
    return [*zip(*(read_sets(of, folder, config.seed, longest) for of in (own, plain)), strict=True)]


def linear(of: LabelledSet, plain: LabelledSet) -> Linear:
    """Return what the SVM reaches on a set: dev chooses C, the smallest of equals."""
    train, dev, test = plain.splits["train"], plain.splits["dev"], plain.splits["test"]
    models = [(strength, _fitted(train, strength)) for strength in STRENGTHS]
    strength, alone = max(models, key=lambda entry: accuracy(entry[1], dev))
    # The rest of dev as the run read it, and the dev rows that chose.
    learnt = together(of.splits["train"], of.spent)
    both = _fitted(learnt, strength) if len(learnt.texts) > len(train.texts) else alone
    return Linear(strength, len(train.texts), accuracy(alone, test), len(learnt.texts), accuracy(both, test))


def _fitted(rows: Labelled, strength: float) -> Pipeline:
    grams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    model = make_pipeline(grams, LinearSVC(C=strength, random_state=0))
    return model.fit(_read_whole(rows), rows.labels)


def _read_whole(rows: Labelled) -> Sequence[str]:
    return [normalise(text) for text in rows.texts]


def accuracy(model: Pipeline, rows: Labelled) -> float:
    """Return the share of rows that the model labels rightly."""
    return float((model.predict(_read_whole(rows)) == np.array(rows.labels)).mean())


def table(found: dict[str, Linear], released: dict[str, dict[str, Any]]) -> str:
    """Return the page: a row per set, and the means."""

    def mean(values: Sequence[float]) -> str:
        return f"{100 * sum(values) / len(values):.1f}"

    told = found.values()
    lines = [
        "# A linear model on the same rows",
        "",
        "Accuracy on test in percent (TNEWS: dev). An SVM over TF-IDF of one to three characters, on whole texts; C is",
        "chosen on dev. The base and its heads learn from dev rows too, so the SVM is fitted on those as well; the",
        "base's texts are cut.",
        "",
        "| set | C | training rows | SVM | rows with dev's | SVM | **base + head** |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(_row(name, entry, released[name]) for name, entry in found.items()),
        f"| mean | | | {mean([entry.alone for entry in told])} | | {mean([entry.all for entry in told])} "
        f"| **{mean([released[name]['accuracy'] for name in found])}** |",
        "",
        "`python benchmarks/linear.py trainer/configs/mobilebert-small.toml RUN --data … --write`",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, entry: Linear, test: dict[str, Any]) -> str:
    low, high = test["wilson95"]
    cells = [
        name,
        f"{entry.strength:g}",
        f"{entry.rows:,}",
        f"{100 * entry.alone:.1f}",
        f"{entry.all_rows:,}",
        f"{100 * entry.all:.1f}",
        f"**{100 * test['accuracy']:.1f}** [{100 * low:.1f}, {100 * high:.1f}]",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

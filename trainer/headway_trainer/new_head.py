"""`headway train head`: a head for a base that exists already, from a person's own rows.

The base is frozen and stands in an app: nothing of it is trained, no teacher is needed, and what the head learns from
are the features that a phone will see. The same rows in the same order give the same head, byte for byte, on a CPU.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headway.contract.errors import RefusedError
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.golden import BaseGolden
from headway_trainer import cards
from headway_trainer.data import checks
from headway_trainer.data.corpora import Labelled, read_labelled
from headway_trainer.data.counts import counts
from headway_trainer.data.examples import drawn
from headway_trainer.data.golden import choose, encoded
from headway_trainer.data.sets import SPLITS
from headway_trainer.export.folders import GoldenRows, write_card
from headway_trainer.featured import ALONE, featured
from headway_trainer.files import make_folder
from headway_trainer.head_folder import fitted_on, make_head, measure_head
from headway_trainer.heads import HeadConfig, Rows
from headway_trainer.revision import versions


@dataclass(frozen=True, slots=True)
class HeadOrder:
    """What to make: a head `config` on the base folder `base` from the rows in `data`, into the new folder `out`.

    `rows` is how many training rows are taken, by chance (0: all); dev and test are always whole. `golden_rows` of dev
    travel with the head as its golden batch: their ids and features, not their texts.
    """

    base: Path
    data: Path
    out: Path
    config: HeadConfig
    title: str
    licence: str
    rows: int = 0
    golden_rows: int = 48


@dataclass(frozen=True, slots=True)
class BaseFolder:
    """A base as its publisher keeps it: who it is, its contract, and itself ready to run."""

    base_id: str
    version: str
    contract: FeatureContract
    tokenizer: Tokenizer
    features: Features


def open_base(folder: Path) -> BaseFolder:
    """Open the release folder of a base.

    Raises `RefusedError` (`train.base`) if a file of it is missing, `IncompatibleError` if package, vocabulary and
    contract do not belong together, and what the runtime raises for a package it cannot run.
    """
    missing = [name for name in ("base.mlpackage", "vocab.txt", "contract.json") if not (folder / name).exists()]
    if missing:
        raise RefusedError(
            "train.base",
            f"{folder.name} is no base's folder: {missing[0]} is not in it.",
            hint="Give the folder that was published: RUN/release/base, or the one in the app's repository.",
        )
    contract = FeatureContract.from_bytes((folder / "contract.json").read_bytes())
    tokenizer = Tokenizer.from_vocab(folder / "vocab.txt")
    base_id, version, _ = contract.feature_space.split("/", 2)
    features = Features(folder / "base.mlpackage", tokenizer, contract, ALONE)
    return BaseFolder(base_id, version, contract, tokenizer, features)


def make(order: HeadOrder) -> dict[str, Any]:
    """Fit, write and measure the head, and return its card.

    Raises `RefusedError`: `train.head` if `out` exists, `train.base`, `train.corpus` and `train.labels` for what
    cannot be used, `train.disk`. The folder is there whole or not at all.
    """
    if order.out.exists():
        raise RefusedError("train.head", f"{order.out} exists already.", hint="Give a new folder with --out.")
    splits = {split: _split(order.data, split) for split in SPLITS}
    names = tuple(sorted(set(splits["train"].labels)))
    checks.check_splits(splits, names)
    labels = {split: rows.label_ids(names) for split, rows in splits.items()}
    base = open_base(order.base)
    told = _counted(base, splits, names)
    kept = {split: drawn(len(rows.texts), 0, 0) for split, rows in splits.items()}
    kept["train"] = drawn(len(splits["train"].texts), order.rows, order.config.seed)
    texts = {split: [splits[split].texts[row] for row in rows] for split, rows in kept.items()}
    features = featured(base.features, texts)
    rows = {split: Rows(found, np.array(labels[split])[kept[split]]) for split, found in features.items()}
    golden = _golden(order, base, splits["dev"], rows["dev"])
    make_folder(order.out.parent)
    with tempfile.TemporaryDirectory(dir=order.out.parent, prefix=".head-") as scratch:
        folder, spec = Path(scratch) / "head", Path(scratch) / "head.mlmodel"
        made = make_head(folder, spec, order.config, rows["train"], rows["dev"], golden, names)
        scores = measure_head(folder, rows["test"].features, labels["test"], len(names))
        on = fitted_on(len(kept["train"]), len(splits["train"].texts), refit=order.config.refit)
        data = {"title": order.title, "licence": order.licence, **told}
        whose = (base.base_id, base.version, base.contract.digest)
        card = cards.describe_head(order.config, whose, names, data, {**made, **scores, "fitted_on": on}, versions())
        write_card(folder, card)
        folder.rename(order.out)
    return card


def _split(folder: Path, split: str) -> Labelled:
    for name in (f"{split}.tsv.xz", f"{split}.tsv"):
        if (folder / name).exists():
            return read_labelled(folder / name)
    raise RefusedError(
        "train.corpus",
        f"{folder} holds no {split}.tsv.xz and no {split}.tsv.",
        hint="Let `headway train import FILE… --out FOLDER` make the three splits.",
    )


def _counted(base: BaseFolder, splits: Mapping[str, Labelled], names: Sequence[str]) -> dict[str, Any]:
    """Count rows, tokens and texts in two splits, say what a person should know, and return it all for the card."""
    longest = base.contract.max_sequence_length
    found = {split: counts(rows, names, base.tokenizer, longest) for split, rows in splits.items()}
    told = {"splits": found, "overlaps": checks.overlaps(splits)}
    print("\n".join(checks.remarks(told, longest)), file=sys.stderr, flush=True)
    return told


def _golden(order: HeadOrder, base: BaseFolder, dev: Labelled, rows: Rows) -> GoldenRows:
    chosen = choose(rows.labels.tolist(), order.golden_rows, order.config.seed)
    texts = [dev.texts[row] for row in chosen]
    ids, mask = encoded(base.tokenizer, texts, base.contract.max_sequence_length)
    batch = BaseGolden(ids, mask, np.ascontiguousarray(rows.features[chosen]))
    return GoldenRows(texts, rows.labels[chosen].astype(np.int32), batch)

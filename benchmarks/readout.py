"""How a base's features are read out: which of its layers, and how token states become one vector, for every set.

    python benchmarks/readout.py CONFIG.toml RUN --teacher FOLDER [--data FOLDER] [--rows 5000] [--write]

The student of a finished run is read at each of its layers and in each way of pooling, and a head is fitted on what
was read: `rows` training rows of each set, the weight decay chosen on dev, with and without what the lexicon says.
The student was trained to be read in one of these ways, which therefore has an advantage; `headway train ablate` trains
each way anew.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from finished import finished_run
from numpy.typing import NDArray

from headway_trainer import dense
from headway_trainer.data.batches import collate, ordered_batches
from headway_trainer.data.examples import drawn
from headway_trainer.data.sets import SPLITS, LabelledSet
from headway_trainer.heads import HeadConfig, Rows, fit_head
from headway_trainer.learning import qat
from headway_trainer.models.student import Pooling, Student, pool
from headway_trainer.parity import key
from headway_trainer.run import Run
from headway_trainer.steps.lexicon import unlearnt
from headway_trainer.steps.train import load_pair

RESULTS = Path(__file__).parent / "results" / "readout.md"
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Readout:
    """States after these layers, counted from 1, each reduced to one vector and these laid side by side."""

    layers: tuple[int, ...]
    pooling: Pooling

    @property
    def title(self) -> str:
        """What the table calls it."""
        return f"{self.pooling}, {' and '.join(map(str, self.layers))}"


@dataclass(frozen=True)
class Score:
    """Shares of rows that a set's head labels rightly: on dev, on test, and on test without the lexicon."""

    dev: float
    test: float
    alone: float


def readouts(student: Student) -> list[Readout]:
    """Every layer in the way the student was trained with, the last in every way, the last two together."""
    last, own = student.config.layers, student.config.pooling
    each = [Readout((layer,), own) for layer in range(1, last + 1)]
    others: list[Pooling] = [way for way in ("cls", "mean", "both", "mean_max") if way != own]
    return [*each, *(Readout((last,), way) for way in others), Readout((last - 1, last), own)]


@torch.no_grad()
def read(student: Student, ids: Sequence[Sequence[int]], ways: Sequence[Readout]) -> list[Float32]:
    """Return what every readout gives these texts: features float32 [n, D], in their order."""
    found: list[list[Float32]] = [[] for _ in ways]
    order: list[int] = []
    for rows in ordered_batches([len(row) for row in ids], 64):
        batch = collate(ids, rows, student.pad_id)
        states = student(batch.input_ids, batch.attention_mask).hidden
        mask = batch.attention_mask.to(torch.float32)
        for kept, way in zip(found, ways, strict=True):
            pooled = [pool(states[layer], mask, way.pooling, student.masked) for layer in way.layers]
            kept.append(torch.cat(pooled, 1).numpy())
        order += batch.rows.tolist()
    place = np.argsort(order)
    return [np.concatenate(kept)[place] for kept in found]


def score(config: HeadConfig, splits: Mapping[str, Rows], classes: int) -> Score:
    """Fit a head on train, its weight decay chosen on dev, and count what it labels rightly."""
    fitted = fit_head(config, splits["train"], splits["dev"], classes)

    def share(rows: Rows, heard: bool = True) -> float:
        features = rows.features.copy()
        if not heard:
            features[:, rows.own] = 0
        return float((dense.logits(fitted.weights, features).argmax(1) == rows.labels).mean())

    return Score(share(splits["dev"]), share(splits["test"]), share(splits["test"], heard=False))


def scores_of(run: Run, student: Student, of: LabelledSet, ways: Sequence[Readout], rows: int) -> list[Score]:
    """Return what a set's heads reach by every readout; the lexicon's columns are those that the run kept."""
    width = run.config.student.feature_dimension
    told = run.told_of(of)
    assert told is not None, "the run has a lexicon that was taught this set"
    config = replace(run.config.heads_of(of.name)[0], refit=False)
    splits: list[dict[str, Rows]] = [{} for _ in ways]
    with np.load(run.folder("export-base") / "features.npz") as kept:
        for split in SPLITS:
            examples, places = run.examples(of, split), np.array(run.kept_rows(of, split))
            chosen = drawn(len(places), rows if split == "train" else 0, run.config.seed)
            whole = kept[key(of, split)]
            words = (unlearnt(run, of, whole) if split == "dev" else whole)[chosen][:, width:]
            labels = np.array(examples.labels)[places[chosen]]
            found = read(student, [examples.ids[row] for row in places[chosen]], ways)
            for way, features in zip(splits, found, strict=True):
                shift = features.shape[1] - width
                own = slice(told.start + shift, told.stop + shift)
                way[split] = Rows(np.concatenate([features, words], 1), labels, own)
    return [score(config, way, len(of.config.labels)) for way in splits]


def table(run: Run, ways: Sequence[Readout], found: Mapping[str, Sequence[Score]], rows: int) -> str:
    """Return the page: test accuracy by set and readout, and the means."""
    lines = [
        "# Layers and pooling of one base, for every set",
        "",
        f"| set | {' | '.join(way.title for way in ways)} |",
        "|---|" + "---:|" * len(ways),
        *(_line(name, [entry.test for entry in scores]) for name, scores in found.items()),
    ]
    columns = list(zip(*found.values(), strict=True))
    lines += [
        _line(f"**{title}**", [statistics.mean(getattr(entry, name) for entry in column) for column in columns])
        for title, name in (("mean", "test"), ("mean without the lexicon", "alone"), ("mean on dev", "dev"))
    ]
    own = f"{run.config.student.pooling}, {run.config.student.pooled_layer}"
    told = (
        f"Test accuracy in percent of heads on {rows:,} training rows of a set (`python benchmarks/readout.py`); the "
        f"student of `{run.config.base_id}` was read after int8 training, in PyTorch {torch.__version__}. It had been "
        f"trained to be read by *{own}*. *both* is the first token and the mean, *mean_max* the mean and the maximum. "
        "The lexicon is the released package's."
    )
    return "\n".join([*lines, "", told, ""])


def _line(name: str, shares: Sequence[float]) -> str:
    return f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |"


def main() -> None:
    """Read every set in every way and print, or write, the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    chosen, run = finished_run(parser)
    student, _ = load_pair(run, "qat")
    qat.detach(student)
    student.eval()
    ways = readouts(student)
    found = {}
    for number, of in enumerate(run.taught, 1):
        print(f"{number}/{len(run.taught)} {of.name}", file=sys.stderr, flush=True)
        found[of.name] = scores_of(run, student, of, ways, chosen.rows)
    page = table(run, ways, found, chosen.rows)
    if chosen.write:
        RESULTS.write_text(page, "utf-8")
    print(page)


if __name__ == "__main__":
    main()

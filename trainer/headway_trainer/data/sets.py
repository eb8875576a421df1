"""Labelled sets: one, or several that share a frozen base and have a head each.

A set that is held out takes no part in teaching: neither teacher nor student nor the second opinion reads its rows, and
only its head is fitted, so that its figure says what the base is worth for a task it was not made for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headway_trainer.data.corpora import Labelled, read_labelled
from headway_trainer.data.examples import drawn

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Files of one labelled set, the columns to read, and its part in the run.

    Without `test` the dev split is the test split too, and the facts say so. `max_rows` takes so many training rows
    by chance, `max_dev_rows` so many of dev; test is always whole. Rows of `left_out` labels are not read: a label
    that stands in test alone can be learnt by nobody. The name is part of its heads' names, so it holds a-z, 0-9 and
    dashes. `label_titles` are what people read for the labels, in the same order.
    """

    name: str
    labels: tuple[str, ...]
    train: str
    dev: str
    title: str
    licence: str
    test: str | None = None
    label_column: str = "label"
    text_column: str = "text"
    max_rows: int | None = None
    max_dev_rows: int | None = None
    held_out: bool = False
    label_titles: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A set as read: its splits by name and the columns `span` of the joint classifier, none for a held-out set."""

    config: SetConfig
    splits: Mapping[str, Labelled]
    span: slice

    @property
    def name(self) -> str:
        """The set's name, empty where a run has one set only."""
        return self.config.name

    @property
    def taught(self) -> bool:
        """Whether teacher and student learn from it."""
        return not self.config.held_out


def by_set(sets: Sequence[LabelledSet], of: Callable[[LabelledSet], dict[str, Any]]) -> dict[str, Any]:
    """Return what `of` says of the only set, or `{"sets": {name: …}}` where sets have names."""
    found = {rows.name: of(rows) for rows in sets}
    return found.get("", {"sets": found})


def read_sets(configs: Sequence[SetConfig], folder: Path, seed: int) -> tuple[LabelledSet, ...]:
    """Read all sets, paths relative to `folder`. Raises `RefusedError` (`train.corpus`)."""
    found: list[LabelledSet] = []
    start = 0
    for config in configs:
        stop = start if config.held_out else start + len(config.labels)
        found.append(LabelledSet(config, _splits(config, folder, seed), slice(start, stop)))
        start = stop
    return tuple(found)


def _splits(config: SetConfig, folder: Path, seed: int) -> dict[str, Labelled]:
    def read(file: str) -> Labelled:
        rows = read_labelled(folder / file, config.label_column, config.text_column)
        return _chosen(rows, [i for i, label in enumerate(rows.labels) if label not in config.left_out])

    train, dev = read(config.train), read(config.dev)
    test = read(config.test) if config.test else dev
    return {
        "train": _capped(train, config.max_rows, seed),
        "dev": _capped(dev, config.max_dev_rows, seed),
        "test": test,
    }


def _capped(rows: Labelled, most: int | None, seed: int) -> Labelled:
    return rows if most is None else _chosen(rows, drawn(len(rows.texts), most, seed))


def _chosen(rows: Labelled, kept: Sequence[int]) -> Labelled:
    return replace(rows, texts=tuple(rows.texts[i] for i in kept), labels=tuple(rows.labels[i] for i in kept))

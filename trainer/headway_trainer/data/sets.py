"""Labelled sets: one, or several that share a frozen base and have a head each.

A set that is held out takes no part in teaching: neither teacher nor student nor the second opinion reads its rows, and
only its head is fitted, so that its figure says what the base is worth for a task it was not made for.

What one set measures on, no other may teach: a base reads the training rows of all, and published collections borrow
texts from each other. Such rows are left out of training, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headway.contract.tokenizer import normalise
from headway_trainer.data.corpora import Labelled, read_labelled, together
from headway_trainer.data.examples import drawn

SPLITS = ("train", "dev", "test")

_SAME = 64
"""Characters after which two texts that began alike are still one: collections cut texts, and add to them."""


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Files of one labelled set, the columns to read, and its part in the run.

    `more` are further files of training rows. Without `test` the dev split is the test split too, and the facts say so.
    `max_rows` takes so many training rows by chance, `max_dev_rows` so many of dev; test is always whole. With
    `learn_rest_of_dev` the dev rows that are not taken are training rows: nothing is chosen by them. Rows of
    `left_out` labels are not read: a label that stands in test alone can be learnt by nobody. `weight` has training ask
    the set so many times as often as its rows alone would. The name is part of its heads' names, so it holds a-z, 0-9
    and dashes. `label_titles` are what people read for the labels, in the same order.
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
    learn_rest_of_dev: bool = False
    held_out: bool = False
    label_titles: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A set as read: its splits by name and the columns `span` of the joint classifier, none for a held-out set.

    `spent` are the dev rows that may be learnt from once they have chosen: none that another set measures on, and none
    at all where dev is what the set is measured on. `borrowed` says how many of its training rows were left out, by the
    set that measures on them.
    """

    config: SetConfig
    splits: Mapping[str, Labelled]
    span: slice
    spent: Labelled
    borrowed: Mapping[str, int] = field(default_factory=dict)

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


def read_sets(configs: Sequence[SetConfig], folder: Path, seed: int, longest: int) -> tuple[LabelledSet, ...]:
    """Read all sets, paths relative to `folder`, texts told apart by their first `longest` characters or fewer.

    Raises `RefusedError` (`train.corpus`).
    """
    read = [_read(config, folder) for config in configs]
    measured = [{_beginning(text, longest) for split in (dev, test) for text in split.texts} for _, dev, test in read]
    found: list[LabelledSet] = []
    start = 0
    for place, (config, (train, dev, test)) in enumerate(zip(configs, read, strict=True)):
        stop = start if config.held_out else start + len(config.labels)
        chosen, rest = _parted(dev, config.max_dev_rows, seed)
        own, borrowed = _own(together(train, rest) if config.learn_rest_of_dev else train, place, measured, longest)
        splits = {
            "train": _parted(own, config.max_rows, seed)[0],
            "dev": chosen,
            "test": test,
        }
        told = {configs[other].name: count for other, count in borrowed.items()}
        spent = _own(chosen, place, measured, longest)[0] if config.test else _chosen(chosen, [])
        found.append(LabelledSet(config, splits, slice(start, stop), spent, told))
        start = stop
    return tuple(found)


def _own(train: Labelled, place: int, measured: Sequence[set[str]], longest: int) -> tuple[Labelled, Mapping[int, int]]:
    """Return the training rows that no other set measures on, and how many others do, by the first that does."""
    others = [other for other in range(len(measured)) if other != place]
    if not others:
        return train, {}
    kept: list[int] = []
    borrowed: Counter[int] = Counter()
    for row, text in enumerate(train.texts):
        beginning = _beginning(text, longest)
        lender = next((other for other in others if beginning in measured[other]), None)
        if lender is None:
            kept.append(row)
        else:
            borrowed[lender] += 1
    return _chosen(train, kept), borrowed


def _beginning(text: str, longest: int) -> str:
    """Return what tells a text apart: nothing that lies behind what a base of so many tokens may read does."""
    return "".join(normalise(text).split())[: min(longest, _SAME)]


def _read(config: SetConfig, folder: Path) -> tuple[Labelled, Labelled, Labelled]:
    """Return train, dev and test, which is dev where no file is named."""

    def read(file: str) -> Labelled:
        rows = read_labelled(folder / file, config.label_column, config.text_column, called=file)
        return _chosen(rows, [i for i, label in enumerate(rows.labels) if label not in config.left_out])

    dev = read(config.dev)
    train = together(*map(read, (config.train, *config.more)))
    return train, dev, read(config.test) if config.test else dev


def _parted(rows: Labelled, most: int | None, seed: int) -> tuple[Labelled, Labelled]:
    """Return `most` rows drawn by chance, all of them for None, and the others."""
    count = len(rows.texts)
    taken = drawn(count, most or 0, seed)
    return _chosen(rows, taken), _chosen(rows, sorted(set(range(count)) - set(taken)))


def _chosen(rows: Labelled, kept: Sequence[int]) -> Labelled:
    return replace(rows, texts=tuple(rows.texts[i] for i in kept), labels=tuple(rows.labels[i] for i in kept))

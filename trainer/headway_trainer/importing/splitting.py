"""Dealing rows out to train, dev and test: by class, or by whole groups, with a seed; the same rows, the same splits.

Rows of one group never stand in two splits: a model that has read half of a dialogue knows the other half too well.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headway_trainer.importing.rows import Row


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the rows that dev and test get; 0 makes none."""

    dev: float = 0.1
    test: float = 0.1


def deal(rows: Sequence[Row], shares: Shares, seed: int) -> dict[str, tuple[Row, ...]]:
    """Return `train` and, as wanted, `dev` and `test`, each in the order of `rows`."""
    wanted = {name: share for name, share in (("dev", shares.dev), ("test", shares.test)) if share > 0}
    chosen = _by_group(rows, wanted, seed) if any(row.group for row in rows) else _by_class(rows, wanted, seed)
    dealt: dict[str, list[Row]] = {name: [] for name in ("train", *wanted)}
    for index, row in enumerate(rows):
        dealt[chosen.get(index, "train")].append(row)
    return {name: tuple(found) for name, found in dealt.items()}


def _by_class(rows: Sequence[Row], wanted: Mapping[str, float], seed: int) -> dict[int, str]:
    by_label: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_label[row.label].append(index)
    chosen: dict[int, str] = {}
    for label, indices in sorted(by_label.items()):
        order = list(indices)
        random.Random(f"{seed}:{label}").shuffle(order)
        for name, share in wanted.items():
            # A class too small for every split is measured before it is dropped, but one row stays to learn from.
            count = min(max(1, round(share * len(indices))), len(order) - 1)
            for index in order[:count]:
                chosen[index] = name
            order = order[count:]
    return chosen


def _by_group(rows: Sequence[Row], wanted: Mapping[str, float], seed: int) -> dict[int, str]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[row.group].append(index)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -len(groups[group]))
    sizes = Counter(row.label for row in rows)
    shares = {"train": 1 - sum(wanted.values()), **wanted}
    missing = {name: {label: share * size for label, size in sizes.items()} for name, share in shares.items()}
    chosen: dict[int, str] = {}
    for group in order:
        counts = Counter(rows[index].label for index in groups[group])
        name = max(shares, key=lambda split: _need(missing[split], counts, shares[split]))
        for label, count in counts.items():
            missing[name][label] -= count
        chosen.update(dict.fromkeys(groups[group], name))
    return chosen


def _need(missing: Mapping[str, float], counts: Mapping[str, int], share: float) -> float:
    """How much a split lacks of what a group holds, in units of what the split is to have."""
    return sum(missing[label] * count for label, count in counts.items()) / share

"""How good each model of a run is on dev and test: from the n-grams to the exported files, for every labelled set.

A fact that is one accuracy belongs to the run's only set; `{"sets": {name: accuracy}}` holds one for each set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from headway_trainer.evaluate import Accuracy
from headway_trainer.report.facts import Json, RunFacts
from headway_trainer.report.words import STEPS, Pair, word

_TOLD = frozenset({"second-opinion", "teacher", "distil-task", "qat", "evaluate"})

TEACHER: Pair = ("teacher", "教师模型")
"""The name of the fine-tuned teacher among the standings."""

FLOAT: Pair = ("student, float32", "学生模型 float32")
INT8: Pair = ("student, int8 training", "学生模型 int8 训练")
"""The student's names there, before and after it was trained on the int8 grid."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One model on one labelled set (empty name: the only one); dev or test may not be known."""

    group: str
    model: Pair
    css: str
    test: Accuracy | None
    dev: Accuracy | None


@dataclass(frozen=True, slots=True)
class Head:
    """An exported head that was run: its set and name, figures, and counts [true class][chosen class] on test.

    A `held_out` set taught the base nothing; with `test_is_dev` the set has no test split of its own. Runs of earlier
    trainers have no `calibration_error`, a share of 1.
    """

    group: str
    name: str
    test: Accuracy
    dev: Accuracy | None
    confusion: tuple[tuple[int, ...], ...]
    held_out: bool
    test_is_dev: bool
    calibration_error: float | None = None


def standings(run: RunFacts) -> list[Standing]:
    """Every model that was measured, by set, in the order in which the run made them."""
    found: list[Standing] = []
    for model, css, test, dev in _measured(run):
        tests, devs = _by_set(test), _by_set(dev)
        groups = dict.fromkeys((*tests, *devs))
        found += [Standing(group, model, css, tests.get(group), devs.get(group)) for group in groups]
    order = list(dict.fromkeys(standing.group for standing in found))
    return sorted(found, key=lambda standing: order.index(standing.group))


def heads(run: RunFacts) -> list[Head]:
    """The exported heads, sets in the order of the run, the best on dev first within each."""
    found: list[Head] = []
    for name, facts in run.steps.get("evaluate", {}).get("heads", {}).items():
        test = accuracy_of(facts.get("test"))
        if test:
            table = tuple(tuple(map(int, row)) for row in facts.get("confusion_test", ()))
            flags = bool(facts.get("held_out")), bool(facts.get("test_is_dev"))
            apart = facts.get("calibration_error_test")
            dev = accuracy_of(facts.get("dev"))
            found.append(Head(str(facts.get("set", "")), name, test, dev, table, *flags, apart))
    order = list(dict.fromkeys(head.group for head in found))
    return sorted(found, key=lambda head: (order.index(head.group), -(head.dev or head.test).value))


def best_heads(run: RunFacts) -> list[Head]:
    """The best head on dev of each set that taught the base."""
    found: dict[str, Head] = {}
    for head in heads(run):
        if not head.held_out:
            found.setdefault(head.group, head)
    return list(found.values())


def pooled(accuracies: Iterable[Accuracy]) -> Accuracy | None:
    """All rows together, None for none."""
    known = list(accuracies)
    return Accuracy(sum(a.correct for a in known), sum(a.rows for a in known)) if known else None


def accuracy_of(entry: Any) -> Accuracy | None:
    """The accuracy a fact holds, or None."""
    if isinstance(entry, dict) and isinstance(entry.get("correct"), int) and entry.get("rows"):
        return Accuracy(entry["correct"], int(entry["rows"]))
    return None


def _measured(run: RunFacts) -> Iterator[tuple[Pair, str, Any, Any]]:
    second, qat = run.steps.get("second-opinion", {}), run.steps.get("qat", {})
    rounded: Json = qat.get("rounded_without_training", {})
    yield ("n-grams alone", "仅 n-gram"), "other", second.get("ngrams_test"), second.get("ngrams_dev")
    teacher = run.steps.get("teacher", {})
    yield TEACHER, "teacher", teacher.get("test"), teacher.get("dev")
    yield ("teacher with n-grams", "教师模型加 n-gram"), "teacher", second.get("test"), second.get("dev")
    student = run.steps.get("distil-task", {})
    yield FLOAT, "student", student.get("test"), student.get("dev")
    yield ("rounded, not trained", "直接取整未训练"), "other", rounded.get("test"), rounded.get("dev")
    yield INT8, "student", qat.get("test"), qat.get("dev")
    for step, facts in run.steps.items():
        if step in _TOLD:
            continue
        yield word(STEPS, step), "other", facts.get("test"), facts.get("dev")
    for name, facts in run.steps.get("evaluate", {}).get("heads", {}).items():
        group = facts.get("set")
        test, dev = facts.get("test"), facts.get("dev")
        held = ({"sets": {group: test}}, {"sets": {group: dev}}) if group else (test, dev)
        yield (f"exported, {name}", f"导出 {name}"), "exported", *held


def _by_set(entry: Any) -> dict[str, Accuracy]:
    one = accuracy_of(entry)
    if one:
        return {"": one}
    inner = entry.get("sets", {}) if isinstance(entry, dict) else {}
    found = {str(name): accuracy_of(value) for name, value in inner.items()}
    return {name: value for name, value in found.items() if value}

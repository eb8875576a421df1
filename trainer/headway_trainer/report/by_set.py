"""The sets of a run that has several, a row each: what teacher, student and exported files make of the test rows."""

from __future__ import annotations

from dataclasses import dataclass

from headway_trainer.evaluate import Accuracy
from headway_trainer.report.facts import RunFacts
from headway_trainer.report.standings import FLOAT, INT8, TEACHER, Head, heads, standings
from headway_trainer.report.words import Pair


@dataclass(frozen=True, slots=True)
class SetRow:
    """One set: accuracies on test of teacher, student in float32 and in int8, and its head that is best on dev."""

    head: Head
    teacher: Accuracy | None
    float32: Accuracy | None
    int8: Accuracy | None

    @property
    def below(self) -> Pair | None:
        """How far the exported files are from the teacher, in words; None where the teacher never read the set."""
        return None if self.teacher is None else apart(self.teacher, self.head.test)


def by_set(run: RunFacts) -> list[SetRow]:
    """Return the rows of a run with several sets, in its order; none for a run of one set."""
    best = {head.group: head for head in reversed(heads(run))}
    known = {(standing.group, standing.model): standing.test for standing in standings(run)}
    order = dict.fromkeys(head.group for head in heads(run))
    return [
        SetRow(best[group], *(known.get((group, model)) for model in (TEACHER, FLOAT, INT8)))
        for group in order
        if len(order) > 1
    ]


def apart(teacher: Accuracy, other: Accuracy) -> Pair:
    """How far an accuracy is below or above the teacher's, in points."""
    points = 100 * (teacher.value - other.value)
    english, chinese = ("below", "低") if points >= 0 else ("above", "高")
    return f"{abs(points):.2f} {english}", f"{chinese} {abs(points):.2f}"

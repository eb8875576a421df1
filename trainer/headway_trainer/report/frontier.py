"""Several runs beside each other: accuracy against the bytes of the package, and against time per text.

A run on the frontier has no other one that is at least as small (or quick) and more accurate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headway_trainer.evaluate import Accuracy
from headway_trainer.report.facts import Json, RunFacts
from headway_trainer.report.standings import accuracy_of, best_heads, pooled
from headway_trainer.report.svg import Svg, round_steps
from headway_trainer.report.words import Pair

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 540, 320, 66, 500, 40, 262


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run with its best head on dev for each set: megabytes of base and heads, milliseconds per text here.

    The accuracy is that on the test rows of all sets together. `parity` is told of the widths of one run.
    """

    name: str
    megabytes: float
    milliseconds: float | None
    ratio: float | None
    accuracy: Accuracy
    parity: Json | None = None


def candidates(runs: Sequence[RunFacts]) -> list[Candidate]:
    """The runs that exported and evaluated a base."""
    found = []
    for run in runs:
        best = best_heads(run)
        accuracy = pooled(head.test for head in best)
        size = run.steps.get("export-base", {}).get("size_bytes")
        if accuracy is None or size is None:
            continue
        speed, fitted = run.steps.get("evaluate", {}).get("speed", {}), run.steps.get("fit-heads", {})
        size += sum(fitted.get(head.name, {}).get("bytes", 0) for head in best)
        found.append(Candidate(run.name, size / 1e6, speed.get("executor_ms_per_text"), speed.get("ratio"), accuracy))
    return found


def plans(run: RunFacts) -> list[Candidate]:
    """The widths that the step `compress` measured, each with its heads refitted on train; the base's bytes alone."""
    found = []
    for plan, facts in run.steps.get("compress", {}).get("plans", {}).items():
        tests = [accuracy_of(entry.get("test")) for entry in facts.get("sets", {"": facts}).values()]
        accuracy = pooled(test for test in tests if test)
        if accuracy is not None and "size_bytes" in facts:
            milliseconds = facts.get("executor_ms_per_text")
            found.append(Candidate(plan, facts["size_bytes"] / 1e6, milliseconds, None, accuracy, facts.get("parity")))
    return found


def frontier(points: Sequence[tuple[float, float]]) -> set[int]:
    """Indices of the points (cost, value) that no other point beats: none costs as little and is worth more."""
    return {
        index
        for index, (cost, value) in enumerate(points)
        if not any((c <= cost and v > value) or (c < cost and v >= value) for c, v in points)
    }


def size_svg(runs: Sequence[Candidate]) -> Svg:
    """Accuracy against size."""
    points = [(run.megabytes, run) for run in runs]
    return _scatter(points, ("Accuracy against size", "准确率与大小"), ("size, MB", "大小，MB"))


def latency_svg(runs: Sequence[Candidate]) -> Svg:
    """Accuracy against time per text on the machine that measured it."""
    points = [(run.milliseconds, run) for run in runs if run.milliseconds is not None]
    axis: Pair = ("ms per text on the training machine", "训练机上每条文本毫秒数")
    return _scatter(points, ("Accuracy against latency", "准确率与延迟"), axis)


def _scatter(points: Sequence[tuple[float, Candidate]], title: Pair, axis: Pair) -> Svg:
    svg = Svg(_WIDTH, _HEIGHT, title)
    svg.text(_LEFT, 20, title, "title")
    most = max((cost for cost, _ in points), default=1.0) * 1.12
    low = min((run.accuracy.interval[0] for _, run in points), default=0.0) - 0.002
    high = max((run.accuracy.interval[1] for _, run in points), default=1.0) + 0.002

    def place(cost: float, value: float) -> tuple[float, float]:
        return _LEFT + (_RIGHT - _LEFT) * cost / most, _BOTTOM - (_BOTTOM - _TOP) * (value - low) / (high - low)

    for tick in round_steps(low, high, 5):
        y = place(0, tick)[1]
        svg.line(_LEFT, y, _RIGHT, y, "grid")
        svg.text(_LEFT - 8, y + 4, f"{100 * tick:.4g} %", "tick", "end")
    for tick in round_steps(0, most, 6):
        svg.text(place(tick, low)[0], _BOTTOM + 18, f"{tick:g}", "tick", "middle")
    svg.line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis")
    svg.text(_RIGHT, _BOTTOM + 38, axis, "tick", "end")
    best = frontier([(cost, run.accuracy.value) for cost, run in points])
    edge = sorted(place(points[index][0], points[index][1].accuracy.value) for index in best)
    svg.polyline(edge, "edge")
    for index, (cost, run) in enumerate(points):
        x, y = place(cost, run.accuracy.value)
        first, last = (place(cost, bound)[1] for bound in run.accuracy.interval)
        svg.line(x, first, x, last, "interval exported")
        css = "point exported" if index in best else "point other"
        svg.circle(x, y, 5.5, css, f"{run.name}: {cost:.4g}, {run.accuracy}")
        svg.text(x + 9, y - 7, run.name, "tick")
    return svg

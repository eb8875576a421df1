"""Accuracy on test of every model of a run, a dot with its Wilson interval each; dev as a hollow dot beside it."""

from __future__ import annotations

from headway_trainer.evaluate import Accuracy
from headway_trainer.report.standings import Standing
from headway_trainer.report.svg import Svg, round_steps

_WIDTH, _LEFT, _RIGHT, _ROW, _HEADING = 1080, 230, 880, 28, 30


def accuracies_svg(standings: list[Standing]) -> Svg:
    """The drawing; the axis begins at a round value below every interval."""
    shown = [standing for standing in standings if standing.test or standing.dev]
    groups = [name for name in dict.fromkeys(standing.group for standing in shown) if name]
    height = 24 + len(shown) * _ROW + len(groups) * _HEADING + 34
    svg = Svg(_WIDTH, height, ("Accuracy with 95 % intervals", "准确率与 95 % 区间"))
    low, high = _range(shown)
    for tick in round_steps(low, high, 7):
        svg.line(_x(tick, low, high), 12, _x(tick, low, high), height - 30, "grid")
        if groups:
            svg.text(_x(tick, low, high), 8, f"{100 * tick:.4g} %", "tick", "middle")
        svg.text(_x(tick, low, high), height - 12, f"{100 * tick:.4g} %", "tick", "middle")
    y, group = 24.0, ""
    for standing in shown:
        if standing.group != group:
            group = standing.group
            svg.text(12, y + 14, group, "title")
            y += _HEADING
        _row(svg, standing, y, low, high)
        y += _ROW
    return svg


def _row(svg: Svg, standing: Standing, y: float, low: float, high: float) -> None:
    svg.text(_LEFT - 16, y + 9, standing.model, "", "end")
    if standing.dev:
        tip = f"dev: {standing.dev}"
        svg.circle(_x(standing.dev.value, low, high), y + 5, 4, f"hollow {standing.css}", tip)
    if standing.test:
        first, last = standing.test.interval
        svg.line(_x(first, low, high), y + 5, _x(last, low, high), y + 5, f"interval {standing.css}")
        svg.circle(_x(standing.test.value, low, high), y + 5, 5.5, f"point {standing.css}", f"test: {standing.test}")
        told = f"{100 * standing.test.value:.2f} % [{100 * first:.2f}, {100 * last:.2f}]"
        svg.text(_RIGHT + 18, y + 9, told, "tick")


def _range(standings: list[Standing]) -> tuple[float, float]:
    known = [entry for standing in standings for entry in (standing.test, standing.dev) if isinstance(entry, Accuracy)]
    lows = [entry.interval[0] for entry in known]
    highs = [entry.interval[1] for entry in known]
    low = int(min(lows, default=0.0) * 50) / 50
    return low, max(max(highs, default=1.0), low + 0.02)


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low)

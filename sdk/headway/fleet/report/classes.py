"""Per-class accuracy of each release on unseen texts: where a bad release shows at a glance."""

from __future__ import annotations

from headway.fleet.report.model import FleetReport
from headway.fleet.report.palette import css_of
from headway.fleet.report.stats import wilson
from headway.fleet.report.svg import Svg
from headway.fleet.report.words import Pair

LABELS: dict[str, Pair] = {"film": ("film", "电影"), "music": ("music", "音乐"), "travel": ("travel", "旅行")}
"""Names of the demo's classes; other labels stand as they are."""

_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 1120, 150, 1040, 15, 26


def label_pair(label: str) -> Pair:
    """A class name in both languages."""
    return LABELS.get(label, (label, label))


def classes_svg(report: FleetReport) -> str:
    """The drawing as an ``<svg>`` element: one block a class, one bar a release."""
    block = len(report.releases) * _BAR + _GAP
    height = 20 + block * len(report.labels) + 20
    svg = Svg(_WIDTH, height, ("Accuracy by class and release", "各版本各类别的准确率"))
    for index in range(0, 101, 20):
        x = _x(index / 100)
        svg.line(x, 8, x, height - 30, "grid")
        svg.text(x, height - 14, f"{index} %", "tick", "middle")
    for row, label in enumerate(report.labels):
        _class(svg, report, label, 14 + row * block)
    return svg.render()


def _x(value: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * value


def _class(svg: Svg, report: FleetReport, label: str, top: float) -> None:
    svg.text(14, top + 14, label_pair(label), "title")
    for index, facts in enumerate(report.releases):
        share, y = facts.by_class[label], top + index * _BAR
        low, high = wilson(share)
        tip = f"{report.head_name}@{facts.release} {label}: {share.correct}/{share.n}"
        svg.text(_LEFT - 10, y + 10, f"@{facts.release}", "tick", "end")
        svg.rect(_LEFT, y + 1, _x(share.value) - _LEFT, _BAR - 4, f"bar {css_of(report, facts.release)}", r=2, tip=tip)
        svg.line(_x(low), y + 6.5, _x(high), y + 6.5, "whisker")
        svg.text(max(_x(high), _x(share.value)) + 8, y + 11, f"{share.value * 100:.1f} %", "tick")

"""The rollout drawing: one panel a release, with the share offered, the devices that took it, and each decision."""

from __future__ import annotations

from collections.abc import Callable

from headway.fleet.report.axis import TimeAxis
from headway.fleet.report.history import counted
from headway.fleet.report.model import Decision, FleetReport, ReleaseFacts
from headway.fleet.report.palette import css_of
from headway.fleet.report.svg import Svg, clock_text, steps
from headway.fleet.report.words import ACTIONS, word

_WIDTH, _LEFT, _RIGHT, _PANEL, _GAP = 1120, 104, 1036, 104, 62


def rollout_svg(report: FleetReport) -> str:
    """The drawing as an ``<svg>`` element; releases nobody was ever offered have no panel."""
    shown = [facts for facts in report.releases if any(d.release == facts.release for d in report.decisions)]
    height = len(shown) * (_PANEL + _GAP) + 30
    svg = Svg(_WIDTH, height, ("Rollouts over simulated time", "随模拟时间的灰度发布"))
    axis = TimeAxis(_LEFT, _RIGHT, report.simulated_s)
    for index, facts in enumerate(shown):
        _panel(svg, axis, report, facts, 46 + index * (_PANEL + _GAP))
    axis.draw(svg, 14, height - 26)
    return svg.render()


def _panel(svg: Svg, axis: TimeAxis, report: FleetReport, facts: ReleaseFacts, top: float) -> None:
    bottom, fleet = top + _PANEL, max(1, len(report.devices))
    decisions = [decision for decision in report.decisions if decision.release == facts.release]
    svg.text(_LEFT - 12, top + 12, f"{report.head_name}@{facts.release}", "title", "end")
    svg.text(_LEFT - 12, bottom, "0", "tick", "end")
    svg.text(_LEFT - 12, top + 28, (f"{fleet} devices", f"{fleet} 台"), "tick", "end")
    svg.line(_LEFT, bottom, _RIGHT, bottom, "axis")
    svg.line(_LEFT, top, _RIGHT, top, "grid")

    def y(count: float) -> float:
        return bottom - (bottom - top) * min(1.0, count / fleet)

    offered = [(axis.x(d.at_s), y(d.permyriad / 10_000 * fleet)) for d in decisions]
    if offered:
        end = axis.x(_end(decisions, report.simulated_s))
        area = steps([(offered[0][0], bottom), *offered], end)
        svg.path(f"{area}V{bottom:.1f}Z", f"offered {css_of(report, facts.release)}")
    series = [
        ("installed", "installed"),
        ("confirmed", "confirmed"),
        ("rolled_back", "rolled-back"),
        ("recalled", "recalled"),
    ]
    taken: list[float] = []
    for kind, css in series:
        _series(svg, axis, counted(report, facts.release, kind), y, css, taken)
    last_x, level = float("-inf"), 0
    for decision in decisions:
        x = axis.x(decision.at_s)
        level = (level + 1) % 3 if x - last_x < 42 else 0
        last_x = x
        _decision(svg, x, top, bottom, decision, level)


def _series(
    svg: Svg, axis: TimeAxis, points: list[tuple[int, int]], y: Callable[[float], float], css: str, taken: list[float]
) -> None:
    if not points:
        return
    path = [(axis.x(points[0][0]), y(0)), *((axis.x(at), y(count)) for at, count in points)]
    svg.path(steps(path, axis.right), f"series {css}")
    if css == "installed":
        return
    # Equal ends would print over each other: the later figure steps aside.
    end = y(points[-1][1]) + 4
    column = sum(abs(end - other) < 12 for other in taken)
    taken.append(end)
    svg.text(axis.right + 8 + 24 * column, end, str(points[-1][1]), f"value {css}")


def _end(decisions: list[Decision], end_s: int) -> int:
    """When the offer ended: at its halt or recall, else never in this run."""
    return next((d.at_s for d in decisions if d.action in ("halt", "recall")), end_s)


def _decision(svg: Svg, x: float, top: float, bottom: float, decision: Decision, level: int) -> None:
    tip = f"{clock_text(decision.at_s)} {decision.action}: {decision.reason}"
    svg.line(x, top, x, bottom, f"decision {decision.action}")
    svg.circle(x, top, 5, f"decision-dot {decision.action}", tip)
    share = f"{decision.permyriad / 100:g} %"
    en, zh = word(ACTIONS, decision.action)
    label = (en, zh) if decision.action in ("halt", "recall", "hold") else (share, share)
    svg.text(x, top - 9 - 12 * level, label, f"small {decision.action}", "middle")

"""Accuracy before and after personalisation, one device a row, with intervals; and what the golden batch lost."""

from __future__ import annotations

from headway.fleet.report.model import DeviceRow, FleetReport, Personalisation, Share
from headway.fleet.report.stats import Pooled, wilson
from headway.fleet.report.svg import Svg
from headway.fleet.report.words import USERS, word

_WIDTH, _LEFT, _RIGHT, _ROW, _GROUP = 1120, 200, 930, 22, 44


Rows = list[tuple[DeviceRow, Personalisation]]


def groups(report: FleetReport, kind: str = "personalised") -> list[tuple[str, Rows]]:
    """The devices with a training of ``kind``, by kind of user, in the order of `USERS`; the largest gain first."""
    found = []
    for user in USERS:
        members = [(d, d.training(kind)) for d in report.devices if d.user == user]
        rows = [(device, result) for device, result in members if result is not None]
        rows.sort(key=lambda row: row[1].after.value - row[1].before.value, reverse=True)
        if rows:
            found.append((user, rows))
    return found


def pooled(report: FleetReport, kind: str = "personalised") -> dict[str, Pooled]:
    """The same groups, each taken together."""
    return {user: Pooled([result for _, result in rows]) for user, rows in groups(report, kind)}


def gains_svg(report: FleetReport) -> str:
    """The drawing as an ``<svg>`` element."""
    shown = groups(report)
    rows = sum(len(members) for _, members in shown)
    height = 30 + rows * _ROW + len(shown) * _GROUP + 30
    svg = Svg(_WIDTH, height, ("Accuracy before and after personalisation", "个性化前后的准确率"))
    low = _floor(report)
    _grid(svg, low, height - 30)
    y = 18.0
    for user, members in shown:
        y = _group(svg, report, user, members, low, y)
    return svg.render()


def _floor(report: FleetReport) -> float:
    """The left end of the axis: a round tenth below every interval, so that nothing is cut off."""
    results = [result for _, rows in groups(report) for _, result in rows]
    lows = [wilson(share)[0] for result in results for share in (result.before, result.after)]
    return max(0.0, int(min(lows, default=0.5) * 10) / 10)


def _x(value: float, low: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (value - low) / (1 - low)


def _grid(svg: Svg, low: float, bottom: float) -> None:
    step = 0.05 if low >= 0.7 else 0.1
    for index in range(round((1 - low) / step) + 1):
        value = low + index * step
        svg.line(_x(value, low), 10, _x(value, low), bottom, "grid")
        svg.text(_x(value, low), bottom + 18, f"{value * 100:.0f} %", "tick", "middle")


def _group(svg: Svg, report: FleetReport, user: str, members: Rows, low: float, y: float) -> float:
    together = Pooled([result for _, result in members])
    svg.text(12, y + 13, word(USERS, user), "title")
    gain = f"{together.gain * 100:+.1f} [{together.low * 100:+.1f}, {together.high * 100:+.1f}]"
    svg.text(_RIGHT + 20, y + 13, (f"{gain} pp", f"{gain} 百分点"), "small strong")
    _bar(svg, together.before, together.after, low, y + 9, True)
    y += 26
    for device, result in members:
        svg.text(_LEFT - 14, y + 11, device.device, "tick", "end")
        tip = f"{device.device}: {_percent(result.before)} → {_percent(result.after)}, n = {result.after.n}"
        _bar(svg, result.before, result.after, low, y + 7, False, tip)
        if result.accepted:
            change = (result.after.value - result.before.value) * 100
            note = (f"{change:+.1f} pp   +{result.fixed} −{result.broken}",) * 2
        else:
            note = ("kept as it was", "保持原样")
        svg.text(_RIGHT + 20, y + 11, (note[0], note[1]), "tick")
        y += _ROW
    return y + _GROUP - 26


def _bar(svg: Svg, before: Share, after: Share, low: float, y: float, strong: bool, tip: str = "") -> None:
    for share, css, shift in ((before, "before", -3.0), (after, "after", 3.0)):
        left, right = wilson(share)
        svg.line(_x(left, low), y + shift, _x(right, low), y + shift, f"interval {css}")
    svg.path(f"M{_x(before.value, low):.1f},{y - 3:.1f}L{_x(after.value, low):.1f},{y + 3:.1f}", "link")
    radius = 6 if strong else 4.4
    svg.circle(_x(before.value, low), y - 3, radius, "point before", tip)
    svg.circle(_x(after.value, low), y + 3, radius, "point after", tip)


def _percent(share: Share) -> str:
    return f"{share.value * 100:.1f} %"

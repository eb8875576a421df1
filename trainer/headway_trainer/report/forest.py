"""What each variant of a run brings: its difference on test with the interval, around the line of no difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway_trainer.report.facts import Json
from headway_trainer.report.svg import Svg, round_steps
from headway_trainer.report.words import DIFFERENCES, Pair, word

_WIDTH, _LEFT, _RIGHT, _ROW = 1080, 230, 730, 30
_CSS = {"better": "exported", "worse": "worse", "not distinguishable": "other"}


def forest_svg(table: Json) -> Svg:
    """The drawing of a table made by `headway train ablate`; variants that stopped are left out."""
    shown = [entry for entry in table["variants"] if "difference" in entry]
    height = 52 + max(1, len(shown)) * _ROW + 46
    svg = Svg(_WIDTH, height, ("What each part brings", "各部分的作用"))
    low, high = _range(shown)
    svg.text(
        _LEFT, 18, ("points of accuracy on test, variant less run", "测试集准确率之差（百分点），变体减原训练"), "title"
    )
    for tick in round_steps(low, high, 8):
        svg.line(_x(tick, low, high), 30, _x(tick, low, high), height - 40, "axis" if tick == 0 else "grid")
        svg.text(_x(tick, low, high), height - 20, f"{tick:+.4g}" if tick else "0", "tick", "middle")
    svg.line(_x(0, low, high), 30, _x(0, low, high), height - 40, "axis")
    for index, entry in enumerate(shown):
        _row(svg, entry, 52.0 + index * _ROW, low, high)
    return svg


def _row(svg: Svg, entry: dict[str, Any], y: float, low: float, high: float) -> None:
    apart = entry["difference"]["test"]
    css = _CSS[apart["verdict"]]
    first, last = (_x(bound, low, high) for bound in apart["interval95"])
    svg.text(_LEFT - 16, y + 4, entry["name"], "", "end")
    svg.line(first, y, last, y, f"interval {css}")
    svg.circle(_x(apart["points"], low, high), y, 5.5, f"point {css}", changed_text(entry))
    svg.text(_RIGHT + 18, y + 4, difference_pair(apart), "tick")


def difference_pair(apart: Mapping[str, Any]) -> Pair:
    """A difference in points with its interval and what may be said of it."""
    low, high = apart["interval95"]
    told = f"{apart['points']:+.2f} [{low:+.2f}, {high:+.2f}]"
    english, chinese = word(DIFFERENCES, apart["verdict"])
    return f"{told}, {english}", f"{told}，{chinese}"


def share_text(accuracy: Mapping[str, Any]) -> str:
    """An accuracy in percent with its Wilson interval."""
    low, high = accuracy["wilson95"]
    return f"{100 * accuracy['accuracy']:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def answering(table: Json) -> Pair:
    """Who answered the rows."""
    if table["head"] is None:
        return "The student's own classifier after `qat`", "`qat` 之后学生模型自己的分类器"
    return f"Exported base and head `{table['head']}`", f"导出的基座与分类头 `{table['head']}`"


def size_text(entry: Mapping[str, Any]) -> str:
    """The package's size; none where nothing was exported."""
    return f"{entry['bytes'] / 1e6:.2f} MB" if entry["bytes"] else "–"


def changed_text(entry: Mapping[str, Any]) -> str:
    """What a variant changed, each key with its old and new value."""
    return "; ".join(f"{key} {_value(old)} → {_value(new)}" for key, (old, new) in entry["changes"].items())


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(entries: list[dict[str, Any]]) -> tuple[float, float]:
    bounds = [bound for entry in entries for bound in entry["difference"]["test"]["interval95"]]
    low, high = min(bounds, default=-1.0), max(bounds, default=1.0)
    room = max(0.1, 0.06 * (high - low))
    return min(low, 0.0) - room, max(high, 0.0) + room


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (value - low) / (high - low)

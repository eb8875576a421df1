"""What the rows of each class were taken for: a square of counts, darker where a class loses more of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headway_trainer.report.svg import Svg
from headway_trainer.report.words import Pair

_RIGHT = 210
_TURN = 40.0


def _margins(labels: Sequence[Pair]) -> tuple[float, float]:
    """Room for the names on the left and, turned, above: about 7 units a Latin letter and 13 a Chinese one."""
    longest = max(sum(13 if ord(letter) > 0x2E80 else 7 for letter in name) for pair in labels for name in pair)
    return max(110.0, longest + 24.0), max(58.0, 30 + longest * math.sin(math.radians(_TURN)))


def confusion_svg(counts: Sequence[Sequence[int]], labels: Sequence[Pair]) -> Svg:
    """The drawing of counts [true class][chosen class]; `labels` are the classes' names, in order."""
    size = len(counts)
    cell = max(26.0, min(64.0, 520 / max(1, size)))
    left, top = _margins(labels)
    width, height = left + cell * size + _RIGHT, top + cell * size + 16
    svg = Svg(width, height, ("Confusion on test", "测试集混淆矩阵"))
    svg.text(12, top - 26, ("taken for →", "预测为 →"), "tick")
    svg.text(12, top - 8, ("true class ↓", "真实类别 ↓"), "tick")
    svg.text(left + cell * size + 14, top - 8, ("found of the class", "该类召回"), "tick")
    for index, label in enumerate(labels):
        centre = index * cell + cell / 2
        svg.text(left + centre + 4, top - 10, label, "label", "start", -_TURN)
        svg.text(left - 10, top + centre + 4, label, "label", "end")
        _row(svg, counts[index], index, labels, (left, top, cell))
    return svg


def _row(svg: Svg, row: Sequence[int], true: int, labels: Sequence[Pair], place: tuple[float, float, float]) -> None:
    total = sum(row)
    left, top, cell = place
    y = top + true * cell
    for chosen, count in enumerate(row):
        share = count / total if total else 0.0
        css = "cell right" if chosen == true else "cell wrong"
        # A mistake is worth seeing at a few percent already; the diagonal is not.
        alpha = share if chosen == true else min(1.0, share * 4)
        tip = f"{labels[true][0]} → {labels[chosen][0]}: {count} / {total} ({100 * share:.1f} %)"
        x = left + chosen * cell
        svg.rect(x + 1, y + 1, cell - 2, cell - 2, css, tip=tip, alpha=max(0.04, alpha))
        if count:
            strong = " strong" if alpha > 0.55 else ""
            small = " small" if cell < 40 else ""
            svg.text(x + cell / 2, y + cell / 2 + 4, str(count), f"count{strong}{small}", "middle")
    found = f"{100 * row[true] / total:.1f} %" if total else "–"
    svg.text(left + len(row) * cell + 14, y + cell / 2 + 4, f"{found}  ({total})", "tick")

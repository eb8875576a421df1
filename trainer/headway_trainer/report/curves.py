"""The curve of one training step: the smoothed loss over its optimiser steps, and dev accuracy by round beside it."""

from __future__ import annotations

import math

from headway_trainer.report.facts import Curve
from headway_trainer.report.svg import Svg, round_steps
from headway_trainer.report.words import STEPS, Pair, word

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 760, 240, 34, 206
_LOSS, _SCORES = (58.0, 470.0), (560.0, 735.0)

LOG_RATIO = 20.0
"""Losses that fall by more than this factor are drawn on a logarithmic axis."""

_ON_LINEAR_SCALE: Pair = ("loss, smoothed", "损失（已平滑）")
_ON_LOG_SCALE: Pair = ("loss, smoothed, on a logarithmic scale", "损失（已平滑，对数坐标）")


def curve_svg(curve: Curve) -> Svg:
    """The drawing of one step."""
    name = word(STEPS, curve.step)
    svg = Svg(_WIDTH, _HEIGHT, (f"Loss: {name[0]}", f"损失：{name[1]}"))
    _loss(svg, curve)
    if curve.scores:
        _scores(svg, curve.scores)
    return svg


def _loss(svg: Svg, curve: Curve) -> None:
    losses = [loss for _, loss in curve.loss]
    logarithmic = min(losses) > 0 and max(losses) / min(losses) > LOG_RATIO
    low, high = (min(losses), max(losses)) if logarithmic else (min(0.0, *losses), max(losses))
    title: Pair = (
        ("loss (log scale), smoothed", "损失（对数坐标，已平滑）")
        if logarithmic
        else ("loss, smoothed", "损失（已平滑）")
    )
    svg.text(_LOSS[0], 18, title, "title")
    svg.text(_LOSS[1], 18, f"{losses[-1]:.4g}", "tick", "end")

    def y(value: float) -> float:
        share = _share(math.log(value), math.log(low), math.log(high)) if logarithmic else _share(value, low, high)
        return _BOTTOM - (_BOTTOM - _TOP) * share

    for tick in _log_ticks(low, high) if logarithmic else round_steps(low, high, 4):
        svg.line(_LOSS[0], y(tick), _LOSS[1], y(tick), "grid")
        svg.text(_LOSS[0] - 8, y(tick) + 4, f"{tick:g}", "tick", "end")
    last = curve.loss[-1][0]
    for tick in round_steps(0, last, 5):
        svg.text(_x(_LOSS, tick / last), _BOTTOM + 18, f"{tick:g}", "tick", "middle")
    svg.text(_LOSS[1], _BOTTOM + 32, ("optimiser steps", "优化步数"), "tick", "end")
    svg.line(_LOSS[0], _BOTTOM, _LOSS[1], _BOTTOM, "axis")
    svg.polyline([(_x(_LOSS, at / last), y(loss)) for at, loss in curve.loss], "loss")


def _scores(svg: Svg, scores: tuple[float, ...]) -> None:
    margin = max(0.005, (max(scores) - min(scores)) * 0.15)
    low, high = max(0.0, min(scores) - margin), min(1.0, max(scores) + margin)
    best = scores.index(max(scores))
    svg.text(_SCORES[0], 18, ("accuracy on dev by round", "各轮开发集准确率"), "title")

    def place(index: int) -> tuple[float, float]:
        across = _x(_SCORES, (index + 0.5) / len(scores))
        return across, _BOTTOM - (_BOTTOM - _TOP) * _share(scores[index], low, high)

    for tick in round_steps(low, high, 4):
        y = _BOTTOM - (_BOTTOM - _TOP) * _share(tick, low, high)
        svg.line(_SCORES[0], y, _SCORES[1], y, "grid")
        svg.text(_SCORES[0] - 8, y + 4, f"{100 * tick:.4g} %", "tick", "end")
    svg.line(_SCORES[0], _BOTTOM, _SCORES[1], _BOTTOM, "axis")
    svg.polyline([place(index) for index in range(len(scores))], "score")
    for index, score in enumerate(scores):
        svg.circle(*place(index), 4.5 if index == best else 3, "dot", f"{index + 1}: {100 * score:.2f} %")
        if len(scores) <= 12:
            svg.text(place(index)[0], _BOTTOM + 18, str(index + 1), "tick", "middle")
    x, y = place(best)
    svg.text(x, y - 9, f"{100 * scores[best]:.2f} %", "tick", "middle")


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [f * 10.0**d for d in decades for f in (1, 2, 5) if low <= f * 10.0**d <= high]


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high <= low else (value - low) / (high - low)


def _x(span: tuple[float, float], share: float) -> float:
    return span[0] + (span[1] - span[0]) * share

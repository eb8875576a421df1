"""The axis of simulated time that the time charts share."""

from __future__ import annotations

from dataclasses import dataclass

from headway.fleet.report.svg import Svg, clock_text

_STEPS_S = (900, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Maps 0 … ``end_s`` simulated seconds to ``left`` … ``right`` user units."""

    left: float
    right: float
    end_s: int

    def x(self, at_s: float) -> float:
        """The position of a moment."""
        return self.left + (self.right - self.left) * min(1.0, max(0.0, at_s / max(1, self.end_s)))

    def ticks(self, most: int = 12) -> list[int]:
        """Round moments, at most ``most``."""
        step = next((s for s in _STEPS_S if self.end_s / s <= most), _STEPS_S[-1])
        return list(range(0, self.end_s + 1, step))

    def draw(self, svg: Svg, top: float, bottom: float) -> None:
        """Light vertical lines with their time below."""
        for tick in self.ticks():
            svg.line(self.x(tick), top, self.x(tick), bottom, "grid")
            svg.text(self.x(tick), bottom + 16, clock_text(tick), "tick", "middle")

"""A few helpers to write inline SVG by hand: escaped, themed by the page's CSS variables, in both languages.

Shapes take CSS classes instead of colours, so that one drawing follows the light and dark theme and prints well.
"""

from __future__ import annotations

from html import escape

from headway.fleet.report.words import Pair


class Svg:
    """A drawing of ``width`` × ``height`` user units; elements are added in painting order."""

    def __init__(self, width: float, height: float, title: Pair, css: str = "") -> None:
        self._width, self._height, self._title, self._css = width, height, title, css
        self._parts: list[str] = []

    def add(self, element: str) -> None:
        """Add one finished element; the caller has escaped its text."""
        self._parts.append(element)

    def rect(self, x: float, y: float, width: float, height: float, css: str, *, r: float = 0, tip: str = "") -> None:
        """A rectangle, with rounded corners of radius ``r`` and a tooltip."""
        self.add(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(0, width))}" height="{_n(height)}" rx="{_n(r)}" '
            f'class="{css}">{_tip(tip)}</rect>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self.add(f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{css}"/>')

    def circle(self, x: float, y: float, r: float, css: str, tip: str = "") -> None:
        """A disc with a tooltip."""
        self.add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" class="{css}">{_tip(tip)}</circle>')

    def path(self, d: str, css: str, tip: str = "") -> None:
        """A path."""
        self.add(f'<path d="{d}" class="{css}">{_tip(tip)}</path>')

    def text(self, x: float, y: float, content: str | Pair, css: str = "", anchor: str = "start") -> None:
        """A text, in one language or in both (the page shows the chosen one)."""
        where = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"'
        if isinstance(content, str):
            self.add(f'<text {where} class="{css}">{escape(content)}</text>')
            return
        for language, words in zip(("en", "zh-CN"), content, strict=True):
            self.add(f'<text {where} class="{css}" lang="{language}">{escape(words)}</text>')

    def render(self) -> str:
        """The ``<svg>`` element. Its name for assistive technology stands in both languages."""
        name = escape(" · ".join(self._title), quote=True)
        return (
            f'<svg viewBox="0 0 {_n(self._width)} {_n(self._height)}" role="img" aria-label="{name}" '
            f'class="chart {self._css}" preserveAspectRatio="xMidYMid meet">{"".join(self._parts)}</svg>'
        )


def steps(points: list[tuple[float, float]], end_x: float) -> str:
    """Path data of a step line through ``points`` (x ascending), held until ``end_x``."""
    if not points:
        return ""
    data = [f"M{_n(points[0][0])},{_n(points[0][1])}"]
    for x, y in points[1:]:
        data.append(f"H{_n(x)}V{_n(y)}")
    data.append(f"H{_n(end_x)}")
    return "".join(data)


def clock_text(seconds: float) -> str:
    """Simulated time for an axis or a table: ``2 d 03:15`` or ``03:15``."""
    days, rest = divmod(int(seconds), 86_400)
    hours, minutes = divmod(rest // 60, 60)
    return f"{days} d {hours:02d}:{minutes:02d}" if days else f"{hours:02d}:{minutes:02d}"


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""

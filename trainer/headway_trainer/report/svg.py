"""A few helpers to write SVG by hand: escaped, in both languages, coloured by CSS classes.

Inside the page the page's style sheet colours a drawing, so that it follows light and dark; alone in a file it brings
its own colours, which follow the viewer's preference.
"""

from __future__ import annotations

from html import escape

from headway_trainer.report.words import Pair

_OWN_STYLE = (
    "svg{font-family:'Helvetica Neue','Noto Sans CJK SC','PingFang SC',sans-serif;background:#fff}"
    "text{fill:#1c2127;font-size:12px}.tick{fill:#59636e;font-size:11px}.title{font-weight:650}"
    ".grid{stroke:#e3e1d9}.axis{stroke:#8b949e}.loss{fill:none;stroke:#2f7fb5;stroke-width:1.8}"
    ".score{fill:none;stroke:#0f8f86;stroke-width:1.6}.dot{fill:#0f8f86}"
    "@media (prefers-color-scheme:dark){svg{background:#191f26}text{fill:#e8eaed}.tick{fill:#a5afba}"
    ".grid{stroke:#2b333c}.axis{stroke:#74808c}.loss{stroke:#4f9fd6}.score{stroke:#2fb3a8}.dot{fill:#2fb3a8}}"
)


class Svg:
    """A drawing of `width` × `height` user units; elements are added in painting order."""

    def __init__(self, width: float, height: float, title: Pair) -> None:
        self._width, self._height, self._title = width, height, title
        self._parts: list[str] = []

    def rect(
        self, x: float, y: float, width: float, height: float, css: str, *, tip: str = "", alpha: float = 1
    ) -> None:
        """A rectangle with a tooltip; `alpha` is the opacity of its fill."""
        shade = f' fill-opacity="{alpha:.3f}"' if alpha < 1 else ""
        self._add(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(0, width))}" height="{_n(height)}" rx="2" '
            f'class="{css}"{shade}>{_tip(tip)}</rect>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self._add(f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{css}"/>')

    def circle(self, x: float, y: float, r: float, css: str, tip: str = "") -> None:
        """A disc with a tooltip."""
        self._add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}" class="{css}">{_tip(tip)}</circle>')

    def polyline(self, points: list[tuple[float, float]], css: str) -> None:
        """A line through `points`."""
        told = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(f'<polyline points="{told}" class="{css}"/>')

    def text(
        self, x: float, y: float, content: str | Pair, css: str = "", anchor: str = "start", turn: float = 0
    ) -> None:
        """A text in one language, or in both (the page shows the chosen one); `turn` in degrees about its anchor."""
        turned = f' transform="rotate({_n(turn)} {_n(x)} {_n(y)})"' if turn else ""
        where = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"{turned}'
        if isinstance(content, str) or content[0] == content[1]:
            only = content if isinstance(content, str) else content[0]
            self._add(f'<text {where} class="{css}">{escape(only)}</text>')
            return
        for language, words in zip(("en", "zh-CN"), content, strict=True):
            self._add(f'<text {where} class="{css}" lang="{language}">{escape(words)}</text>')

    def render(self) -> str:
        """The `<svg>` element for a page; its name for assistive technology stands in both languages."""
        # On a phone a wide drawing scrolls in its panel rather than shrink until nobody can read it.
        widths = f"max-width:{_n(self._width * 1.1)}px;min-width:{_n(self._width * 0.8)}px"
        return self._element(f'class="chart" style="{widths}"', "")

    def render_alone(self) -> str:
        """A whole SVG file with its own style; where a text is in both languages, the English one."""
        size = f'xmlns="http://www.w3.org/2000/svg" width="{_n(self._width)}" height="{_n(self._height)}"'
        return self._element(size, f"<style>{_OWN_STYLE}[lang=zh-CN]{{display:none}}</style>") + "\n"

    def _add(self, element: str) -> None:
        self._parts.append(element)

    def _element(self, attributes: str, before: str) -> str:
        name = escape(" · ".join(dict.fromkeys(self._title)), quote=True)
        view = f'viewBox="0 0 {_n(self._width)} {_n(self._height)}" role="img" aria-label="{name}"'
        return f"<svg {attributes} {view}>{before}{''.join(self._parts)}</svg>"


def round_steps(low: float, high: float, most: int = 6) -> list[float]:
    """Round values between `low` and `high`, at most `most` or one more, ascending."""
    span = max(high - low, 1e-12)
    unit = 10.0 ** _floor_log10(span / most)
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10, 20) if span / (unit * factor) <= most)
    first = -(-low // step)
    return [(first + index) * step for index in range(most + 1) if (first + index) * step <= high + step * 1e-9]


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".split("e")[1])


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if value else "0"


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""

"""The lineage as a drawing of our own: bases on top, one lane per head name, releases from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from headway_server.records import BaseRecord, EdgeRecord, HeadRecord

_BOX_W, _BOX_H, _GAP_X, _LANE_H = 132, 46, 34, 108
_LEFT, _TOP, _BASE_GAP = 120, 24, 72
MOST_PER_LANE, MOST_LANES = 8, 40


@dataclass(frozen=True, slots=True)
class _Box:
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.x + _BOX_W // 2


def draw(bases: Sequence[BaseRecord], heads: Sequence[HeadRecord], edges: Iterable[EdgeRecord]) -> Markup:
    """The drawing as SVG; an empty string where there is nothing to draw. Text is escaped, colours come from CSS."""
    if not bases:
        return Markup("")
    lanes = _lanes(heads)
    columns = max([len(bases), *(len(lane) for lane in lanes.values())])
    width = _LEFT + columns * (_BOX_W + _GAP_X)
    height = _TOP + _BOX_H + _BASE_GAP + max(0, len(lanes) - 1) * _LANE_H + _BOX_H + _TOP
    base_boxes = {b.package: _Box(_LEFT + i * (_BOX_W + _GAP_X), _TOP) for i, b in enumerate(bases)}
    head_boxes = {
        _key(head): _Box(_LEFT + i * (_BOX_W + _GAP_X), _TOP + _BOX_H + _BASE_GAP + row * _LANE_H)
        for row, lane in enumerate(lanes.values())
        for i, head in enumerate(lane)
    }
    parts = [_edge(base_boxes[e.base], head_boxes[_edge_key(e)], e) for e in edges if _edge_key(e) in head_boxes]
    parts += _parents(heads, head_boxes)
    parts += [_base(base, base_boxes[base.package]) for base in bases]
    for row, (name, lane) in enumerate(lanes.items()):
        y = _TOP + _BOX_H + _BASE_GAP + row * _LANE_H + _BOX_H // 2 + 5
        parts.append(Markup('<text class="lane" x="8" y="{}">{}</text>').format(y, name))
        parts += [_head(head, head_boxes[_key(head)]) for head in lane]
    return Markup(
        '<svg class="lineage" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="lineage">'
        "{body}</svg>"
    ).format(w=width, h=height, body=Markup("").join(parts))


def _lanes(heads: Sequence[HeadRecord]) -> dict[str, list[HeadRecord]]:
    lanes: dict[str, list[HeadRecord]] = {}
    for head in sorted(heads, key=lambda h: (h.base_id, h.name, h.release)):
        lanes.setdefault(head.name, []).append(head)
    return {name: lane[-MOST_PER_LANE:] for name, lane in list(lanes.items())[:MOST_LANES]}


def _key(head: HeadRecord) -> tuple[str, str, int]:
    return head.base_id, head.name, head.release


def _edge_key(edge: EdgeRecord) -> tuple[str, str, int]:
    return edge.base_id, edge.name, edge.release


def _edge(base: _Box, head: _Box, edge: EdgeRecord) -> Markup:
    x1, y1, x2, y2 = base.middle, base.y + _BOX_H, head.middle, head.y
    bend = (y2 - y1) // 2
    title = f"{edge.name}@{edge.release}: {edge.proof.get('accuracy_permyriad', 0) / 100:.2f} %, {edge.verdict}"
    return Markup(
        '<path class="edge {kind}" d="M{x1},{y1} C{x1},{a} {x2},{b} {x2},{y2}"><title>{title}</title></path>'
    ).format(
        kind="here" if edge.reproof is not None else "stated",
        x1=x1, y1=y1, x2=x2, y2=y2, a=y1 + bend, b=y2 - bend, title=title,
    )  # fmt: skip


def _parents(heads: Sequence[HeadRecord], boxes: dict[tuple[str, str, int], _Box]) -> list[Markup]:
    by_digest = {head.head: boxes[_key(head)] for head in heads if _key(head) in boxes}
    drawn = []
    for head in heads:
        child, parent = boxes.get(_key(head)), by_digest.get(head.parent) if head.parent else None
        if child is not None and parent is not None:
            y = child.y + _BOX_H
            drawn.append(
                Markup('<path class="parent" d="M{},{} C{},{} {},{} {},{}"/>').format(
                    child.middle, y, child.middle, y + 26, parent.middle, y + 26, parent.middle, parent.y + _BOX_H
                )
            )
    return drawn


def _base(base: BaseRecord, box: _Box) -> Markup:
    return _card("base", base.state, f"{base.base_id}@{base.version}", base.package[7:19], box)


def _head(head: HeadRecord, box: _Box) -> Markup:
    return _card("head", head.state, f"{head.name}@{head.release}", head.head[7:19], box)


def _card(kind: str, state: str, title: str, detail: str, box: _Box) -> Markup:
    shown = title if len(title) <= 19 else title[:18] + "…"
    return Markup(
        '<g class="card {kind} {state}"><title>{title}</title><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8"/>'
        '<text x="{tx}" y="{t1}">{shown}</text><text class="small" x="{tx}" y="{t2}">{detail}</text></g>'
    ).format(
        kind=kind, state=escape(state), title=title, shown=shown, detail=detail,
        x=box.x, y=box.y, w=_BOX_W, h=_BOX_H, tx=box.x + 11, t1=box.y + 20, t2=box.y + 36,
    )  # fmt: skip


def bar(share_permyriad: int, state: str) -> Markup:
    """How far a rollout has come, as a bar."""
    return Markup(
        '<svg class="bar {state}" width="100%" height="9" role="img" aria-label="{label}">'
        '<rect class="all" width="100%" height="9" rx="4"/><rect class="some" width="{w}%" height="9" rx="4"/></svg>'
    ).format(state=state, label=f"{share_permyriad / 100:.2f} %", w=max(1.5, share_permyriad / 100))

"""The lineage drawing: base → releases by proof, release → release by parent, release → personal generations.

Positions are computed here: the graph is a few fixed layers, so a general layout engine would only make it restless.
"""

from __future__ import annotations

from headway.fleet.report.model import DeviceRow, FleetReport, ReleaseFacts
from headway.fleet.report.palette import css_of
from headway.fleet.report.svg import Svg
from headway.fleet.report.words import Pair

_WIDTH, _BASE_Y, _CARD_W, _CARD_H, _HEAD_Y = 1120, 16, 208, 92, 176
_DOT, _PER_ROW = 15, 10

_FATES = {"live": ("live", "在用"), "halted": ("halted", "已停止"), "recalled": ("recalled", "已召回")}


def lineage_svg(report: FleetReport) -> str:
    """The drawing as an ``<svg>`` element."""
    rows = max((_rows(report, facts) for facts in report.releases), default=0)
    height = _HEAD_Y + _CARD_H + 40 + (30 + rows * _DOT if rows else 0)
    svg = Svg(_WIDTH, height, ("Lineage of base, heads and personal heads", "基座、分类头与个性化分类头的谱系"))
    places = {facts.release: _left(index, len(report.releases)) for index, facts in enumerate(report.releases)}
    _edges(svg, report, places)
    _base(svg, report)
    for facts in report.releases:
        _card(svg, report, facts, places[facts.release])
        _personal(svg, report, facts, places[facts.release])
    return svg.render()


def _left(index: int, count: int) -> float:
    gap = (_WIDTH - count * _CARD_W) / (count + 1)
    return gap + index * (_CARD_W + gap)


def _holders(report: FleetReport, facts: ReleaseFacts) -> list[DeviceRow]:
    """Devices that ever made a personal generation on this release."""
    return [
        device
        for device in report.devices
        if any(e.kind in ("personalised", "rebased") and e.about == facts.release for e in device.events)
    ]


def _rows(report: FleetReport, facts: ReleaseFacts) -> int:
    return -(-len(_holders(report, facts)) // _PER_ROW)


def _base(svg: Svg, report: FleetReport) -> None:
    base, x, w = report.base, _WIDTH / 2 - 210, 420
    svg.rect(x, _BASE_Y, w, 74, "card base", r=10)
    svg.text(x + 18, _BASE_Y + 27, f"{base.base_id} {base.version}", "title")
    svg.text(x + 18, _BASE_Y + 47, f"{base.digest[:19]}…", "mono")
    facts = (
        f"frozen · {base.bytes / 2**20:.1f} MiB · {base.dimension} features · {base.max_sequence_length} tokens",
        f"冻结 · {base.bytes / 2**20:.1f} MiB · {base.dimension} 维特征 · {base.max_sequence_length} 词元",
    )
    svg.text(x + 18, _BASE_Y + 64, facts, "small")
    svg.text(x + w - 16, _BASE_Y + 27, ("base", "基座"), "tag", "end")


def _edges(svg: Svg, report: FleetReport, places: dict[int, float]) -> None:
    bottom, top = _BASE_Y + 74, _HEAD_Y
    by_head = {facts.head: facts.release for facts in report.releases}
    for facts in report.releases:
        x = places[facts.release] + _CARD_W / 2
        middle = (bottom + top) / 2
        svg.path(f"M{_WIDTH / 2},{bottom}C{_WIDTH / 2},{middle} {x:.0f},{middle} {x:.0f},{top}", "edge proof")
        if facts.parent in by_head:
            start = places[by_head[facts.parent]] + _CARD_W
            y, end = _HEAD_Y + _CARD_H / 2, places[facts.release]
            if end - start < 120:
                svg.path(f"M{start:.0f},{y}H{end - 8:.0f}", "edge parent")
                svg.path(f"M{end - 9:.0f},{y - 4.5}l8,4.5l-8,4.5z", "arrow")
            else:
                low = _HEAD_Y + _CARD_H
                a, b = start - 24, end + 24
                svg.path(
                    f"M{a:.0f},{low}C{a + 30:.0f},{low + 34} {b - 30:.0f},{low + 34} {b:.0f},{low + 8}", "edge parent"
                )
                svg.path(f"M{b - 4.5:.0f},{low + 9}l4.5,-8l4.5,8z", "arrow")


def _card(svg: Svg, report: FleetReport, facts: ReleaseFacts, x: float) -> None:
    css = css_of(report, facts.release)
    svg.rect(x, _HEAD_Y, _CARD_W, _CARD_H, "card", r=10)
    svg.rect(x, _HEAD_Y, 6, _CARD_H, css, r=3)
    svg.text(x + 18, _HEAD_Y + 25, f"{report.head_name}@{facts.release}", "title")
    svg.text(x + _CARD_W - 12, _HEAD_Y + 25, _FATES[facts.fate], f"tag {facts.fate}", "end")
    svg.text(x + 18, _HEAD_Y + 44, f"{facts.head[:19]}…", "mono")
    agreement = f"{facts.proof.agreement.correct}/{facts.proof.rows}"
    svg.text(x + 18, _HEAD_Y + 63, (f"proof: {agreement} agree", f"验证：{agreement} 一致"), "small")
    accuracy = f"{facts.test.value * 100:.1f} %"
    svg.text(
        x + 18,
        _HEAD_Y + 80,
        (f"{accuracy} on {facts.test.n} unseen texts", f"{facts.test.n} 条未见文本 {accuracy}"),
        "small",
    )


def _personal(svg: Svg, report: FleetReport, facts: ReleaseFacts, x: float) -> None:
    holders = _holders(report, facts)
    top = _HEAD_Y + _CARD_H + 62
    if not holders:
        return
    middle = x + _CARD_W / 2
    svg.path(f"M{middle:.0f},{_HEAD_Y + _CARD_H}V{top - 24}", "edge")
    svg.text(middle, top - 9, _heads_text(len(holders)), "small", "middle")
    across = min(_PER_ROW, len(holders))
    for index, device in enumerate(holders):
        column, row = index % _PER_ROW, index // _PER_ROW
        dot_x = middle - (across - 1) * _DOT / 2 + column * _DOT
        held = device.release == facts.release and device.generation > 0
        css = css_of(report, facts.release) if held else "left"
        svg.circle(dot_x, top + 8 + row * _DOT, 5, f"dot {css}", f"{device.device} · {device.user}")


def _heads_text(count: int) -> Pair:
    return (f"{count} personal head{'s' if count != 1 else ''}", f"{count} 个个性化分类头")

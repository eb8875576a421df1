"""The fleet as lanes: one device a row, coloured by what it ran, with a mark where something happened."""

from __future__ import annotations

from headway.fleet.report.axis import TimeAxis
from headway.fleet.report.history import spans
from headway.fleet.report.model import DeviceEvent, DeviceRow, FleetReport
from headway.fleet.report.palette import css_of, name_of
from headway.fleet.report.svg import Svg, clock_text

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 1120, 104, 1104, 14, 19


def lanes_svg(report: FleetReport) -> str:
    """The drawing as an ``<svg>`` element."""
    bottom = _TOP + _ROW * len(report.devices) + 4
    svg = Svg(_WIDTH, bottom + 24, ("What each device ran over time", "每台设备随时间运行的版本"))
    axis = TimeAxis(_LEFT, _RIGHT, report.simulated_s)
    axis.draw(svg, _TOP - 6, bottom)
    for index, device in enumerate(report.devices):
        _lane(svg, axis, report, device, _TOP + index * _ROW)
    return svg.render()


def _lane(svg: Svg, axis: TimeAxis, report: FleetReport, device: DeviceRow, y: float) -> None:
    svg.text(_LEFT - 10, y + 12, device.device, "tick", "end")
    for span in spans(device, report.simulated_s):
        x = axis.x(span.start_s)
        tip = f"{device.device}: {name_of(report, span.release)}" + (
            f", personal generation {span.generation}" if span.generation else ""
        )
        css = css_of(report, span.release)
        svg.rect(x, y + 3, axis.x(span.end_s) - x - 0.6, _ROW - 6, f"lane {css}", r=2, tip=tip)
        if span.generation:
            svg.rect(x, y + _ROW - 6, axis.x(span.end_s) - x - 0.6, 2.4, "personal", tip=tip)
    if device.offline_from_s is not None:
        start = axis.x(device.offline_from_s)
        end = axis.x(device.offline_until_s if device.offline_until_s is not None else report.simulated_s)
        svg.rect(start, y + 3, end - start, _ROW - 6, "offline", r=2, tip=f"{device.device}: offline")
    for event in device.events:
        _mark(svg, axis.x(event.at_s), y + _ROW / 2, device, event)


def _mark(svg: Svg, x: float, y: float, device: DeviceRow, event: DeviceEvent) -> None:
    tip = f"{clock_text(event.at_s)} {device.device}: {event.kind} {event.code or ''}".strip()
    match event.kind:
        case "rolled_back":
            svg.path(f"M{x - 3.5:.1f},{y - 3.5:.1f}l7,7m0,-7l-7,7", "mark cross", tip)
        case "recalled":
            svg.path(f"M{x:.1f},{y - 5:.1f}l5,5l-5,5l-5,-5z", "mark diamond", tip)
        case "personalised":
            svg.circle(x, y, 3.2, "mark disc", tip)
        case "kept":
            svg.circle(x, y, 3, "mark ring", tip)
        case "killed" | "fault":
            svg.path(f"M{x:.1f},{y - 4:.1f}l4,7h-8z", "mark fault", tip)
        case _:
            return

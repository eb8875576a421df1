"""What each device ran at each moment, and what stood in each rollout: pure reductions of the devices' events."""

from __future__ import annotations

from dataclasses import dataclass

from headway.fleet.report.model import DeviceRow, FleetReport


@dataclass(frozen=True, slots=True)
class Span:
    """A device ran ``release`` in personal generation ``generation`` from ``start_s`` to ``end_s``."""

    start_s: int
    end_s: int
    release: int
    generation: int


def spans(device: DeviceRow, end_s: int) -> list[Span]:
    """The device's whole life as spans without gaps, from its first event to ``end_s``."""
    found: list[Span] = []
    for event in device.events:
        if found and (found[-1].release, found[-1].generation) == (event.release, event.generation):
            continue
        if found:
            last = found[-1]
            found[-1] = Span(last.start_s, event.at_s, last.release, last.generation)
        found.append(Span(event.at_s, end_s, event.release, event.generation))
    return [span for span in found if span.end_s > span.start_s]


def running(report: FleetReport) -> list[tuple[int, dict[int, int]]]:
    """How many devices run each release, at each moment at which that changes."""
    moves: dict[int, list[tuple[int, int]]] = {}
    for device in report.devices:
        for span in spans(device, report.simulated_s):
            moves.setdefault(span.start_s, []).append((span.release, 1))
            if span.end_s < report.simulated_s:
                moves.setdefault(span.end_s, []).append((span.release, -1))
    counts: dict[int, int] = {}
    series = []
    for at_s in sorted(moves):
        for release, change in moves[at_s]:
            counts[release] = counts.get(release, 0) + change
        series.append((at_s, dict(counts)))
    return series


def counted(report: FleetReport, release: int, kind: str) -> list[tuple[int, int]]:
    """How many devices had an event of ``kind`` about ``release`` by each moment: (seconds, running count)."""
    times = sorted(
        at_s for at_s in (first_event(device, kind, release) for device in report.devices) if at_s is not None
    )
    return [(at_s, index + 1) for index, at_s in enumerate(times)]


def first_event(device: DeviceRow, kind: str, about: int) -> int | None:
    """When the device first had an event of ``kind`` about release ``about``; None if never."""
    return next((event.at_s for event in device.events if event.kind == kind and event.about == about), None)

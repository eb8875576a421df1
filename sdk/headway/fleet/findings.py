"""From what happened to the report: pure reductions over phones, decisions and the registry's records."""

from __future__ import annotations

import os
import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from headway.fleet.phone import Phone
from headway.fleet.report.history import first_event
from headway.fleet.report.model import (
    BadRelease,
    Decision,
    DeviceEvent,
    DeviceRow,
    Environment,
    FaultRow,
    Personalisation,
    RecallStory,
    ReleaseFacts,
    Traffic,
    WhyNot,
)

_LIBRARIES = ("coremltools", "onnxruntime", "tuf", "httpx2", "gunicorn")
PASSED = ("validated", "proven", "signed", "golden", "latency")


def device_row(phone: Phone, trainings: Sequence[Personalisation], sound: bool) -> DeviceRow:
    """One device of the report."""
    choice, status = phone.device.explain(), phone.device.status()
    verdicts = choice.verdicts if choice is not None else ()
    spells = [event.at_s for event in phone.events if event.kind == "offline"]
    returns = [event.at_s for event in phone.events if event.kind == "online"]
    return DeviceRow(
        device=phone.name,
        user=phone.user.kind,
        mix=phone.user.mix,
        network="offline" if spells else phone.line.conditions,
        release=status.release,
        generation=status.generation,
        runnable_heads=int(sound),
        events=tuple(phone.events),
        why=tuple(
            WhyNot(verdict.release, tuple(str(reason) for reason in verdict.reasons))
            for verdict in verdicts
            if verdict.release > status.release
        ),
        trainings=tuple(trainings),
        polls=phone.polls,
        requests=phone.line.meter.requests,
        bytes_down=phone.line.meter.bytes_down,
        bytes_up=phone.line.meter.bytes_up,
        offline_from_s=spells[0] if spells else None,
        offline_until_s=returns[0] if returns else None,
    )


def fault_rows(phones: Sequence[Phone], rows: Sequence[DeviceRow], wrong_labels: int) -> tuple[FaultRow, ...]:
    """Every kind of fault that was met, with how its devices ended."""
    sound = {row.device: row.runnable_heads == 1 for row in rows}
    met: dict[str, dict[str, int]] = {}
    for phone in phones:
        for kind, count in (phone.line.met | phone.faults).items():
            met.setdefault(kind, {})[phone.name] = count
    if wrong_labels:
        met["wrong_labels"] = {p.name: len(p.user.corrections) for p in phones if p.user.kind == "mislabelled"}
    return tuple(
        FaultRow(kind, sum(by.values()), len(by), sum(sound[name] for name in by)) for kind, by in sorted(met.items())
    )


def bad_release(
    facts: Sequence[ReleaseFacts], rows: Sequence[DeviceRow], decisions: Sequence[Decision], defects: dict[int, str]
) -> BadRelease | None:
    """The story of the first release that its own rollout halted; None if none was."""
    halt = next((decision for decision in decisions if decision.action == "halt"), None)
    if halt is None:
        return None
    release = halt.release
    tried = [row for row in rows if first_event(row, "tried", release) is not None]
    back = [e for row in rows for e in row.events if e.kind == "rolled_back" and e.about == release]
    return BadRelease(
        release=release,
        defect=defects.get(release, "unknown"),
        passed=PASSED,
        tried=len(tried),
        rolled_back=len(back),
        confirmed=sum(first_event(row, "confirmed", release) is not None for row in rows),
        spared=len(rows) - len(tried),
        caught_by=dict(sorted(Counter(event.code or "unknown" for event in back).items())),
        halted_at_s=halt.at_s,
        halt_reason=halt.reason,
    )


def told(story: RecallStory, rows: Sequence[DeviceRow]) -> RecallStory:
    """A recall with what became of it."""
    obeyed = {row.device: _obeyed(row, story.release) for row in rows}
    events = [event for event in obeyed.values() if event is not None]
    waits = [event.at_s - story.at_s for event in events]
    late = obeyed.get(story.offline_device or "")
    back = Counter(event.release for event in events).most_common(1)
    return replace(
        story,
        obeyed=len(waits),
        median_s=int(statistics.median(waits)) if waits else 0,
        slowest_s=max(waits, default=0),
        offline_after_s=None if late is None else late.at_s - story.at_s,
        replaced_by=back[0][0] if back else None,
        personal_back=sum(event.generation > 0 for event in events),
    )


def _obeyed(row: DeviceRow, release: int) -> DeviceEvent | None:
    return next(
        (e for e in row.events if e.kind == "recalled" and e.about == release and e.code in ("stable", "trial")), None
    )


def traffic(phones: Sequence[Phone], accepted: int) -> Traffic:
    """The fleet's traffic."""
    meters = [phone.line.meter for phone in phones]
    return Traffic(
        requests=sum(meter.requests for meter in meters),
        not_modified=sum(meter.not_modified for meter in meters),
        bytes_down=sum(meter.bytes_down for meter in meters),
        bytes_up=sum(meter.bytes_up for meter in meters),
        outcomes_sent=sum(phone.outcomes_sent for phone in phones),
        outcomes_accepted=accepted,
    )


def environment() -> Environment:
    """Where this run takes place."""
    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    machine = f"{platform.machine()} {platform.system()}"
    return Environment(platform.python_version(), machine, os.cpu_count() or 1, libraries)

"""Step `gate`: the acceptance table as code. A metric passes, fails, or is not evidenced; never passed by default.

Speed and CPU share belong to a phone: without a device report they are "not evidenced". The ratio that is measured here
and the bound by count (`counted`) stand in the facts of `evaluate` and evidence nothing about a limit in milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headway.contract.errors import RefusedError
from headway_trainer.evaluate import Accuracy

Verdict = Literal["passed", "failed", "not evidenced"]


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Limits of the acceptance table."""

    size_bytes: int = 20_000_000
    accuracy: float = 0.95
    points_below_teacher: float = 2.0
    latency_ms: float = 25.0
    memory_bytes: int = 100_000_000
    cpu_percent: float = 40.0
    feature_deviation: float = 1e-3
    agreement: float = 1.0


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What a phone measured; only a person with a device can supply it."""

    device: str
    latency_ms: float
    memory_bytes: int
    cpu_percent: float


def read_device_report(path: Path) -> DeviceReport:
    """Read `{"device", "latency_ms", "memory_bytes", "cpu_percent"}`. Raises `RefusedError` (`train.device_report`)."""
    try:
        found = json.loads(path.read_text("utf-8"))
        device, figures = found["device"], [found[name] for name in ("latency_ms", "memory_bytes", "cpu_percent")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad_report(
            path, "it must be a JSON object with device, latency_ms, memory_bytes and cpu_percent"
        ) from error
    if not (isinstance(device, str) and device.strip()):
        raise _bad_report(path, "it does not name the device")
    if any(isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15 for value in figures):
        raise _bad_report(path, "its figures must be positive numbers")
    return DeviceReport(device, float(figures[0]), int(figures[1]), float(figures[2]))


def _bad_report(path: Path, why: str) -> RefusedError:
    return RefusedError(
        "train.device_report",
        f"The device report {path.name} cannot be used: {why}.",
        hint="Measure on the phone as docs/checklist.md says and write the figures into that file.",
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run evidences: bytes of the package, accuracies on test, memory of our runtime, parity of the export.

    Parity is with the student that holds the package's weights, `held_by` says which; with palettes that is not the one
    that training ended with, so the labels it shares with that are told too.
    """

    size_bytes: int
    exported: Accuracy
    teacher: Accuracy
    memory_bytes: int | None
    feature_deviation: float
    agreement: float
    held_by: str = "QAT"
    agreement_with_qat: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: the metric, the limit in words, what was found, the verdict."""

    metric: str
    limit: str
    found: str
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """The line as JSON."""
        return {"metric": self.metric, "limit": self.limit, "found": self.found, "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Waiver:
    """A failed or unevidenced metric that a person accepts, with the reason that goes into the card."""

    metric: str
    reason: str


def gate(measured: Measured, config: GateConfig, report: DeviceReport | None = None) -> tuple[Line, ...]:
    """Judge every metric of the table."""
    below = 100 * (measured.teacher.value - measured.exported.value)
    lines = [
        Line(
            "size",
            f"< {config.size_bytes / 1e6:g} MB",
            f"{measured.size_bytes / 1e6:.2f} MB",
            _verdict(measured.size_bytes < config.size_bytes),
        ),
        Line(
            "accuracy",
            f"> {100 * config.accuracy:g} %",
            str(measured.exported),
            _verdict(measured.exported.value > config.accuracy),
        ),
        Line(
            "below teacher",
            f"< {config.points_below_teacher:g} points",
            f"{abs(below):.2f} points {'below' if below >= 0 else 'above'} {measured.teacher}",
            _verdict(below < config.points_below_teacher),
        ),
        *_parity(measured, config),
        _memory(measured, config, report),
    ]
    if report is None:
        return (*lines, *_unevidenced(config))
    return (*lines, *_from_device(report, config))


def check_waivers(lines: tuple[Line, ...], waivers: tuple[Waiver, ...]) -> None:
    """Return if every waiver names a line of the table and a reason. Raises `RefusedError` (`train.waiver`)."""
    metrics = [line.metric for line in lines]
    for waiver in waivers:
        if waiver.metric not in metrics or not waiver.reason.strip():
            raise RefusedError(
                "train.waiver",
                f"The waiver of {waiver.metric!r} names no line of the gate, or gives no reason.",
                hint=f"Lines are: {', '.join(metrics)}. Write --waive 'METRIC=REASON'.",
            )


def released(lines: tuple[Line, ...], waivers: tuple[Waiver, ...] = ()) -> None:
    """Return if every line passed or is waived. Raises `RefusedError` (`train.gate`, kind `gate`) otherwise."""
    waived = {waiver.metric for waiver in waivers if waiver.reason.strip()}
    open_lines = [line for line in lines if line.verdict != "passed" and line.metric not in waived]
    if open_lines:
        told = "; ".join(f"{line.metric} {line.verdict} ({line.found}, limit {line.limit})" for line in open_lines)
        raise RefusedError(
            "train.gate",
            f"The release does not pass the gate: {told}.",
            hint="Improve it, attach a device report, or waive a metric with a reason, which the card will show.",
            kind="gate",
        )


def _verdict(good: bool) -> Verdict:
    return "passed" if good else "failed"


def _parity(measured: Measured, config: GateConfig) -> list[Line]:
    near = measured.feature_deviation <= config.feature_deviation
    same = measured.agreement >= config.agreement
    found = f"{measured.feature_deviation:.2e}, {100 * measured.agreement:.2f} %"
    if measured.held_by != "QAT" and measured.agreement_with_qat is not None:
        found += f"; {100 * measured.agreement_with_qat:.2f} % of the labels of QAT"
    return [
        Line(
            "parity",
            f"features within {config.feature_deviation:g} of {measured.held_by}, "
            f"{100 * config.agreement:g} % equal labels",
            found,
            _verdict(near and same),
        )
    ]


def _memory(measured: Measured, config: GateConfig, report: DeviceReport | None) -> Line:
    limit = f"< {config.memory_bytes / 1e6:g} MB"
    found = report.memory_bytes if report else measured.memory_bytes
    where = report.device if report else "this machine's runtime"
    if found is None:
        return Line("memory", limit, "not measured", "not evidenced")
    return Line("memory", limit, f"{found / 1e6:.1f} MB on {where}", _verdict(found < config.memory_bytes))


def _unevidenced(config: GateConfig) -> tuple[Line, Line]:
    return (
        Line("latency", f"< {config.latency_ms:g} ms", "no device report", "not evidenced"),
        Line("cpu", f"< {config.cpu_percent:g} %", "no device report", "not evidenced"),
    )


def _from_device(report: DeviceReport, config: GateConfig) -> tuple[Line, Line]:
    fast, light = report.latency_ms < config.latency_ms, report.cpu_percent < config.cpu_percent
    return (
        Line("latency", f"< {config.latency_ms:g} ms", f"{report.latency_ms:g} ms on {report.device}", _verdict(fast)),
        Line("cpu", f"< {config.cpu_percent:g} %", f"{report.cpu_percent:g} % on {report.device}", _verdict(light)),
    )

"""Deciding the switches from a phone's result.

For every switch, each setting predicts readings under what has been decided before; the setting whose prediction is
near the reading, and clearly nearer than the next, is the answer.  A switch that nothing decides keeps its default and
says why: a result may well show that none of the settings is what the device does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headway.contract.errors import RefusedError
from headway.coreml.calibration.experiments import Experiment, experiments, kit_digest
from headway.coreml.calibration.simulate import simulate
from headway.coreml.update.semantics import CHOICES, Semantics

__all__ = ["Decision", "decide", "read_result"]

TOLERANCE = 2e-4
"""Largest difference of a weight that float32 arithmetic in another order may explain."""

_MAX_BYTES = 4 * 1024 * 1024
_MARGIN = 5.0


@dataclass(frozen=True)
class Decision:
    """What a result says about one switch: the *setting* (None: undecided) and why, with the nearest distances."""

    switch: str
    setting: str | bool | None
    reason: str


def read_result(path: Path) -> dict[str, Any]:
    """Return the readings by experiment in a phone's result file.

    Raises:
        RefusedError: code ``not_found``, or ``calibration`` for a file that is none or comes from another kit.
    """
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_MAX_BYTES).decode("utf-8"))
    except FileNotFoundError as error:
        raise RefusedError(
            "not_found", f"There is no file {path.name!r}.", hint="Give a phone's result.", kind="not_found"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _bad(f"{path.name!r} cannot be read as JSON.") from error
    if not isinstance(content, dict) or not isinstance(content.get("experiments"), dict):
        raise _bad(f"{path.name!r} holds no experiments.")
    if content.get("kit") != kit_digest():
        raise _bad(f"{path.name!r} comes from another version of the kit.")
    return dict(content["experiments"])


def decide(readings: Mapping[str, Any]) -> tuple[Semantics, tuple[Decision, ...]]:
    """Return the semantics that *readings* show, and the decision on every switch."""
    semantics = Semantics()
    decisions: list[Decision] = []
    for switch, settings in CHOICES.items():
        involved = [one for one in experiments() if switch in one.switches]
        if any(one.name not in readings for one in involved):
            decisions.append(Decision(switch, None, "the result lacks its experiment"))
            continue
        decision = _decide(switch, settings, involved, readings, semantics)
        decisions.append(decision)
        if decision.setting is not None:
            semantics = _with(semantics, switch, decision.setting)
    return semantics, tuple(decisions)


def _with(semantics: Semantics, switch: str, setting: str | bool) -> Semantics:
    changes: dict[str, Any] = {switch: setting}
    return replace(semantics, **changes)


def _decide(
    switch: str,
    settings: tuple[str | bool, ...],
    involved: list[Experiment],
    readings: Mapping[str, Any],
    semantics: Semantics,
) -> Decision:
    distances: list[tuple[float, str | bool]] = []
    for setting in settings:
        candidate = _with(semantics, switch, setting)
        worst = max(_distance(simulate(one, candidate), readings[one.name]) for one in involved)
        distances.append((worst, setting))
    distances.sort(key=lambda pair: pair[0])
    (nearest, setting), (second, other) = distances[0], distances[1]
    if nearest > TOLERANCE:
        return Decision(switch, None, f"no setting explains the reading: {setting} is off by {nearest:.2g}")
    if second < _MARGIN * max(nearest, TOLERANCE):
        return Decision(switch, None, f"{setting} and {other} are both near ({nearest:.2g}, {second:.2g})")
    return Decision(switch, setting, f"off by {nearest:.2g}; the next, {other}, by {second:.2g}")


def _distance(expected: Mapping[str, Any], found: Any) -> float:
    """Return the largest difference of two readings; infinite when they are not comparable."""
    if not isinstance(found, dict):
        return math.inf
    if "completed" in expected:
        return 0.0 if found.get("completed") is expected["completed"] else math.inf
    weights = found.get("weights")
    if "weights" not in expected or not isinstance(weights, dict):
        return math.inf
    worst = 0.0
    for key, values in expected["weights"].items():
        numbers = weights.get(key)
        if not isinstance(numbers, list) or len(numbers) != len(values):
            return math.inf
        for one, other in zip(values, numbers, strict=True):
            if isinstance(other, bool) or not isinstance(other, int | float) or not math.isfinite(other):
                return math.inf
            worst = max(worst, abs(one - other))
    return worst


def _bad(message: str) -> RefusedError:
    return RefusedError(
        "calibration", message, hint="Make a kit with `headway coreml calibrate make`, run it on a phone, read that."
    )

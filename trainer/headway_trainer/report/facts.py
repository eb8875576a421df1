"""A run folder as one value: its configuration and the facts of the steps that are done.

Tolerant on purpose: a run that is still going on, or was made by an older trainer, has a report of what it has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.contract.errors import RefusedError
from headway_trainer.order import CONFIG_FILE, ORDER

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Curve:
    """The smoothed loss of a step as (optimiser step, loss), and the accuracy on dev after each round, if scored."""

    step: str
    loss: tuple[tuple[int, float], ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run: the folder's name, its configuration with digest, the facts of each step done, in order.

    `ablations` are the tables of its variants, one for each way to answer that was asked for.
    """

    name: str
    digest: str
    config: Json
    steps: Mapping[str, Json]
    ablations: tuple[Json, ...] = ()

    @property
    def title(self) -> str:
        """Base and version, as in a release."""
        return f"{self.config.get('base_id', self.name)} {self.config.get('version', '')}".strip()

    @property
    def curves(self) -> tuple[Curve, ...]:
        """The curves of the steps that train."""
        found = []
        for step, facts in self.steps.items():
            points = tuple((int(at), float(loss)) for at, loss in facts.get("curve", ()))
            if points:
                found.append(Curve(step, points, tuple(float(score) for score in facts.get("scores", ()))))
        return tuple(found)

    @property
    def seconds(self) -> float:
        """Time of all steps that are done."""
        return sum(float(facts.get("seconds", 0)) for facts in self.steps.values())


def read_run(folder: Path) -> RunFacts:
    """Read a run folder. Raises `RefusedError` (`train.report`) if it is none, or a file in it is damaged."""
    mark = folder / CONFIG_FILE
    if not mark.exists():
        raise RefusedError(
            "train.report",
            f"{folder.name or folder} is no run folder: it has no {CONFIG_FILE}.",
            hint="Give the folder that was given to `headway train … --run`.",
        )
    held = _read(mark)
    known = {path.parent.name: path for path in folder.glob("*/facts.json")}
    names = [step for step in ORDER if step in known] + sorted(set(known) - set(ORDER))
    steps = {name: _read(known[name]) for name in names}
    tables = tuple(_read(path) for path in sorted(folder.glob("ablation/*.json")))
    return RunFacts(folder.resolve().name, str(held.get("digest", "")), held.get("config", {}), steps, tables)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if not isinstance(found, dict):
        raise _damaged(path)
    return found


def _damaged(path: Path) -> RefusedError:
    return RefusedError(
        "train.report",
        f"{path.parent.name}/{path.name} is damaged.",
        hint=f"Have that step run again: --resume --again {path.parent.name}.",
    )

"""Writing the kit for a phone: heads, samples, expected readings, and the program that runs them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from headway.coreml.calibration.experiments import Experiment, experiments, kit_digest
from headway.coreml.calibration.simulate import simulate
from headway.coreml.update.errors import io_error
from headway.coreml.update.semantics import CHOICES, Semantics

__all__ = ["make_kit"]

_PROGRAM = "Calibrate.swift"


def make_kit(folder: Path) -> None:
    """Write the kit into *folder*, which is made if need be.

    ``experiments.json`` and the heads are what the program on the phone reads; ``expected.json`` holds the readings
    that each setting of each switch predicts (the others at their defaults), for a person to compare.

    Raises:
        MLModelError: ``io``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        described = [_described(one) for one in experiments()]
        for one in experiments():
            (folder / f"{one.name}.mlmodel").write_bytes(one.spec)
        _write_json(folder / "experiments.json", {"schema": 1, "kit": kit_digest(), "experiments": described})
        _write_json(folder / "expected.json", {"schema": 1, "kit": kit_digest(), "expected": _expected()})
        program = resources.files("headway.coreml.calibration").joinpath(_PROGRAM).read_text(encoding="utf-8")
        (folder / _PROGRAM).write_text(program, encoding="utf-8")
    except OSError as error:
        raise io_error(f"The kit cannot be written: {error.strerror}.", "Check the folder.") from error


def _described(one: Experiment) -> dict[str, Any]:
    return {
        "name": one.name,
        "model": f"{one.name}.mlmodel",
        "samples": {name: [row.ravel().tolist() for row in values] for name, values in one.data.items()},
        "integers": [name for name, values in one.data.items() if values.dtype.kind == "i"],
        "registers_epoch_end": one.registers_epoch_end,
        "rates": {str(epoch): rate for epoch, rate in one.rates.items()},
        "cancels": one.cancels,
        "keys": ["dense_0"],
    }


def _expected() -> dict[str, dict[str, dict[str, Any]]]:
    return {
        switch: {
            str(setting).lower(): {
                one.name: simulate(one, Semantics.from_json({switch: setting}))
                for one in experiments()
                if switch in one.switches
            }
            for setting in settings
        }
        for switch, settings in CHOICES.items()
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="ascii")

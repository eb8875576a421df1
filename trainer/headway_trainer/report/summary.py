"""The run's own `facts.json` and its curves: everything a run found, in one file a program can read.

Written after every step from the facts of the steps, so equal facts give equal bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

from headway_trainer.files import make_folder, write_text
from headway_trainer.report.curves import curve_svg
from headway_trainer.report.facts import read_run

SCHEMA = 1
"""Version of the run's `facts.json`."""


def write_summary(folder: Path) -> None:
    """Write `facts.json` and `curves/<step>.svg` into a run folder. Raises `RefusedError` (`train.disk`)."""
    run = read_run(folder)
    document = {
        "schema": SCHEMA,
        "base_id": run.config.get("base_id"),
        "version": run.config.get("version"),
        "config_digest": run.digest,
        "config": run.config,
        "seconds": round(run.seconds, 1),
        "steps": run.steps,
    }
    write_text(folder / "facts.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    drawings = make_folder(folder / "curves")
    for curve in run.curves:
        write_text(drawings / f"{curve.step}.svg", curve_svg(curve).render_alone())

"""What fewer bits cost a trained student: the table of the step `compress`, made from a copy of a run folder.

    python benchmarks/compression.py RUN CONFIG.toml --teacher TEACHER [--corpora FOLDER] [--data FOLDER]

The run must have come as far as `fit-heads`. It is copied, so that nothing in it changes; the table goes to
`benchmarks/results/compression.md`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from headway_trainer.compress import CompressConfig
from headway_trainer.config import read_config
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

RESULT = Path(__file__).parent / "results/compression.md"
NEEDED = ("trim", "prepare", "teacher", "distil-task", "qat", "fit-heads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    config = replace(read_config(given.config), compress=CompressConfig(plans=("8", "6", "4", "mixed")))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        for step in NEEDED:
            if (given.run / step).exists():
                shutil.copytree(given.run / step, folder / step)
        places = Places(given.config.resolve().parent, folder, given.teacher, corpora=given.corpora, data=given.data)
        facts = run_steps(Run(config, places), ["compress"])["compress"]
    RESULT.write_text(table(facts), "utf-8")
    print(RESULT.read_text("utf-8"))


def table(facts: dict[str, Any]) -> str:
    """Return the page: a row per plan and set."""
    lines = [
        "# What fewer bits cost",
        "",
        "One student, exported at each width and run by `headway.coreml`, its head refitted on what comes out.",
        "8 bits are the grid that training saw; 6 and 4 are palettes made afterwards. Made by `compression.py`.",
        "",
        "| plan | bits a weight | bytes | set | dev | test [95 %] | ms a text |",
        "|---|---|---|---|---|---|---|",
    ]
    for plan, found in facts["plans"].items():
        for name, scores in found.get("sets", {"": found}).items():
            test = scores["test"]
            low, high = (100 * value for value in test["wilson95"])
            lines.append(
                f"| {plan} | {found['bits_per_weight']} | {found['size_bytes']:,} | {name} "
                f"| {100 * scores['dev']['accuracy']:.2f} | {100 * test['accuracy']:.2f} [{low:.2f}, {high:.2f}] "
                f"| {found['executor_ms_per_text']} |"
            )
    harms = sorted(facts["harm"].items(), key=lambda entry: -entry[1]["4"])
    lines += [
        "",
        "The matrices whose palette moves the features most, mean square in units of the features' variance:",
        "",
    ]
    lines += ["| matrix | 6 bit | 4 bit |", "|---|---|---|"]
    lines += [f"| `{name}` | {harm['6']:.2g} | {harm['4']:.2g} |" for name, harm in harms[:10]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

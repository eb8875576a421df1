"""What fewer bits and float16 cost a trained student: the tables of `compress` and `half`, from a copy of a run folder.

    python benchmarks/compression.py RUN CONFIG.toml --teacher TEACHER [--corpora FOLDER] [--data FOLDER] [--to PAGE]

The run must have come as far as `fit-heads`. It is copied, so that nothing in it changes; the page goes to
`benchmarks/results/compression.md`. Everything on it is written here, but for what stands under `## Remarks`: that is
a person's, and a page that is written again keeps it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from headway_trainer.compress import CompressConfig
from headway_trainer.config import RunConfig, read_config
from headway_trainer.half import HalfConfig
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

RESULT = Path(__file__).parent / "results/compression.md"
REMARKS = "## Remarks\n"
NEEDED = ("trim", "prepare", "teacher", "distil-task", "qat", "lexicon", "fit-heads")


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--to", type=Path, default=RESULT)
    parser.add_argument("--rows", type=int, default=64, help="dev rows of each set for sensitivity and float16")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    config = replace(
        read_config(given.config),
        compress=CompressConfig(plans=("8", "6", "4", "mixed"), rows=given.rows),
        half=HalfConfig(rows=given.rows),
        threads=given.threads,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        for step in NEEDED:
            if (given.run / step).exists():
                shutil.copytree(given.run / step, folder / step)
        places = Places(given.config.resolve().parent, folder, given.teacher, corpora=given.corpora, data=given.data)
        run = Run(config, places)
        facts = {"prepare": run.needed("prepare"), **run_steps(run, ["compress", "half"])}
    given.to.write_text(page(config, facts) + remarks(given.to), "utf-8")
    print(given.to.read_text("utf-8"))


def remarks(path: Path) -> str:
    """Return what a person wrote under the last page."""
    text = path.read_text("utf-8") if path.exists() else ""
    return f"\n{REMARKS}{text.split(REMARKS, 1)[1]}" if REMARKS in text else ""


def page(config: RunConfig, facts: dict[str, Any]) -> str:
    """Return the measured part of the page."""
    compress, half = facts["compress"], facts["half"]
    lines = [
        "# What fewer bits and float16 cost",
        "",
        "One base, exported at each width and run by `headway.coreml`, its head refitted on what comes out.",
        "8 bits are the grid that training saw; 6 and 4 are palettes made afterwards. Made by `compression.py`.",
        "",
        *_plans(compress),
        "",
        "The matrices whose palette moves the features most, mean square in units of the features' variance:",
        "",
        *_matrices(compress),
        "",
        "## float16",
        "",
        *_half(half),
        "",
        "## What was run",
        "",
        *_told(config, facts),
    ]
    return "\n".join(lines) + "\n"


def _plans(facts: dict[str, Any]) -> Iterator[str]:
    yield "| plan | bits a weight | bytes | set | dev | test [95 %] | ms a text |"
    yield "|---|---|---|---|---|---|---|"
    for plan, found in facts["plans"].items():
        for name, scores in found.get("sets", {"": found}).items():
            test = scores["test"]
            low, high = (100 * value for value in test["wilson95"])
            yield (
                f"| {plan} | {found['bits_per_weight']} | {found['size_bytes']:,} | {name} "
                f"| {100 * scores['dev']['accuracy']:.2f} | {100 * test['accuracy']:.2f} [{low:.2f}, {high:.2f}] "
                f"| {found['executor_ms_per_text']} |"
            )


def _matrices(facts: dict[str, Any]) -> Iterator[str]:
    yield "| matrix | 6 bit | 4 bit |"
    yield "|---|---|---|"
    harms = sorted(facts["harm"].items(), key=lambda entry: -entry[1]["4"])
    yield from (f"| `{name}` | {harm['6']:.2g} | {harm['4']:.2g} |" for name, harm in harms[:10])


def _half(facts: dict[str, Any]) -> Iterator[str]:
    verdict, limit = "is safe" if facts["safe"] else "is **not safe**", f"{facts['limit']:,.0f}"
    yield f"On {facts['rows']} dev rows the base {verdict} by a margin of {facts['margin']:g} times below {limit}:"
    yield f"{facts['rows_not_finite']} rows give no number, {len(facts['below_margin'])} of {facts['operations']}"
    yield "operations come nearer than that. Features move by at most"
    deviation = facts["feature_deviation"]
    moved = "-" if deviation is None else f"{deviation:.3g}"
    yield f"{moved} (the largest is {facts['largest_feature']:.3g}); {facts['size_bytes']:,} bytes."
    yield ""
    yield "| operation | kind | largest value | room |"
    yield "|---|---|---|---|"
    for one in facts["largest"][:6]:
        yield f"| `{one['operation']}` | {one['kind']} | {one['largest']:,.6g} | {one['room']} |"


def _told(config: RunConfig, facts: dict[str, Any]) -> Iterator[str]:
    student, compress, prepared = config.student, facts["compress"], facts["prepare"]
    carried = f"a lexicon of {config.lexicon.buckets:,} buckets" if compress["lexicon"] else "no lexicon"
    named = f"Base `{config.base_id}` version {config.version}"
    yield f"{named}: {student.layers} layers, hidden {student.hidden}, {carried}."
    for name, found in prepared.get("sets", {"": prepared}).items():
        rows = " / ".join(f"{split['rows']:,}" for split in found["splits"].values())
        yield f"Texts{f' of {name}' if name else ''}, train / dev / test: {rows}."
    yield (
        f"Head `{compress['head']}`, fitted on train alone; sensitivity on {config.compress.rows} dev rows of each "
        f"set; mixed plan at {config.compress.mixed_share:g} of the bytes."
    )
    made = compress["made_with"]
    packages = ", ".join(f"{name} {made[name]}" for name in ("torch", "coremltools", "onnxruntime"))
    yield f"Milliseconds of {config.threads} thread(s) on a machine of {os.cpu_count()} cores, the plans taking turns."
    yield f"Made with {packages}."


if __name__ == "__main__":
    main()

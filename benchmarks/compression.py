"""What fewer bits and float16 cost a trained student: a release of each width, from a copy of a run folder.

    python benchmarks/compression.py RUN CONFIG.toml --teacher TEACHER [--corpora FOLDER] [--data FOLDER] [--to PAGE]

The run must have come as far as `qat` and `lexicon`. What it did is copied, so that nothing in it changes; with
`--work` the copies stay, and the same command goes on where it stopped. The page goes to
`benchmarks/results/compression.md`. Everything on it is written here, but for what stands under `## Remarks`: that is a
person's, and a page that is written again keeps it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from headway_trainer.compress import CompressConfig, Plan
from headway_trainer.config import RunConfig, read_config
from headway_trainer.half import HalfConfig
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

RESULT = Path(__file__).parent / "results/compression.md"
REMARKS = "## Remarks\n"
PLANS: tuple[Plan, ...] = get_args(Plan)
NEEDED = ("trim", "prepare", "teacher", "second-opinion", "distil-general", "distil-task", "qat", "lexicon")
RELEASING = ("export-base", "fit-heads", "evaluate", "gate")

Facts = dict[str, dict[str, Any]]


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--to", type=Path, default=RESULT)
    parser.add_argument("--work", type=Path, help="a folder for the releases, which stay there")
    parser.add_argument("--rows", type=int, default=64, help="dev rows of each set for sensitivity and float16")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    config = read_config(given.config)
    with tempfile.TemporaryDirectory() as scratch:
        plans = {plan: released(given, config, plan, given.work or Path(scratch)) for plan in PLANS}
    given.to.write_text(page(config, plans, given.rows, given.threads) + remarks(given.to), "utf-8")
    print(given.to.read_text("utf-8"))


def released(given: argparse.Namespace, config: RunConfig, plan: Plan, work: Path) -> Facts:
    """Return the facts of a release at this width; the one of 8 bits measures float16 too."""
    folder = work / plan
    for step in NEEDED:
        if (given.run / step).exists() and not (folder / step).exists():
            shutil.copytree(given.run / step, folder / step)
    compress = CompressConfig(release=plan, rows=given.rows)
    config = replace(config, compress=compress, half=HalfConfig(rows=given.rows if plan == "8" else 0))
    home = given.config.resolve().parent
    places = Places(home, folder, given.teacher, corpora=given.corpora, data=given.data, threads=given.threads)
    run = Run(config, places)
    return {"prepare": run.needed("prepare"), **run_steps(run, [*RELEASING, *(["half"] if plan == "8" else [])])}


def remarks(path: Path) -> str:
    """Return what a person wrote under the last page."""
    text = path.read_text("utf-8") if path.exists() else ""
    return f"\n{REMARKS}{text.split(REMARKS, 1)[1]}" if REMARKS in text else ""


def page(config: RunConfig, plans: dict[Plan, Facts], rows: int, threads: int) -> str:
    """Return the measured part of the page."""
    lines = [
        "# What fewer bits and float16 cost",
        "",
        "One base, released at each width: exported, run by `headway.coreml`, its heads fitted on what comes out.",
        "8 bits are the grid that training saw; 6 and 4 are palettes made afterwards. Made by `compression.py`.",
        "",
        *_plans(plans),
        "",
        "Dev is told before dev joins train for the released head, test by the released head. Parity is the largest",
        "deviation of a dev feature from the PyTorch student that holds the package's weights, and the share of equal",
        "labels by its classifier; the gate asks for 0.001 and all. Beside it: the labels equal to those of training.",
        "",
        "The matrices whose palette moves the features most, mean square in units of the features' variance:",
        "",
        *_matrices(plans["mixed"]["export-base"]["harm"]),
        "",
        "## float16",
        "",
        *_half(plans["8"]["half"]),
        "",
        "## What was run",
        "",
        *_told(config, plans["8"], rows, threads),
    ]
    return "\n".join(lines) + "\n"


def _plans(plans: dict[Plan, Facts]) -> Iterator[str]:
    yield "| plan | bits a weight | bytes | head | dev | test [95 %] | parity | labels of training | ms a text |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for plan, facts in plans.items():
        exported, found = facts["export-base"], facts["evaluate"]
        whole = {"deviation": exported["feature_deviation_from_qat"], "agreement": exported["label_agreement_with_qat"]}
        near = exported.get("parity_with_its_palettes", whole)
        parity = f"{near['deviation']:.1e}, {100 * near['agreement']:.2f} %"
        for name, scores in found["heads"].items():
            test = scores["test"]
            low, high = (100 * value for value in test["wilson95"])
            yield (
                f"| {plan} | {exported.get('bits_per_weight', 8.0)} | {exported['size_bytes']:,} | `{name}` "
                f"| {100 * scores['dev']['accuracy']:.2f} | {100 * test['accuracy']:.2f} [{low:.2f}, {high:.2f}] "
                f"| {parity} | {100 * whole['agreement']:.2f} % | {found['speed']['executor_ms_per_text']:.2f} |"
            )


def _matrices(harms: dict[str, dict[str, float]]) -> Iterator[str]:
    yield "| matrix | 6 bit | 4 bit |"
    yield "|---|---|---|"
    worst = sorted(harms.items(), key=lambda entry: -entry[1]["4"])
    yield from (f"| `{name}` | {harm['6']:.2g} | {harm['4']:.2g} |" for name, harm in worst[:10])


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


def _told(config: RunConfig, facts: Facts, rows: int, threads: int) -> Iterator[str]:
    student, prepared = config.student, facts["prepare"]
    carried = f"a lexicon of {config.lexicon.buckets:,} buckets" if config.lexicon.buckets else "no lexicon"
    named = f"Base `{config.base_id}` version {config.version}"
    yield f"{named}: {student.layers} layers, hidden {student.hidden}, {carried}."
    for name, found in prepared.get("sets", {"": prepared}).items():
        counts = " / ".join(f"{split['rows']:,}" for split in found["splits"].values())
        yield f"Texts{f' of {name}' if name else ''}, train / dev / test: {counts}."
    share = config.compress.mixed_share
    yield f"Sensitivity on {rows} dev rows of each set; mixed plan at {share:g} of the bytes."
    made = facts["export-base"]["made_with"]
    packages = ", ".join(f"{name} {made[name]}" for name in ("torch", "coremltools", "onnxruntime"))
    yield f"Milliseconds of {threads} thread(s) on a machine of {os.cpu_count()} cores, one release after the other."
    yield f"Made with {packages}."


if __name__ == "__main__":
    main()

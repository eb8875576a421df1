"""Features of a run's training texts: by its base alone, against shorter packages of the same weights too, in turns.

    python benchmarks/shorter.py CONFIG.toml RUN --teacher FOLDER [--data FOLDER] [--texts 1024] [--rounds 5] [--write]

The texts are drawn by chance from the rows that the run's heads are fitted on. What the shorter packages cost to export
is told beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from finished import finished_run

from headway.coreml.features import Features
from headway_trainer.data.examples import drawn
from headway_trainer.export.base import export_base
from headway_trainer.featured import ALONE, featured
from headway_trainer.learning import qat
from headway_trainer.run import Run
from headway_trainer.shorter import shorter
from headway_trainer.steps import lexicon as lexicon_step
from headway_trainer.steps.train import load_pair

RESULTS = Path(__file__).parent / "results" / "shorter.md"


def main() -> None:
    """Measure both ways in turns and print, or write, the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    chosen, run = finished_run(parser)
    began = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, ONNX Runtime {ort.__version__}"
    texts = sample(run, chosen.texts)
    student, _ = load_pair(run, "qat")
    qat.detach(student.cpu())
    words = lexicon_step.carried(run)
    whole = Features(run.folder("export-base") / "base.mlpackage", run.tokenizer, options=ALONE)
    lengths = [whole.length // 4, whole.length // 2]
    started = time.perf_counter()
    with shorter(
        lambda length, to: export_base(student, to, words, length=length), lengths, run.tokenizer, chosen.run
    ) as parts:
        exported = time.perf_counter() - started
        ways: list[Callable[[], np.ndarray]] = [
            lambda: featured(whole, {"": texts})[""],
            lambda: featured(whole, {"": texts}, 0, parts)[""],
        ]
        first, second = (way() for way in ways)
        taken = [[spent(way) for way in ways] for _ in range(chosen.rounds)]
    alone, together = (len(texts) / statistics.median(of[place] for of in taken) for place in (0, 1))
    ratio = statistics.median(of[0] / of[1] for of in taken)
    apart = float(np.abs(first - second).max())
    told = (
        f"`python benchmarks/shorter.py CONFIG RUN`: {len(texts)} texts drawn from the rows that heads are fitted on, "
        f"median of {chosen.rounds} rounds in turns; {began}. Two packages more took {exported:.0f} s to export."
    )
    cells = [run.config.base_id, str(whole.length), f"{alone:.0f}", f"{together:.0f}", f"{ratio:.2f}", f"{apart:.1e}"]
    head = "| base | tokens | base alone, texts/s | with shorter packages, texts/s | times as fast | features apart |"
    rule, row = "|---|" + "---:|" * 5, f"| {' | '.join(cells)} |"
    table = "\n".join(["# Features with packages for shorter texts", "", head, rule, row, "", told, ""])
    if chosen.write:
        RESULTS.write_text(table, "utf-8")
    print(table)


def sample(run: Run, count: int) -> list[str]:
    """Draw texts from the rows that heads are fitted on."""
    texts = [of.splits["train"].texts[row] for of in run.sets for row in run.kept_rows(of, "train")]
    return [texts[row] for row in drawn(len(texts), count, run.config.seed)]


def spent(way: Callable[[], np.ndarray]) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

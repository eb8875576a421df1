"""Features of many texts through a base: batches shared out among threads against operations shared out, in turns.

    python benchmarks/features.py [--base FOLDER …] [--texts 512] [--rounds 5] [--write]

The same texts, the same batches of 32, one after the other in each round; CPU seconds beside the time, because another
process on the machine slows either.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.mlprogram import ProgramOptions
from headway_trainer.featured import ALONE, featured

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "features.md"


def main() -> None:
    """Measure every base both ways in turns and print, or write, the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, nargs="+", default=[ROOT / "ios_fixtures/models/base"])
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    cores = os.cpu_count() or 1
    began = f"{cores} cores, load {os.getloadavg()[0]:.1f} at the start, ONNX Runtime {ort.__version__}"
    texts = [f"第{number}个用户问这部电影的导演和主演分别是谁" for number in range(chosen.texts)]
    told = (
        f"`python benchmarks/features.py`: {chosen.texts} texts in batches of 32, median of {chosen.rounds} rounds in "
        f"turns; {began}. Operations: one batch at a time, each operation on {cores} threads. Batches: {cores} at a "
        "time, each on one thread. CPU is milliseconds a text."
    )
    rows = [row(base, texts, chosen.rounds, cores) for base in chosen.base]
    head = "| base | tokens | operations, texts/s | CPU | batches, texts/s | CPU | times as fast | features apart |"
    table = "\n".join(["# Features of many texts", "", head, "|---|" + "---:|" * 7, *rows, "", told, ""])
    if chosen.write:
        RESULTS.write_text(table, "utf-8")
    print(table)


def row(base: Path, texts: list[str], rounds: int, cores: int) -> str:
    """Measure one base; a row of the table."""
    tokenizer = Tokenizer.from_vocab(base / "vocab.txt")
    shared, alone = (
        Features(base / "base.mlpackage", tokenizer, options=options)
        for options in (ProgramOptions(threads=cores), ALONE)
    )
    ways: list[Callable[[], np.ndarray]] = [
        lambda: shared.of(texts),
        lambda: featured(alone, {"all": texts}, cores)["all"],
    ]
    first, second = (way() for way in ways)
    taken = [[spent(way) for way in ways] for _ in range(rounds)]
    cells = [json.loads((base / "card.json").read_text("utf-8"))["base_id"], str(shared.length)]
    for place in range(len(ways)):
        seconds, processor = (statistics.median(of[place][kind] for of in taken) for kind in (0, 1))
        cells += [f"{len(texts) / seconds:.0f}", f"{1000 * processor / len(texts):.1f}"]
    ratio = statistics.median(of[0][0] / of[1][0] for of in taken)
    cells += [f"{ratio:.2f}", f"{float(np.abs(first - second).max()):.1e}"]
    return f"| {' | '.join(cells)} |"


def spent(way: Callable[[], np.ndarray]) -> tuple[float, float]:
    """Seconds and CPU seconds that it took."""
    began = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - began[0], time.process_time() - began[1]


if __name__ == "__main__":
    main()

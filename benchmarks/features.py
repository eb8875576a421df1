"""Features of many texts through a base: batches shared out among threads against operations shared out, in turns.

    python benchmarks/features.py [--base ios_fixtures/models/base] [--texts 1024] [--rounds 5] [--write]

The same texts, the same batches of 32, one after the other in each round; CPU seconds beside the time, because another
process on the machine slows either.
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

from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.mlprogram import ProgramOptions
from headway_trainer.featured import ALONE, featured

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "features.md"


def main() -> None:
    """Measure both ways in turns and print, or write, the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, default=ROOT / "ios_fixtures/models/base")
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    cores = os.cpu_count() or 1
    tokenizer = Tokenizer.from_vocab(chosen.base / "vocab.txt")
    shared, alone = (
        Features(chosen.base / "base.mlpackage", tokenizer, options=options)
        for options in (ProgramOptions(threads=cores), ALONE)
    )
    texts = [f"第{number}个用户问这部电影的导演和主演分别是谁" for number in range(chosen.texts)]
    ways: dict[str, Callable[[], np.ndarray]] = {
        f"one batch at a time, its operations on {cores} threads": lambda: shared.of(texts),
        f"{cores} batches at a time, each on one thread": lambda: featured(alone, {"all": texts}, cores)["all"],
    }
    first, second = (way() for way in ways.values())
    apart = float(np.abs(first - second).max())
    rounds = [[spent(way) for way in ways.values()] for _ in range(chosen.rounds)]
    rows = []
    for place, name in enumerate(ways):
        seconds, processor = (statistics.median(of[place][kind] for of in rounds) for kind in (0, 1))
        rows.append(f"| {name} | {chosen.texts / seconds:.0f} | {1000 * processor / chosen.texts:.1f} |")
    ratio = statistics.median(of[0][0] / of[1][0] for of in rounds)
    table = "\n".join(
        [
            "# Features of many texts",
            "",
            "| how | texts a second | CPU ms a text |",
            "|---|---:|---:|",
            *rows,
            "",
            f"The second way is {ratio:.2f} times as fast; greatest difference of a feature {apart:.1e}.",
            "",
            f"`python benchmarks/features.py`: {chosen.base.name}, {shared.length} tokens, {chosen.texts} texts in "
            f"batches of 32, median of {chosen.rounds} rounds in turns; {cores} cores, load {os.getloadavg()[0]:.1f}, "
            f"ONNX Runtime {ort.__version__}.",
            "",
        ]
    )
    if chosen.write:
        RESULTS.write_text(table, "utf-8")
    print(table)


def spent(way: Callable[[], np.ndarray]) -> tuple[float, float]:
    """Seconds and CPU seconds that it took."""
    began = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - began[0], time.process_time() - began[1]


if __name__ == "__main__":
    main()

"""The page of what each part of a recipe brings, from run folders in which `headway train ablate` left its tables.

    python benchmarks/ablation.py RUN [RUN…] [--to PAGE]

Trains nothing. The page goes to `benchmarks/results/ablation.md`. Everything on it is written here, but for what stands
under `## Remarks`: that is a person's, and a page that is written again keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headway_trainer.ablation.table import markdown

RESULT = Path(__file__).parent / "results/ablation.md"
REMARKS = "## Remarks\n"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, default=RESULT)
    given = parser.parse_args()
    lines = [line for run in given.runs for line in of_run(run)]
    given.to.write_text("\n".join([*head(), *lines, ""]) + remarks(given.to), "utf-8")
    print(given.to.read_text("utf-8"))


def head() -> Iterator[str]:
    """Say what the page is."""
    yield "# What each part of the recipe brings\n"
    yield "Made by `headway train ablate CONFIG.toml --run RUN …`, written by `ablation.py`. A variant is the run with"
    yield "the keys named changed, and one seed unless more are told. Seconds are those of all steps together, shared"
    yield f"ones as the run itself took them, on a machine of {os.cpu_count()} cores that did other work too.\n"


def of_run(run: Path) -> Iterator[str]:
    """Tell one run's recipe and its tables."""
    config = json.loads((run / "config.json").read_text("utf-8"))["config"]
    facts = {path.parent.name: json.loads(path.read_text("utf-8")) for path in run.glob("*/facts.json")}
    yield f"## {recipe(config)}\n"
    yield f"{rows(facts['prepare'])}.\n"
    for path in sorted(run.glob("ablation/*.json")):
        table = json.loads(path.read_text("utf-8"))
        yield markdown(table)
        made = [f"{name} {version}" for name, version in table["made_with"].items() if name in ("torch", "onnxruntime")]
        if made:
            yield f"Made with {', '.join(made)}.\n"


def recipe(config: dict[str, Any]) -> str:
    """Return the lengths of a run's steps in a line."""
    general, task, qat, pieces = (config[name] for name in ("general", "task", "qat", "pieces"))
    return (
        f"{config['base_id']}: {config['student']['layers']} layers, general {general['steps']} steps, "
        f"task {task['epochs']} epochs, int8 training {qat['epochs']}, {pieces['per_text']} pieces a text"
    )


def rows(prepared: dict[str, Any]) -> str:
    """Return the texts of the run's splits."""
    sets = prepared.get("sets") or {"": prepared}
    counts = {split: sum(of["splits"][split]["rows"] for of in sets.values()) for split in ("train", "dev", "test")}
    return f"Texts, train / dev / test: {' / '.join(f'{count:,}' for count in counts.values())}"


def remarks(page: Path) -> str:
    """Return what a person wrote at the end of the page, as it stands."""
    held = page.read_text("utf-8") if page.exists() else ""
    _, found, after = held.partition(REMARKS)
    return f"{found}{after}"


if __name__ == "__main__":
    main()

"""What the benchmarks of a finished run ask for on their command line: its configuration, its folder, where it read."""

from __future__ import annotations

import argparse
from pathlib import Path

from headway_trainer.config import read_config
from headway_trainer.run import Places, Run


def finished_run(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Run]:
    """Add `CONFIG.toml RUN --teacher FOLDER [--data FOLDER] [--write]` to the parser; return what was given."""
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--write", action="store_true", help="write the page, not only print it")
    chosen = parser.parse_args()
    places = Places(chosen.config.resolve().parent, chosen.run, chosen.teacher, data=chosen.data)
    return chosen, Run(read_config(chosen.config), places)

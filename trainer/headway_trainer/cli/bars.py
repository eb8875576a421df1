"""Progress bars of the libraries that the trainer uses: on a terminal they help, in a log file they are a flood."""

from __future__ import annotations

import os
import sys


def on_terminals_only() -> None:
    """Silence tqdm where stderr is no terminal.

    It reads its environment when it is imported: call this before anything heavy is.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")

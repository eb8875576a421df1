"""Which of how many processes this one is, as torchrun says in the environment. Needs no torch."""

from __future__ import annotations

import os


def world() -> int:
    """How many processes train together; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process, 0 for the first, which alone writes and prints."""
    return int(os.environ.get("RANK", "0"))

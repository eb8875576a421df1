"""Memory is measured in a process of its own: one that ends early leaves no figure and keeps nobody waiting."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the trainer needs the extra trainer")

from headway_trainer.measure import executor_memory


class Deadly:
    """Ends the process that unpickles it, as a kernel without memory would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_a_process_that_ended_early_leaves_no_figure(tmp_path: Path) -> None:
    deadly: Any = Deadly()
    assert executor_memory(tmp_path, deadly, np.ones((1, 4), np.int32)) is None

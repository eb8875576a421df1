"""Measuring the exported base on this machine: milliseconds per text and memory, beside eager PyTorch.

Both sides run the same texts one at a time, alternating in blocks, so that another program's load hits both alike.
Nothing here says anything about a phone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway_trainer.models.student import Student

Int32 = NDArray[np.int32]
_BLOCKS = 10


@dataclass(frozen=True, slots=True)
class Speed:
    """Median milliseconds per text over blocks: our executor, eager PyTorch with float32 weights; threads of both."""

    executor_ms: float
    pytorch_ms: float
    threads: int

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON."""
        return {
            "executor_ms_per_text": round(self.executor_ms, 3),
            "pytorch_eager_ms_per_text": round(self.pytorch_ms, 3),
            "ratio": round(self.pytorch_ms / self.executor_ms, 2),
            "threads": self.threads,
        }


def speed(base: Path, student: Student, input_ids: Int32, attention_mask: Int32) -> Speed:
    """Time both on int32 ids and masks [n, L], n at least the number of blocks."""
    from headway.coreml.model import MLModel

    model = MLModel(base)
    student.eval()

    def by_executor(row: int) -> None:
        model.predict({"input_ids": input_ids[row : row + 1], "attention_mask": attention_mask[row : row + 1]})

    @torch.no_grad()
    def by_pytorch(row: int) -> None:
        ids, mask = torch.from_numpy(input_ids[row : row + 1]), torch.from_numpy(attention_mask[row : row + 1])
        student(ids, mask)

    by_executor(0)
    by_pytorch(0)
    size = len(input_ids) // _BLOCKS
    found: dict[str, list[float]] = {"executor": [], "pytorch": []}
    for block in range(_BLOCKS):
        rows = range(block * size, (block + 1) * size)
        found["executor"].append(_per_row_ms(by_executor, rows))
        found["pytorch"].append(_per_row_ms(by_pytorch, rows))
    return Speed(statistics.median(found["executor"]), statistics.median(found["pytorch"]), torch.get_num_threads())


def executor_memory(base: Path, input_ids: Int32, attention_mask: Int32) -> int | None:
    """Return the bytes by which a fresh process's peak memory grows by loading the base and running the rows singly.

    None if that process ended before it could tell, for want of memory say: the gate then has no evidence.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_memory_child, str(base), input_ids, attention_mask).result()
        except BrokenProcessPool:
            return None


def _memory_child(base: str, input_ids: Int32, attention_mask: Int32) -> int:
    import onnxruntime  # noqa: F401 - its libraries are not the model's memory

    from headway.coreml.model import MLModel

    before = _peak_bytes()
    model = MLModel(Path(base))
    for row in range(len(input_ids)):
        model.predict({"input_ids": input_ids[row : row + 1], "attention_mask": attention_mask[row : row + 1]})
    return _peak_bytes() - before


def _peak_bytes() -> int:
    """This process's own peak. ``ru_maxrss`` starts at the parent's, which here holds PyTorch and hides everything."""
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _per_row_ms(call: Callable[[int], None], rows: range) -> float:
    started = time.perf_counter()
    for row in rows:
        call(row)
    return 1000 * (time.perf_counter() - started) / len(rows)

"""Uploaded models are read in a separate, bounded process; without the extra ``sim`` nothing here opens them.

A server without ``sim`` keeps the publisher's signed proof and says so: "not re-proven here".
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from headway_server.ports import Examined
from headway_server.settings import Settings

NOT_HERE = "not re-proven here: the server is installed without the extra sim"
_NEEDED = ("coremltools", "onnxruntime", "numpy", "safetensors")


class AbsentExaminer:
    """Opens nothing; see :class:`headway_server.ports.ModelExaminer`."""

    def validate(self, path: Path) -> Examined:
        """Say that it was not looked at."""
        return Examined(ran=False, note="not validated here: the server is installed without the extra sim")

    def prove(self, base: Path, head: Path, golden: Path, labels: Path) -> Examined:
        """Say that it was not proven again."""
        return Examined(ran=False, note=NOT_HERE)


class BoundedExaminer:
    """Uses :mod:`headway.coreml.bounded`; see :class:`headway_server.ports.ModelExaminer`."""

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        from headway.coreml.bounded import DEFAULT_LIMITS

        self._limits = replace(
            DEFAULT_LIMITS, wall_s=timeout_s, cpu_s=max(1, int(timeout_s)), memory_bytes=memory_bytes
        )

    def validate(self, path: Path) -> Examined:
        """Check every rule of an updatable head or a base package."""
        from headway.coreml.bounded import validate_bounded

        findings = validate_bounded(path, self._limits)
        told = tuple(f"{f.rule}: {f.message}" for f in findings)
        return Examined(ran=True, note="validated here", findings=told)

    def prove(self, base: Path, head: Path, golden: Path, labels: Path) -> Examined:
        """Run the golden batch through base and head."""
        from headway.coreml.bounded import prove_bounded

        return Examined(ran=True, note="re-proven here", proof=prove_bounded(base, head, golden, labels, self._limits))


def make_examiner(settings: Settings) -> AbsentExaminer | BoundedExaminer:
    """The examiner that this installation allows."""
    if any(find_spec(name) is None for name in _NEEDED):
        return AbsentExaminer()
    return BoundedExaminer(settings.validation_timeout_s, settings.validation_max_bytes)

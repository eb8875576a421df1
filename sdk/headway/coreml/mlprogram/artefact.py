"""The compiled artefact on disk: a graph, its weights, and a description of its ports, written last.

Kept apart from the translator so that loading a cached artefact imports neither the translator nor onnx.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["COMPILER_VERSION", "MODEL", "PORTS", "WEIGHTS", "Port", "read_ports", "write_ports"]

COMPILER_VERSION = 4
"""Raised whenever the same package compiles to another graph: old cache entries are then ignored."""

MODEL = "model.onnx"
WEIGHTS = "weights.bin"
PORTS = "ports.json"


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of the compiled graph: MIL name, name in the graph, numpy type there, shape per item."""

    name: str
    value: str
    dtype: str
    shape: tuple[int | None, ...]


def write_ports(folder: Path, inputs: Sequence[Port], outputs: Sequence[Port], *, batched: bool) -> None:
    """Write the description; an artefact without it is incomplete."""
    described = {
        "inputs": [asdict(port) for port in inputs],
        "outputs": [asdict(port) for port in outputs],
        "batched": batched,
    }
    (folder / PORTS).write_text(json.dumps(described))


def read_ports(folder: Path) -> tuple[tuple[Port, ...], tuple[Port, ...], bool]:
    """Read what :func:`write_ports` wrote: inputs, outputs, and whether the graph has a batch axis."""
    described = json.loads((folder / PORTS).read_text())
    inputs, outputs = (
        tuple(Port(e["name"], e["value"], e["dtype"], tuple(e["shape"])) for e in described[side])
        for side in ("inputs", "outputs")
    )
    return inputs, outputs, bool(described["batched"])

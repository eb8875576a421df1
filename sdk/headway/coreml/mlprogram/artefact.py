"""The compiled artefact on disk: a graph, its weights, and a description of its ports, written last.

Kept apart from the translator so that loading a cached artefact imports neither the translator nor onnx.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["COMPILER_VERSION", "MODEL", "PORTS", "WEIGHTS", "DamagedArtefact", "Port", "read_ports", "write_ports"]

COMPILER_VERSION = 8
"""Raised whenever the same package compiles to another graph: old cache entries are then ignored."""

MODEL = "model.onnx"
WEIGHTS = "weights.bin"
PORTS = "ports.json"


class DamagedArtefact(Exception):
    """A compiled artefact is not what was written; it can be built again. Never leaves this package."""


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
        "bytes": _sizes(folder),
    }
    (folder / PORTS).write_text(json.dumps(described))


def read_ports(folder: Path) -> tuple[tuple[Port, ...], tuple[Port, ...], bool]:
    """Read what :func:`write_ports` wrote: inputs, outputs, and whether the graph has a batch axis.

    Raises :class:`DamagedArtefact` when the description is unreadable or a file has another size than it says.
    """
    try:
        described = json.loads((folder / PORTS).read_text())
        inputs, outputs = (
            tuple(Port(e["name"], e["value"], e["dtype"], tuple(e["shape"])) for e in described[side])
            for side in ("inputs", "outputs")
        )
        whole = described["bytes"] == _sizes(folder)
        batched = bool(described["batched"])
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise DamagedArtefact(folder.name) from error
    if not whole:
        raise DamagedArtefact(folder.name)
    return inputs, outputs, batched


def _sizes(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_size for name in (MODEL, WEIGHTS)}

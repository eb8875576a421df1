"""Package in, artefact out: read the program, translate it, write the graph with its weights beside it."""

from __future__ import annotations

from pathlib import Path

from headway.coreml.mlprogram.artefact import MODEL, WEIGHTS, write_ports
from headway.coreml.mlprogram.graph import Graph
from headway.coreml.mlprogram.options import ProgramOptions
from headway.coreml.mlprogram.reader import read_function
from headway.coreml.mlprogram.translate import can_batch, translate
from headway.coreml.package import Package

__all__ = ["build"]


def build(package: Package, options: ProgramOptions, folder: Path) -> None:
    """Compile *package* into *folder*; raises as :func:`~headway.coreml.mlprogram.compile_program`."""
    function = read_function(package.spec, package.weight_file)
    with (folder / WEIGHTS).open("wb") as weights:
        translation = translate(function, Graph(weights), options, batch=can_batch(function))
    (folder / MODEL).write_bytes(translation.model)
    write_ports(folder, translation.inputs, translation.outputs, batched=translation.batched)

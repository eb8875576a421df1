"""Peak memory of loading and running a base in the int8 mode: as a share of its package, in fresh processes.

    python benchmarks/coreml_memory.py [--layers 24] [--length 64] [--package FOLDER] [--write]

A random MobileBERT is exported with int8 weights, or a package is given.  A fresh process loads it and runs one text:
compiled anew, then from the cache.  Peaks are resident memory, mapped files included, of the whole process, and what
of it lies on top of the interpreter and its imports.  The floor is the same compiled file run by numpy and ONNX Runtime
alone, without a line of this project.  Time plays no part, so other work on the machine does not disturb it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "coreml_memory.md"
PEAK = """
import re, sys
from pathlib import Path
import numpy as np
import onnxruntime as ort
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
"""
OURS = """
from headway.coreml.mlprogram import ProgramOptions, compile_program
before = peak()
options = ProgramOptions(compute="int8", threads=1, cache_dir=Path(sys.argv[2]))
program = compile_program(sys.argv[1], options)
program.predict({port.name: np.ones(port.shape, port.dtype) for port in program.inputs})
print(before, peak())
"""
BARE = """
settings = ort.SessionOptions()
settings.intra_op_num_threads, settings.log_severity_level = 1, 4
(model,) = Path(sys.argv[2]).glob("*/model.onnx")
session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
inputs = session.get_inputs()
session.run(None, {one.name: np.ones([1, *one.shape[1:]], np.int32) for one in inputs})
print(before, peak())
"""


def peaks(script: str, package: Path, cache: Path) -> tuple[float, float]:
    """Peak resident MiB of a fresh process: after imports alone, and after one text."""
    command = [sys.executable, "-c", PEAK + script, str(package), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = done.stdout.split()
    return int(before) / 1024, int(after) / 1024


def export(layers: int, length: int, folder: Path) -> Path:
    """Write a random base with int8 weights; needs the extra trainer."""
    from coreml import build_module, export_core_ml

    with contextlib.redirect_stderr(io.StringIO()):
        return export_core_ml(build_module(layers, length), length, folder)[1]


def table(package: Path, what: str) -> str:
    """The results as Markdown."""
    import onnxruntime

    size = sum(file.stat().st_size for file in package.rglob("*") if file.is_file()) / 2**20
    lines = [
        "| process | imports alone, MiB | peak, MiB | whole process / package | on top of the imports / package |",
        "|---|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as name:
        runs = (("compiled anew", OURS), ("from the cache", OURS), ("numpy and ONNX Runtime alone, the floor", BARE))
        for label, script in runs:
            before, after = peaks(script, package, Path(name))
            lines.append(
                f"| {label} | {before:.1f} | {after:.1f} | {after / size:.2f} × | {(after - before) / size:.2f} × |"
            )
    about = f"{what}, int8 package of {size:.1f} MiB, one text, one thread; onnxruntime {onnxruntime.__version__}."
    return "\n".join(["# Memory of the base executor in the int8 mode", "", about, "", *lines, ""])


def main() -> None:
    """Print the table, and with ``--write`` store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--package", type=Path, help="an export of the same layers and length made before")
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULTS.name}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        package = options.package or export(options.layers, options.length, Path(name))
        text = table(package, f"MobileBERT of {options.layers} layers, length {options.length}")
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

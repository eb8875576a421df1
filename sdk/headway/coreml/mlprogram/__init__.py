"""Executing Core ML ML Programs on Linux: MIL is translated to ONNX once and run by ONNX Runtime.

What holds: the translation follows coremltools' op definitions; compressed weights are decompressed exactly; an
unknown operation is one error that names it. What it does not do: training, control flow, states, images as inputs.
"""

from __future__ import annotations

from headway.coreml.mlprogram.options import ProgramOptions
from headway.coreml.mlprogram.program import Program, compile_program

__all__ = ["Program", "ProgramOptions", "compile_program"]

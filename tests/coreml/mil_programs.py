"""Small MIL programs for tests: one operation on inputs, saved as a real package, beside coremltools' own answer."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Arrays = Mapping[str, np.ndarray]
Body = Callable[..., Any]

CACHE_NAME = "cache"


def coremltools() -> Any:
    """coremltools without its warnings about frameworks that Linux does not have."""
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    found = pytest.importorskip("coremltools")
    # Each conversion collects garbage; without this it would look at every object of the imported libraries again.
    gc.freeze()
    return found


def save_program(body: Body, inputs: Arrays, path: Path, target: str = "iOS15", precision: str = "FLOAT32") -> Path:
    """Save the program ``body(**inputs)`` as a package; integer arrays become int32 inputs, others float32."""
    ct = coremltools()
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    opset = getattr(ct.target, target)
    kinds = {"i": types.int32, "f": types.fp32, "b": types.fp32}
    specs = [mb.TensorSpec(shape=array.shape, dtype=kinds[array.dtype.kind]) for array in inputs.values()]
    names = list(inputs)

    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        scope: dict[str, Any] = {"body": body}
        exec(f"def program({', '.join(names)}):\n    return body({', '.join(f'{n}={n}' for n in names)})", scope)
        program = mb.program(input_specs=specs, opset_version=opset)(scope["program"])
        model = ct.convert(
            program,
            convert_to="mlprogram",
            compute_precision=getattr(ct.precision, precision),
            minimum_deployment_target=opset,
            pass_pipeline=ct.PassPipeline.EMPTY if precision == "FLOAT32" else ct.PassPipeline.DEFAULT,
            skip_model_load=True,
        )
        model.save(str(path))
    return path


def expected_values(body: Body, inputs: Arrays, target: str = "iOS15") -> list[np.ndarray]:
    """What coremltools' value inference gives for ``body(**inputs)``."""
    ct = coremltools()
    from coremltools.converters.mil import Builder as mb

    found: list[Any] = []

    def program() -> Any:
        constants = {name: mb.const(val=array, name=name) for name, array in inputs.items()}
        result = body(**constants)
        found.extend(result if isinstance(result, (tuple, list)) else [result])
        return result

    mb.program(input_specs=[], opset_version=getattr(ct.target, target))(program)
    values = [var.val if var.val is not None else var.op.materialized_val_inference() for var in found]
    assert all(value is not None for value in values), "coremltools cannot infer this operation"
    return [np.asarray(value) for value in values]

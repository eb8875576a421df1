"""A compiled ML Program: what :func:`compile_program` returns and the rest of Headway calls.

Compiled once per package digest, options and library versions; later loads read the cached graph and map its weights.
Results are those of ONNX Runtime on the CPU: the same bytes on the same machine with the same threads and batch, equal
to rounding elsewhere. What a device computes is not claimed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml.mlprogram.artefact import COMPILER_VERSION, MODEL, DamagedArtefact, read_ports
from headway.coreml.mlprogram.cache import cached, default_cache_dir
from headway.coreml.mlprogram.failures import broken
from headway.coreml.mlprogram.feeds import Feeds, arrange, fits
from headway.coreml.mlprogram.options import ProgramOptions
from headway.coreml.package import Package, read_package

__all__ = ["Program", "compile_program"]


class Program:
    """An executable ML Program. Safe to share between threads; one session of ONNX Runtime."""

    def __init__(self, folder: Path, options: ProgramOptions) -> None:
        self.inputs, self.outputs, self.batched = read_ports(folder)
        self.options = options
        self._session = _session(folder / MODEL, options)

    @property
    def runtime(self) -> str:
        """What computes: translator and ONNX Runtime versions and the numeric mode."""
        return f"headway-mlprogram/{COMPILER_VERSION} onnxruntime/{ort.__version__} {self.options.key}"

    def predict(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the program; keys are the model's input names, the result's its output names.

        An array has its input's shape (one item) or a batch axis in front of it; for an input whose first dimension is
        1, ``[n, …]`` in place of ``[1, …]`` also means n items. All inputs are batched or none. Results get the batch
        axis in the same way. Programs that cannot be batched (``batched`` is False) are run item by item.

        Raises :class:`RefusedError` on a missing or misshapen input and on values the program cannot take.
        """
        feeds = arrange(self.inputs, inputs)
        if self.batched:
            results = self._run(feeds.arrays)
        else:
            results = self._one_by_one(feeds)
        outputs = {}
        for port, array in zip(self.outputs, results, strict=True):
            if not fits(array.shape[1:], port.shape):
                raise broken(f"declares {list(port.shape)} for {port.name!r} and gives {list(array.shape[1:])}")
            outputs[port.name] = feeds.shaped(array.astype(np.str_) if array.dtype.kind == "O" else array)
        return outputs

    def _one_by_one(self, feeds: Feeds) -> list[NDArray[Any]]:
        items = [
            self._run({name: array[index] for name, array in feeds.arrays.items()}) for index in range(feeds.items)
        ]
        return [np.stack(column) for column in zip(*items, strict=True)]

    def _run(self, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            results: list[NDArray[Any]] = self._session.run(None, dict(arrays))
        except Exception as error:  # ONNX Runtime raises classes of its own
            raise RefusedError(
                "execution",
                f"The program cannot take these values: {_first_line(error)}",
                hint="Check that token ids lie inside the vocabulary and that shapes are as described.",
            ) from error
        return results


def compile_program(source: Package | Path | str, options: ProgramOptions | None = None) -> Program:
    """Return the executable program of the package *source* (read strictly when it is a path).

    Raises :class:`IncompatibleError` (``unknown_op``) for an operation this runtime does not execute and
    :class:`RefusedError` for a package that is damaged or not an ML Program.
    """
    options = options or ProgramOptions()
    if options.use_cache:
        try:
            return _from_cache(source, options)
        except OSError:  # no place for a cache, or no room in it: the program itself may still run
            pass
    with tempfile.TemporaryDirectory(prefix="headway-coreml-") as name:
        folder = Path(name)
        _build(_read(source), options, folder)
        return Program(folder, options)  # ONNX Runtime has mapped the files: they may go


def _from_cache(source: Package | Path | str, options: ProgramOptions) -> Program:
    folder = _folder(source, options)
    try:
        return Program(folder, options)
    except (DamagedArtefact, IncompatibleError):
        # Either the entry was damaged on disk or the program really is not executable: a fresh build tells.
        shutil.rmtree(folder, ignore_errors=True)
        return Program(_folder(source, options), options)


def _folder(source: Package | Path | str, options: ProgramOptions) -> Path:
    """Return the cached artefact of *source*, built where it is not there yet.

    The parsed package of a path is given up on return: it would take megabytes beside the session.
    """
    package = _read(source)
    key = f"{COMPILER_VERSION}|{ort.__version__}|{options.key}|{package.digest}"
    return cached(options.cache_dir or default_cache_dir(), key, lambda new: _build(package, options, new))


def _read(source: Package | Path | str) -> Package:
    return source if isinstance(source, Package) else read_package(source)


def _build(package: Package, options: ProgramOptions, folder: Path) -> None:
    # Imported here: a cached artefact needs neither the translator nor onnx, a quarter of a second and 13 MB.
    from headway.coreml.mlprogram.compiler import build

    build(package, options, folder)


def _session(model: Path, options: ProgramOptions) -> Any:
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 4  # what goes wrong is raised, not printed
    try:
        return ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # as in Program._run
        raise IncompatibleError(
            "not_executable",
            f"The translated program is not accepted: {_first_line(error)}",
            hint="The package contradicts itself, or uses a form of an operation that this runtime misses.",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]

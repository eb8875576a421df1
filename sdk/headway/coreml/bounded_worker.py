"""The child of :mod:`headway.coreml.bounded`: limits first, then one task, then one JSON answer on standard output.

Run as ``python -m headway.coreml.bounded_worker`` with the job as JSON on standard input. Nothing heavy is imported
before the limits are set, and whatever libraries print goes nowhere: the answer has a file descriptor of its own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headway.contract.errors import HeadwayError, IncompatibleError

__all__ = ["main"]

Paths = Mapping[str, Path]


def _limit(limits: Mapping[str, Any]) -> None:
    """Lower this process's own limits; each is hard, so that nothing can raise it again."""
    for which, amount in (
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        hard = resource.getrlimit(which)[1]
        allowed = int(amount) if hard == resource.RLIM_INFINITY else min(int(amount), hard)
        resource.setrlimit(which, (allowed, allowed))
    # Soft gives SIGXCPU, which tells the parent why; hard a moment later in case it is caught.
    resource.setrlimit(resource.RLIMIT_CPU, (int(limits["cpu_s"]), int(limits["cpu_s"]) + 5))


def _validate(paths: Paths) -> Any:
    from dataclasses import asdict

    from headway.coreml.package import read_package
    from headway.coreml.validator import Finding, validate

    findings = list(validate(paths["path"]))
    if not findings and read_package(paths["path"]).spec.WhichOneof("Type") == "mlProgram":
        findings = _executable(paths["path"], Finding)
    return [asdict(finding) for finding in findings]


def _executable(path: Path, finding: Callable[..., Any]) -> list[Any]:
    from headway.coreml.mlprogram import ProgramOptions, compile_program

    try:
        compile_program(path, ProgramOptions(threads=1, use_cache=False))
    except IncompatibleError as error:
        layer = error.data.get("output")
        return [finding(rule="executable", layer=layer, message=error.message, hint=error.hint)]
    return []


def _prove(paths: Paths) -> Any:
    from headway.coreml.mlprogram import ProgramOptions
    from headway.coreml.proof import prove

    options = ProgramOptions(threads=1, use_cache=False)
    return prove(paths["base"], paths["head"], paths["golden"], paths["labels"], options=options).to_json()


TASKS: dict[str, Callable[[Paths], Any]] = {"validate": _validate, "prove": _prove}
"""What a job may ask for."""


def _perform(job: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"value": TASKS[job["task"]]({name: Path(path) for name, path in job["paths"].items()})}
    except HeadwayError as error:
        if _is_memory(error.__cause__):
            return _error("refused", "model_memory", "", "", {})
        return _error(error.family, error.code, error.message, error.hint, dict(error.data))
    except (MemoryError, ImportError, OSError, RuntimeError, SystemError) as error:
        if not _is_memory(error):
            raise
        return _error("refused", "model_memory", "", "", {})


_MEMORY_WORDS = ("bad_alloc", "bad allocation", "allocate", "failed to map")


def _is_memory(cause: BaseException | None) -> bool:
    """Whether *cause* is a failed allocation: also as the loader (ImportError) and ONNX Runtime put it."""
    return isinstance(cause, MemoryError) or any(word in str(cause) for word in _MEMORY_WORDS)


def _error(family: str, code: str, message: str, hint: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"error": {"family": family, "code": code, "message": message, "hint": hint, "data": data}}


def main() -> int:
    """Read the job, do it, write the answer; returns the exit status."""
    channel = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    job = json.load(sys.stdin)
    _limit(job["limits"])
    answer = json.dumps(_perform(job)).encode()
    with os.fdopen(channel, "wb") as pipe:
        pipe.write(answer)
    return 0


if __name__ == "__main__":
    # Library threads may hang at interpreter exit under a memory limit: leave without asking them.
    status = main()
    sys.stdout.flush()
    os._exit(status)

"""Looking at hostile model files from a process that must survive it: in a child with memory, CPU and time limits.

What holds: the child sees an allow-listed environment (no credentials), a folder of its own as working directory, no
inherited file descriptors, and limits it sets on itself before it reads anything; the answer is JSON of bounded size
over a pipe. The caller gets a value or one of our own errors, whatever the file does to the child. It is started
afresh each time (never forked from the caller), so it works from threads and web workers.
What it does not do: system-call filtering. Run the server in a container for that.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headway.contract.errors import HeadwayError, IncompatibleError, RefusedError, UntrustedError
from headway.contract.proof import Proof

if TYPE_CHECKING:
    from headway.coreml.validator import Finding

__all__ = ["DEFAULT_LIMITS", "Limits", "prove_bounded", "run_bounded", "validate_bounded"]

_WORKER = "headway.coreml.bounded_worker"
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "VIRTUAL_ENV", "HOME")
# Each thread and each malloc arena reserves address space, which is what the memory limit counts; libraries start as
# many threads as the machine has cores when they are loaded, so that a model would pass here and fail on a larger one.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
_FAMILIES: tuple[type[HeadwayError], ...] = (RefusedError, IncompatibleError, UntrustedError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the child may use: address space, file size and answer size in bytes, processor and wall time in seconds."""

    memory_bytes: int = 4 << 30
    file_bytes: int = 2 << 30
    answer_bytes: int = 1 << 20
    cpu_s: int = 120
    wall_s: float = 180.0


DEFAULT_LIMITS = Limits()
"""Enough for a base of 64 MB on one slow core."""


def validate_bounded(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[Finding, ...]:
    """Validate the model at *path* in a child; for an ML Program also whether this runtime can execute it.

    Raises :class:`RefusedError` with code ``model_timeout``, ``model_memory`` or ``model_crash`` when the child hit a
    limit, and what the validator itself raises.
    """
    from headway.coreml.validator import Finding

    found = run_bounded("validate", {"path": path}, limits)
    return tuple(Finding(**entry) for entry in found)


def prove_bounded(base: Path, head: Path, golden: Path, labels: Path, limits: Limits = DEFAULT_LIMITS) -> Proof:
    """:func:`headway.coreml.proof.prove` in a child; raises as that function and as :func:`validate_bounded`."""
    paths = {"base": base, "head": head, "golden": golden, "labels": labels}
    return Proof.from_json(run_bounded("prove", paths, limits))


def run_bounded(task: str, paths: Mapping[str, Path], limits: Limits = DEFAULT_LIMITS) -> Any:
    """Run *task* of the worker on *paths* and return its JSON answer; raises as :func:`validate_bounded`."""
    job = {"task": task, "paths": {k: str(Path(v).resolve()) for k, v in paths.items()}, "limits": asdict(limits)}
    with tempfile.TemporaryDirectory(prefix="headway-bounded-") as folder:
        child = subprocess.Popen(
            [sys.executable, "-s", "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
        try:
            answer = _converse(child, json.dumps(job).encode(), limits)
            code = child.wait(timeout=5)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise _stopped("model_timeout", f"took longer than {limits.wall_s:g} s") from None
        finally:
            _kill(child)
    return _answer(answer, code, limits)


def _environment(folder: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {**kept, **_ONE_THREAD, "TMPDIR": folder, "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1"}


def _converse(child: subprocess.Popen[bytes], job: bytes, limits: Limits) -> bytes:
    """Send the job and read the answer until end of file; ``TimeoutError`` after the wall limit."""
    assert child.stdin is not None
    assert child.stdout is not None
    deadline = time.monotonic() + limits.wall_s
    try:
        child.stdin.write(job)
        child.stdin.close()
    except BrokenPipeError:
        return b""
    return _read(child.stdout, limits.answer_bytes, deadline)


def _read(pipe: IO[bytes], limit: int, deadline: float) -> bytes:
    parts = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        while len(parts) <= limit:
            left = deadline - time.monotonic()
            if left <= 0 or not waiting.select(left):
                raise TimeoutError
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                break
            parts += chunk
    return bytes(parts)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started, and collect it."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    child.wait()


def _answer(answer: bytes, code: int, limits: Limits) -> Any:
    if code == -signal.SIGXCPU:
        raise _stopped("model_timeout", f"used more than {limits.cpu_s} s of processor time")
    if code == -signal.SIGKILL:
        raise _stopped("model_memory", "was stopped by the system, most likely for its memory")
    if code != 0 or len(answer) > limits.answer_bytes:
        raise _stopped("model_crash", f"ended the process that read it (status {code})")
    try:
        content = json.loads(answer)
        if "value" in content:
            return content["value"]
        raise _rebuilt(content["error"])
    except (ValueError, KeyError, TypeError) as error:
        raise _stopped("model_crash", "gave no readable answer") from error


def _rebuilt(error: Mapping[str, Any]) -> HeadwayError:
    """The child's error as an exception of the same family here."""
    if error["code"] == "model_memory":
        return _stopped("model_memory", "needs more memory than is allowed")
    family = next((f for f in _FAMILIES if f.family == error["family"]), RefusedError)
    data = {str(key): value for key, value in error["data"].items() if key not in ("code", "message", "hint", "kind")}
    return family(str(error["code"]), str(error["message"]), hint=str(error["hint"]), **data)


def _stopped(code: str, what: str) -> RefusedError:
    return RefusedError(
        code, f"The model {what}.", hint="Do not send this file again; make it smaller or export it anew."
    )

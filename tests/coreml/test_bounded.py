"""The bounded child: right answers, and one clear error for a file that hangs, eats memory or kills its reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headway.contract.errors import IncompatibleError, RefusedError
from headway.coreml import bounded
from headway.coreml.bounded import Limits, prove_bounded, run_bounded, validate_bounded
from headway.coreml.proof import prove

from .tiny_release import OPTIONS, write_base, write_head


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def head(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_head(tmp_path_factory.mktemp("head"), base)


def _prove_bounded(base: Path, head: Path, **limits: float):  # type: ignore[no-untyped-def]
    paths = (base / "base.mlpackage", head / "head.mlmodel", head / "golden.safetensors", head / "labels.json")
    return prove_bounded(*paths, limits=Limits(**limits))  # type: ignore[arg-type]


def test_the_proof_is_the_one_made_here(base: Path, head: Path) -> None:
    paths = (base / "base.mlpackage", head / "head.mlmodel", head / "golden.safetensors", head / "labels.json")
    assert _prove_bounded(base, head) == prove(*paths, options=OPTIONS)


def test_validation_finds_what_is_wrong(base: Path, head: Path, tmp_path: Path) -> None:
    assert validate_bounded(base / "base.mlpackage") == ()
    assert validate_bounded(head / "head.mlmodel") == ()
    (tmp_path / "junk.mlmodel").write_bytes(b"\xff" * 100)
    (found,) = validate_bounded(tmp_path / "junk.mlmodel")
    assert found.rule == "readable"


def test_a_program_that_cannot_be_executed_is_a_finding(tmp_path: Path) -> None:
    import numpy as np
    from coremltools.converters.mil import Builder as mb

    from .mil_programs import save_program

    zeros = np.zeros(3, np.float32)
    save_program(lambda x: mb.random_normal(shape=[3], name="noise"), {"x": zeros}, tmp_path / "noise.mlpackage")
    (found,) = validate_bounded(tmp_path / "noise.mlpackage")
    assert (found.rule, found.layer) == ("executable", "noise")


def test_it_works_from_a_thread(base: Path, head: Path) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(_prove_bounded(base, head).finite))
    thread.start()
    thread.join()
    assert found == [True]


def test_errors_keep_their_family_and_code(base: Path, head: Path, tmp_path: Path) -> None:
    (tmp_path / "head.mlmodel").write_bytes(b"\xff\xff\xff\xff")
    with pytest.raises(RefusedError) as caught:
        _prove_bounded(base, tmp_path)
    assert caught.value.code == "not_found"
    with pytest.raises(RefusedError) as caught:
        run_bounded(
            "prove",
            {
                "base": base / "base.mlpackage",
                "head": tmp_path / "head.mlmodel",
                "golden": head / "golden.safetensors",
                "labels": head / "labels.json",
            },
        )
    assert caught.value.message
    assert caught.value.hint


def test_too_little_memory_is_one_error(base: Path, head: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        _prove_bounded(base, head, memory_bytes=150 << 20)
    assert caught.value.code in ("model_memory", "model_crash")


def test_wall_time_is_one_error_and_leaves_no_child(base: Path, head: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(bounded, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": start}))
    with pytest.raises(RefusedError) as caught:
        _prove_bounded(base, head, wall_s=0.05)
    assert caught.value.code == "model_timeout"
    (child,) = started
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


CHILDREN = {
    "model_timeout": "while True: pass",
    "model_crash": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "model_memory": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("code", CHILDREN)
def test_whatever_the_child_does_the_caller_gets_one_error(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hostile_child.py").write_text(CHILDREN[code])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(bounded, "_WORKER", "hostile_child")
    with pytest.raises(RefusedError) as caught:
        run_bounded("prove", {}, Limits(wall_s=1.0 if code == "model_timeout" else 120.0))
    assert caught.value.code == code


@pytest.mark.parametrize("answer", ["x" * 4096, "not json", '{"neither": 1}', "[]", '{"error": {}}'])
def test_an_answer_that_is_none_is_a_crash(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_child.py").write_text(f"import sys; sys.stdin.read(); sys.stdout.write({answer!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(bounded, "_WORKER", "odd_child")
    with pytest.raises(RefusedError) as caught:
        run_bounded("prove", {}, Limits(answer_bytes=1024))
    assert caught.value.code == "model_crash"


def test_the_child_sees_no_secrets_and_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import json, os, sys; sys.stdin.read(); print(json.dumps({'value': [dict(os.environ), os.getcwd()]}))"
    (tmp_path / "curious_child.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HEADWAY_SECRET", "token")
    monkeypatch.setattr(bounded, "_WORKER", "curious_child")
    environment, folder = run_bounded("prove", {})
    assert "HEADWAY_SECRET" not in environment
    assert environment["OPENBLAS_NUM_THREADS"] == "1", "memory is counted the same on a machine of many cores"
    assert folder != str(Path.cwd())
    assert not Path(folder).exists()


def test_an_incompatible_program_keeps_its_family(head: Path, tmp_path: Path) -> None:
    import numpy as np
    from coremltools.converters.mil import Builder as mb

    from .mil_programs import save_program

    save_program(lambda x: mb.square(x=x), {"x": np.zeros(3, np.float32)}, tmp_path / "base.mlpackage")
    contract = (
        '{"dtype":"float32","feature_space":"x","max_sequence_length":12,"output":"features","schema":1,'
        '"shape":[16],"tokenizer":"sha256:' + "0" * 64 + '"}'
    )
    (tmp_path / "contract.json").write_text(contract)
    with pytest.raises(IncompatibleError) as caught:
        _prove_bounded(tmp_path, head)
    assert caught.value.code == "not_a_base"


def test_a_task_that_is_none_is_a_crash() -> None:
    with pytest.raises(RefusedError) as caught:
        run_bounded("no-such-task", {})
    assert caught.value.code == "model_crash"


def test_spawning_stays_cheap() -> None:
    """An empty task costs an interpreter start and nothing heavy: the limits come before any import."""
    code = "import json, sys, headway.coreml.bounded_worker; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-s", "-P", "-c", code], capture_output=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & {"numpy", "onnx", "onnxruntime", "coremltools", "numba", "safetensors"}

"""The two file systems behave alike, and the real one survives what the one in memory is tested for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.device.bundle import AppBundle
from headway.device.faulty import Crash, Fault, MemoryFileSystem
from headway.device.files import RealFileSystem, remove_tree, walk, write_atomic
from headway.device.ports import FileSystem

from .world import World, use


@pytest.fixture(params=["real", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileSystem:
    return RealFileSystem(tmp_path / "store") if request.param == "real" else MemoryFileSystem()


def test_both_do_the_same(files: FileSystem) -> None:
    assert files.read("a/b") is None
    assert files.size("a/b") is None
    assert files.names("a") == ()
    with pytest.raises(OSError):
        files.write("a/b", b"1")
    files.make_folder("a/deep")
    files.write("a/b", b"12")
    files.append("a/b", b"3")
    files.append("a/new", b"x")
    assert files.read("a/b") == b"123"
    assert files.size("a/b") == 3
    assert files.names("a") == ("b", "deep/", "new")
    files.rename("a/b", "a/deep/c")
    assert walk(files, "a") == ("deep/c", "new")
    with pytest.raises(OSError):
        files.remove_folder("a")
    with pytest.raises(OSError):
        files.rename("gone", "a/x")
    files.remove("a/gone")
    files.remove_folder("gone")
    write_atomic(files, "a/deep/c", b"whole")
    assert files.read("a/deep/c") == b"whole"
    assert files.names("a/deep") == ("c",)
    remove_tree(files, "a")
    assert files.names("") == ()
    assert files.free_bytes() > 0


def test_only_one_holder_has_the_lock(files: FileSystem) -> None:
    first = files.lock("lock")
    assert first is not None
    assert files.lock("lock") is None
    first.release()
    first.release()
    second = files.lock("lock")
    assert second is not None
    second.release()


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from headway.device.files import RealFileSystem;"
        "l = RealFileSystem(Path(sys.argv[1])).lock('lock'); print(l is not None, flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=240)
    assert done.stdout.strip() == "True"
    lock = RealFileSystem(tmp_path).lock("lock")
    assert lock is not None
    lock.release()


@given(
    at=st.integers(0, 3),
    moment=st.sampled_from(["before", "middle", "after"]),
    survival=st.sampled_from(["synced", "written", "torn"]),
)
def test_an_atomic_write_leaves_the_old_content_or_the_new(at: int, moment: str, survival: str) -> None:
    files = MemoryFileSystem()
    write_atomic(files, "f", b"the old content")
    files.changes, files.fault = 0, Fault(at, moment, survival)
    with pytest.raises(Crash):
        write_atomic(files, "f", b"the new content, longer")
    with pytest.raises(Crash):
        files.read("f")
    files.restart()
    assert files.read("f") in (b"the old content", b"the new content, longer")


def test_what_was_not_synced_is_forgotten() -> None:
    files = MemoryFileSystem()
    files.write("f", b"never synced")
    files.fault = Fault(files.changes, "before", "synced")
    with pytest.raises(Crash):
        files.write("g", b"")
    files.restart()
    assert files.names("") == ()


def test_a_real_disk_carries_a_whole_life(tmp_path: Path) -> None:
    world = World(files=RealFileSystem(tmp_path / "store"))
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device, 4)
    device.close()
    moved = (tmp_path / "store").rename(tmp_path / "another container")
    world.files = RealFileSystem(moved)
    device = world.device()
    assert device.predict("你好").release == 1, "an app update moves the folder: nothing stores an absolute path"
    assert str(tmp_path) not in (moved / "heads" / "topic" / "record.json").read_text()
    device.close()


def test_a_bundle_says_what_is_missing(tmp_path: Path) -> None:
    from headway.contract.errors import RefusedError

    bundle = World().bundle
    assert AppBundle.load(bundle.folder) == bundle
    (bundle.folder / "heads" / "topic" / "labels.json").unlink()
    with pytest.raises(RefusedError) as caught:
        AppBundle.load(bundle.folder)
    assert caught.value.code == "bundle_incomplete"


def test_a_bare_install_receives_a_release_and_says_that_it_cannot_predict() -> None:
    """Without numpy, ONNX Runtime and coremltools: everything up to model execution works."""
    code = """
import sys
for name in ("numpy", "onnxruntime", "coremltools", "onnx", "safetensors"):
    sys.modules[name] = None
import headway.device.client, headway.device.driver, headway.device.polling, headway.device.files
from headway.device.bundle import AppBundle
from headway.device.client import Device
from headway.device.faulty import MemoryFileSystem
from pathlib import Path
import json
device = Device(AppBundle.load(Path(sys.argv[1])), MemoryFileSystem())
answer = [device.launch().status, device.predict("x").problem.code, device.personalise(force=True).reason]
device.add_correction("text", "film")
print(json.dumps([*answer, device.status().corrections]))
device.close()
"""
    bundle = World().bundle
    done = subprocess.run([sys.executable, "-c", code, str(bundle.folder)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["ready", "no_runtime", "no_runtime", 1]

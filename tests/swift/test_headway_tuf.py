"""The Swift program ``headway-tuf`` under the very tests of the Python one: a generic repository over real HTTP.

Skipped where the Swift package has not been built (``make swift``).
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "ios_fixtures" / ".build" / "debug" / "headway-tuf"
# These are about the Python program's own command line and process.
NOT_SHARED = {"test_missing_options_are_usage_errors", "test_the_program_runs_as_a_process"}

if not PROGRAM.exists():
    pytest.skip("the Swift package has not been built: make swift", allow_module_level=True)
_PROBE = [PROGRAM, "--metadata-dir", "none", "--metadata-url", "http://127.0.0.1:9/", "refresh"]
if b"cannot_verify" in subprocess.run(_PROBE, capture_output=True, timeout=300, check=False).stderr:
    pytest.skip("Swift was built without libcrypto: install libssl-dev, then make swift", allow_module_level=True)


def run(arguments: list[str]) -> int:
    """The Swift program in place of the Python function: its exit code, its words on standard error."""
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300, check=False)
    sys.stderr.write(done.stderr)
    return done.returncode


def shared_tests() -> ModuleType:
    """The Python program's tests, loaded once more with the Swift program under test."""
    path = ROOT / "tests" / "trust" / "test_headway_tuf.py"
    spec = importlib.util.spec_from_file_location("headway_tuf_tests_for_swift", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run = run
    return module


_shared = shared_tests()
repository, url, device = _shared.repository, _shared.url, _shared.device
globals().update(
    {name: test for name, test in vars(_shared).items() if name.startswith("test_") and name not in NOT_SHARED}
)


def test_missing_options_are_usage_errors(tmp_path: Path) -> None:
    assert run(["--metadata-dir", str(tmp_path), "refresh"]) == 2
    assert run(["--metadata-dir"]) == 2
    assert run(["--metadata-dir", str(tmp_path), "other"]) == 2


def test_an_older_timestamp_is_refused(repository, device) -> None:
    repository.publish()
    old = repository.served["/metadata/timestamp.json"]
    repository.publish()
    assert device.refresh() == 0
    repository.served["/metadata/timestamp.json"] = old
    assert device.refresh() == 1
    assert device.version("timestamp") == 2


def test_one_signature_under_two_key_ids_counts_once(repository, device) -> None:
    """A threshold of 2 is not met by one key that is listed twice."""
    repository.root.roles["targets"].threshold = 2
    key = repository.root.keys[repository.root.roles["targets"].keyids[0]]
    twin = type(key).from_dict("f" * 64, key.to_dict())
    repository.root.add_key(twin, "targets")
    repository.root.version = 2
    repository.sign("root", repository.root)
    repository.publish()
    path = "/metadata/1.targets.json"
    metadata = json.loads(repository.served[path])
    metadata["signatures"].append({"keyid": "f" * 64, "sig": metadata["signatures"][0]["sig"]})
    repository.served[path] = json.dumps(metadata).encode()
    assert device.refresh() == 1
    assert device.version("targets") is None


def test_endless_metadata_is_cut_off(device) -> None:
    """A server that never stops sending costs a bounded transfer, not the device's memory."""
    sent = 0

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal sent
            if "root" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            try:
                while sent < 2**28:
                    sent += self.wfile.write(b" " * 2**16)
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    device.url = f"http://127.0.0.1:{server.server_address[1]}"
    assert device.refresh() == 1
    server.shutdown()
    server.server_close()
    thread.join()
    assert sent < 2**26

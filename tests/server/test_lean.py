"""What a serving process must not load: memory that every worker would pay for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from headway_server.lean import absent

HEAVY = (
    "alembic", "boto3", "botocore", "coremltools", "httpx2", "numpy", "onnx", "onnxruntime", "rich", "safetensors",
    "scipy", "torch",
)  # fmt: skip
SERVE = """
import json, sys, pathlib, tempfile
from headway_server.app import create_app, make_ports
from headway_server.logs import configure
from headway_server.settings import Settings
configure(json_lines=False)
server = create_app(make_ports(Settings(data_dir=pathlib.Path(tempfile.mkdtemp(dir=sys.argv[1])))))
assert server.app.test_client().get("/healthz").status_code == 200
print(json.dumps(sorted(sys.modules)))
"""


def test_a_worker_loads_nothing_it_does_not_need(tmp_path: object) -> None:
    """A process that made the application and answered a request, on a folder and SQLite."""
    done = subprocess.run([sys.executable, "-c", SERVE, str(tmp_path)], check=True, capture_output=True, timeout=300)
    loaded = set(json.loads(done.stdout))
    assert "headway_server.app" in loaded
    assert not loaded & set(HEAVY)


def test_what_is_loaded_stays_and_what_is_hidden_comes_back() -> None:
    assert "colorsys" not in sys.modules or sys.modules.pop("colorsys")
    with absent("colorsys", "json"):
        assert __import__("json") is json
        with pytest.raises(ImportError):
            __import__("colorsys")
    assert __import__("colorsys").rgb_to_hsv(0, 0, 0) == (0, 0, 0)

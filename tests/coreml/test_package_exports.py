"""``headway.coreml``: every public name exists, and importing it costs nothing."""

import subprocess
import sys

import headway.coreml


def test_every_name_resolves():
    for name in headway.coreml.__all__:
        assert getattr(headway.coreml, name) is not None
    assert sorted(headway.coreml._HOMES) == sorted(headway.coreml.__all__)


def test_importing_is_light():
    code = "import sys, headway.coreml; print([m for m in ('numpy', 'onnxruntime', 'coremltools') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "[]"


def test_training_a_head_needs_no_coremltools_import():
    code = (
        "import sys\n"
        "from headway.coreml import HeadLayout, initial_head, MLUpdateTask\n"
        "initial_head(HeadLayout(4, 2), 1)\n"
        "print('coremltools' in sys.modules, 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["False", "False"]
    assert done.stderr == ""

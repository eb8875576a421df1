"""The histories that bind the Swift machine are those of the Python machine as it is, and show all of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

from headway.device import events

HERE = Path(__file__).parent
FILE = HERE.parents[1] / "ios_fixtures" / "vectors" / "device_traces.json"


def test_device_traces_are_current() -> None:
    command = [sys.executable, str(HERE / "device_traces.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_event_does_something_somewhere() -> None:
    """If this fails after a change of the machine, pick other seeds."""
    declared = {
        name for name, value in vars(events).items() if is_dataclass(value) and value.__module__ == events.__name__
    }
    expected = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in declared}
    steps = [step for case in json.loads(FILE.read_text())["cases"] for step in case["steps"]]
    assert {step["event"]["event"] for step in steps if step["effects"]} | {"check_ended"} == expected
    effects = {effect["effect"] for step in steps for effect in step["effects"]}
    assert effects >= {
        "save",
        "load",
        "judge",
        "leave",
        "collect",
        "train",
        "judge_candidate",
        "rebase",
        "cancel_training",
    }

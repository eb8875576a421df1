"""The systemd units of the deployment guide: systemd itself finds nothing wrong, and their commands are ours."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headway.cli.server import app

FOLDER = Path(__file__).parents[2] / "docs" / "deployment"
SERVICES = sorted(path.name for path in FOLDER.glob("*.service"))
TIMERS = sorted(path.name for path in FOLDER.glob("*.timer"))


def test_every_job_has_a_timer() -> None:
    assert {name.removesuffix(".timer") for name in TIMERS} < {name.removesuffix(".service") for name in SERVICES}


@pytest.mark.parametrize("name", [*SERVICES, *TIMERS])
def test_systemd_finds_nothing_wrong(name: str, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    for path in FOLDER.glob("headway*"):
        text = re.sub(r"/opt/headway/bin/headway\b", sys.executable, path.read_text())
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        [program, "verify", "--man=no", "--recursive-errors=no", tmp_path / name], capture_output=True, text=True
    )
    ours = [line for line in done.stderr.splitlines() if "headway" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_unit_starts_is_a_command_of_ours(name: str) -> None:
    (command,) = re.findall(r"^ExecStart=(.+)$", (FOLDER / name).read_text(), re.MULTILINE)
    program, group, verb, *options = shlex.split(command)
    assert (program, group) == ("/opt/headway/bin/headway", "server")
    told = CliRunner().invoke(app, [verb, "--help"])
    assert told.exit_code == 0
    assert all(option in told.output for option in options if option.startswith("--"))

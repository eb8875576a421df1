"""The systemd units of the deployment guide, run by a real systemd: as first process of namespaces of its own.

Mounts, processes, network and host name are private, and gone with that process; control groups are the machine's own.
So it runs only where ``HEADWAY_TEST_SYSTEMD=1`` asks for it. Two things differ from a real host: the units' program is
this environment's, and if it lies below a home, that is shown to the units (``ProtectHome=true`` would hide it).
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "deployment"
SYSTEMD = Path("/lib/systemd/systemd")
ASK = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080{}', timeout=10).read().decode())"
TARGETS = "headway-nothing sysinit basic shutdown timers multi-user network network-online time-sync time-set"
"""Stand in for the machine's own units, none of which is started."""
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /etc/systemd/system
mount -t tmpfs -o mode=755 tmpfs /usr/lib/systemd/system
mount -o remount,bind,ro /sys || true
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /run/systemd/system /opt/headway/bin
cp -r {units}/headway* /etc/systemd/system/
for name in {targets}; do printf '[Unit]\nDefaultDependencies=no\n' > /usr/lib/systemd/system/$name.target; done
for name in passwd group; do mount --bind {units}/$name /etc/$name; done
cp {units}/program /opt/headway/bin/headway
export container=test
exec {systemd} --system --unit=headway-nothing.target --log-target=null --show-status=0
"""


class Machine:
    """A systemd that runs our units, and a way to speak with it."""

    def __init__(self, folder: Path) -> None:
        _write_units(folder)
        boot = folder / "boot"
        boot.write_text(BOOT.format(units=folder, systemd=SYSTEMD, targets=TARGETS))
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "--net"]
        self._process = subprocess.Popen([*spaces, "bash", str(boot)], stderr=subprocess.PIPE)
        self._first = self._wait_for_first()

    def _wait_for_first(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for _ in range(300):
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                why = self._process.stderr.read().decode().strip()
                assert "unshare" in why, why
                pytest.skip(f"no namespaces of our own: {why}")
            found = children.read_text().split()
            if found:
                self._first = int(found[0])
                if self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"):
                    return self._first
            time.sleep(0.1)
        self.stop()
        pytest.skip("systemd does not come up here")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--target", str(self._first), "--mount", "--pid", "--net", "--cgroup"]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, timeout=240)
        assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
        return done

    def show(self, unit: str, *names: str) -> dict[str, str]:
        told = self.run("systemctl", "show", unit, "--property", ",".join(names)).stdout
        return dict(line.split("=", 1) for line in told.splitlines())

    def get(self, path: str, tries: int = 200) -> str:
        for _ in range(tries):
            done = self.run(sys.executable, "-c", ASK.format(path), check=False)
            if done.returncode == 0:
                return done.stdout
            time.sleep(0.2)
        raise AssertionError(done.stderr)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def _write_units(folder: Path) -> None:
    for path in FOLDER.glob("headway*.service"), FOLDER.glob("headway*.timer"):
        for unit in path:
            shutil.copy(unit, folder)
            if unit.suffix == ".service":
                (folder / f"{unit.name}.d").mkdir()
                (folder / f"{unit.name}.d" / "test.conf").write_text(_visible())
    for name, line in (("passwd", "headway:x:4242:4242::/:/bin/false"), ("group", "headway:x:4242:")):
        (folder / name).write_text(Path("/etc", name).read_text().rstrip() + f"\n{line}\n")
    program = folder / "program"
    start = "from headway.cli.main import main; main()"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(start)} "$@"\n')
    program.chmod(0o755)


def _visible() -> str:
    """A drop-in that shows the interpreter to the units, where it lies below a home."""
    places = {sysconfig.get_config_var("prefix"), sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])}
    hidden = [place for place in places if Path(place).resolve().is_relative_to("/root") or place.startswith("/home")]
    lines = ["[Service]", *(["ProtectHome=tmpfs"] if hidden else [])]
    return "\n".join([*lines, *(f"BindReadOnlyPaths={place}" for place in hidden)]) + "\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.environ.get("HEADWAY_TEST_SYSTEMD") != "1":
        pytest.skip("boots a systemd as root: set HEADWAY_TEST_SYSTEMD=1 on a machine where that is welcome")
    if os.geteuid() != 0 or not SYSTEMD.exists() or shutil.which("unshare") is None:
        pytest.skip("needs root, systemd and unshare")
    made = Machine(tmp_path)
    yield made
    made.stop()


@pytest.mark.slow
def test_the_units_run(machine: Machine) -> None:
    machine.run("systemctl", "start", "headway.service")
    assert '"ok"' in machine.get("/healthz")
    told = machine.show("headway.service", "ActiveState", "MainPID", "User", "NRestarts")
    assert (told["ActiveState"], told["User"], told["NRestarts"]) == ("active", "headway", "0")
    owner = machine.run("stat", "--format", "%U %a", "/var/lib/headway").stdout.split()
    assert owner == ["headway", "711"]

    for job in ("headway-tick.service", "headway-gc.service"):
        machine.run("systemctl", "start", job)
        assert machine.show(job, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    for timer in ("headway-tick.timer", "headway-gc.timer"):
        machine.run("systemctl", "start", timer)
        assert machine.show(timer, "ActiveState")["ActiveState"] == "active"
    assert "headway-tick.service" in machine.run("systemctl", "list-timers", "--all").stdout

    # Killed, it comes back by itself; stopped, it ends in good order.
    machine.run("systemctl", "kill", "--signal=SIGKILL", "headway.service")
    for _ in range(100):
        if machine.show("headway.service", "NRestarts")["NRestarts"] == "1":
            break
        time.sleep(0.1)
    assert '"ready"' in machine.get("/readyz")
    assert machine.show("headway.service", "NRestarts")["NRestarts"] == "1"
    machine.run("systemctl", "stop", "headway.service")
    ended = machine.show("headway.service", "ActiveState", "Result", "ExecMainStatus")
    assert ended == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}

"""The whole loop, as a person starts it: ``headway demo`` on a small fleet, and what its report claims."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from headway.cli.main import run as cli
from headway.fleet.report.codec import from_json
from headway.fleet.report.history import first_event
from headway.fleet.report.model import FleetReport
from headway.fleet.report.stats import wilson
from headway.publisher.registry import Registry

pytest.importorskip("gunicorn", reason="needs the extra 'server'")
pytest.importorskip("onnxruntime", reason="needs the extra 'sim'")
pytestmark = pytest.mark.timeout(1800)

DEVICES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the real command."""
    out = tmp_path_factory.mktemp("demo") / "out"
    assert cli(["demo", "--out", str(out), "--devices", str(DEVICES), "--quiet"]) == 0
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> FleetReport:
    return from_json((folder / "report.json").read_bytes())


def test_every_chapter_happened(report: FleetReport) -> None:
    codes = [phase.code for phase in report.phases]
    assert codes == [
        "registry",
        "publish",
        "rollout",
        "personalise",
        "bad_release",
        "recall",
        "rollout",
        "personalise",
        "recall",
        "settle",
    ]
    assert [facts.release for facts in report.releases] == [1, 2, 3, 4]
    assert all(facts.proof.agreement.value == 1 for facts in report.releases)


def test_the_good_release_was_taken_in_stages_and_confirmed(report: FleetReport) -> None:
    decisions = [d for d in report.decisions if d.release == 2]
    assert decisions[0].action == "start"
    assert decisions[0].permyriad < 10_000
    assert {"advance", "complete"} <= {d.action for d in decisions}
    confirmed = [d for d in report.devices if first_event(d, "confirmed", 2) is not None]
    assert len(confirmed) >= DEVICES * 3 // 4
    for device in confirmed:
        assert (
            first_event(device, "installed", 2)
            <= first_event(device, "tried", 2)
            <= first_event(device, "confirmed", 2)
        )


def test_devices_trained_on_their_own_text_and_nobody_made_the_figures_up(report: FleetReport) -> None:
    trainings = [t for device in report.devices for t in device.trainings]
    assert len({d.device for d in report.devices if d.training("personalised") is not None}) >= DEVICES // 2
    for training in trainings:
        assert training.samples >= 50
        assert training.after.correct == training.before.correct + training.fixed - training.broken
        assert training.after.n == training.before.n > 0
        assert all(math.isfinite(value) for value in wilson(training.after))
        assert training.accepted or training.after == training.before
    assert any(training.accepted for training in trainings)


def test_the_bad_release_was_rolled_back_and_halted_by_the_server(report: FleetReport) -> None:
    bad = report.bad
    assert bad is not None
    assert bad.release == 3
    assert bad.rolled_back >= 2
    assert set(bad.caught_by) == {"app_veto"}
    assert bad.tried + bad.spared == DEVICES
    halt = next(d for d in report.decisions if d.action == "halt")
    assert halt.release == 3
    assert halt.inputs["rolled_back"] >= 2
    assert halt.inputs["failed_low"] > halt.inputs["policy_max_failed"]
    assert not any(d.release == 3 for d in report.devices)
    assert report.release(3).test.value < report.release(2).test.value


def test_recalls_were_obeyed_also_by_the_device_that_was_away(report: FleetReport) -> None:
    assert [story.release for story in report.recalls] == [3, 4]
    last = report.recalls[-1]
    assert last.holders == last.obeyed >= DEVICES // 2
    assert not any(device.release == 4 for device in report.devices)
    away = [device for device in report.devices if device.offline_from_s is not None]
    assert len(away) == 1
    assert away[0].offline_until_s is not None


def test_every_device_ends_with_exactly_one_runnable_head(report: FleetReport) -> None:
    assert all(device.runnable_heads == 1 for device in report.devices)
    kinds = {fault.kind for fault in report.faults}
    assert {"refused", "truncated", "corrupted", "server_error", "captive_portal", "crash", "offline"} <= kinds
    assert all(fault.sound == fault.devices and fault.injected > 0 for fault in report.faults)


def test_what_devices_said_arrived(report: FleetReport) -> None:
    assert report.traffic.outcomes_sent > 0
    assert 0 < report.traffic.outcomes_accepted <= report.traffic.outcomes_sent
    assert report.traffic.not_modified > 0


def test_no_text_of_a_user_is_in_the_report_or_reached_the_registry(folder: Path, report: FleetReport) -> None:
    from headway.fleet.corpus import find_fixtures, read_utterances

    texts = {u.text for u in read_utterances(find_fixtures().split("test")) if len(u.text) >= 12}
    written = (folder / "report.json").read_text(encoding="utf-8") + (folder / "report.html").read_text("utf-8")
    written += (folder / "registry" / "server.log").read_text(encoding="utf-8")
    database = (folder / "registry" / "headway.db").read_bytes().decode("utf-8", errors="replace")
    assert not [text for text in texts if text in written or text in database]


def test_the_registry_it_left_can_be_used(folder: Path, report: FleetReport) -> None:
    from headway.fleet.registry import RegistryProcess

    with RegistryProcess(folder / "registry") as process, Registry(process.url, process.token, app="demo") as registry:
        assert [row["release"] for row in registry.heads("topic")] == [1, 2, 3, 4]
        assert {row["state"] for row in registry.rollouts()} >= {"halted"}
        channel = registry.channel("stable", report.base.base_id)
        assert {recall.digest for recall in channel.recalls} == {report.release(3).head, report.release(4).head}


def test_a_second_run_does_not_touch_what_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert cli(["demo", "--out", str(tmp_path), "--quiet"]) == 6
    assert "no rehearsal made" in capsys.readouterr().err
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_killed_demo_leaves_no_server_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = "from headway.cli.main import main; main()"
    demo = subprocess.Popen(
        [sys.executable, "-c", command, "demo", "--out", str(out), "--quiet"], env=os.environ, stderr=subprocess.PIPE
    )
    log = out / "registry" / "server.log"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not (log.is_file() and "/v1/apps" in log.read_text()):
        assert demo.poll() is None, demo.stderr.read() if demo.stderr else ""
        time.sleep(0.1)
    address = next(line for line in log.read_text().splitlines() if line.startswith("Serving ")).split()[-1]
    demo.terminate()
    assert demo.wait(timeout=300) == 128 + 15
    if demo.stderr:
        demo.stderr.close()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{address}/healthz", timeout=5)


def test_the_summary_is_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from headway.cli.rehearse import tell

    tell(from_json((folder / "report.json").read_bytes()), folder, as_json=True)
    value = json.loads(capsys.readouterr().out)
    assert value["schema"] == 1
    assert Path(value["page"]).is_file()
    assert len(value["summary"]) == 4

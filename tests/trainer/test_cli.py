"""The trainer's command line: what it refuses before anything is touched, and that its help is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from headway.contract.errors import RefusedError
from headway_trainer.cli import app
from headway_trainer.gate import DeviceReport, Line, Waiver, check_waivers, read_device_report
from headway_trainer.order import ORDER


def refused(*arguments: str) -> RefusedError:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, RefusedError), result.output
    return result.exception


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "run.toml"
    path.write_text("", "utf-8")
    return str(path)


def run_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / "teacher").mkdir()
    (folder / "teacher/model.pt").write_bytes(b"an hour of work")
    return folder


def test_a_configuration_alone_means_run(config: str, tmp_path: Path) -> None:
    assert refused(config, "--steps", "prepare,destil").code == "train.step"
    assert refused("--steps", "destil", config).message == refused("run", config, "--steps", "destil").message
    assert ", ".join(ORDER) in refused(config, "--again", "nothing", "--run", str(tmp_path / "new")).hint


def test_a_run_is_never_thrown_away_by_itself(config: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    error = refused(config, "--run", str(folder))
    assert error.code == "train.folder"
    assert "--resume" in error.hint
    assert "--fresh" in error.hint
    assert (folder / "teacher/model.pt").exists()


def test_a_folder_of_something_else_is_never_touched(config: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"a")
    for more in ([], ["--fresh"], ["--resume"], ["--again", "prepare"]):
        assert "no run folder" in refused(config, "--run", str(tmp_path / "photos"), *more).message
    assert (tmp_path / "photos/a.jpg").exists()


def test_again_forgets_a_step_and_what_came_after_it(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the run itself needs the extra trainer")
    from headway_trainer.binding import forget_from

    folder = run_folder(tmp_path / "run")
    for step in ("prepare", "qat", "gate", "release"):
        (folder / step).mkdir()
    forget_from(folder, "teacher")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "prepare", "release"]


@pytest.mark.parametrize("entry", ["latency", "latency=", "latency= "])
def test_a_waiver_needs_a_reason(config: str, entry: str) -> None:
    error = refused(config, "--waive", entry)
    assert error.code == "train.waiver"
    assert "METRIC=REASON" in error.hint


def test_a_waiver_names_a_line_of_the_gate() -> None:
    lines = (Line("accuracy, news", "> 95 %", "90 %", "failed"), Line("cpu", "< 40 %", "none", "not evidenced"))
    check_waivers(lines, (Waiver("accuracy, news", "a first version"), Waiver("cpu", "no phone here")))
    with pytest.raises(RefusedError, match="names no line") as caught:
        check_waivers(lines, (Waiver("speed", "no phone here"),))
    assert "accuracy, news, cpu" in caught.value.hint


REPORT = {"device": "iPhone 15", "latency_ms": 11.5, "memory_bytes": 60_000_000, "cpu_percent": 22}


def test_a_device_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.json"
    path.write_text(json.dumps(REPORT), "utf-8")
    assert read_device_report(path) == DeviceReport("iPhone 15", 11.5, 60_000_000, 22.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "JSON object"),
        ("[]", "JSON object"),
        (json.dumps({**REPORT, "device": " "}), "name the device"),
        (json.dumps({**REPORT, "latency_ms": -1}), "positive numbers"),
        (json.dumps({**REPORT, "latency_ms": True}), "positive numbers"),
        (json.dumps({**REPORT, "cpu_percent": float("nan")}), "positive numbers"),
        (json.dumps({"device": "iPhone 15"}), "latency_ms"),
    ],
)
def test_a_bad_device_report_is_refused_before_anything_runs(
    config: str, tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "phone.json"
    path.write_text(content, "utf-8")
    error = refused(config, "--device-report", str(path), "--run", str(tmp_path / "run"))
    assert error.code == "train.device_report"
    assert said in error.message


def test_import_by_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows = [f"{label},{label}{number}条" for label in ("体育", "财经") for number in range(30)]
    path.write_bytes("\n".join(["label,text", *rows, ""]).encode("gb18030"))
    result = CliRunner().invoke(app, ["import", str(path), "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["files"][0]["encoding"] == "GB18030"
    told = CliRunner().invoke(app, ["import", str(path), "--out", str(tmp_path / "other")])
    assert "mine.csv" in told.stdout
    assert "体育" in told.stdout


def test_errors_are_sentences_not_traces(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headway_trainer", "import", str(tmp_path / "none.csv"), "--out", str(tmp_path / "o")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert "none.csv cannot be used: it cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_bars_of_libraries_stay_out_of_log_files() -> None:
    pytest.importorskip("tqdm", reason="a dependency of coremltools and transformers")
    bar = "from tqdm import tqdm; list(tqdm(range(3)))"
    quiet = f"from headway_trainer.cli.bars import on_terminals_only; on_terminals_only(); {bar}"
    own = {key: value for key, value in os.environ.items() if key != "TQDM_DISABLE"}
    told = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=own).stderr
        for code in (bar, quiet)
    ]
    assert told[0]
    assert not told[1]

"""The report: reads any run folder, tells what is there and nothing else, in two languages, without a request."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from headway.contract.errors import RefusedError
from headway_trainer.evaluate import Accuracy
from headway_trainer.report.by_set import by_set
from headway_trainer.report.confusion import confusion_svg
from headway_trainer.report.curves import curve_svg
from headway_trainer.report.facts import Curve, read_run
from headway_trainer.report.frontier import candidates, frontier, plans
from headway_trainer.report.standings import best_heads, pooled, standings
from headway_trainer.report.summary import write_summary
from headway_trainer.report.svg import Svg, round_steps
from headway_trainer.report.words import gate_text, metric_pair

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def hits(correct: int, rows: int = 1000) -> dict[str, object]:
    return Accuracy(correct, rows).to_json()


def split(rows: int) -> dict[str, object]:
    counts = {"labels": {"film": rows // 2, "music": rows - rows // 2}, "tokens": rows * 9, "unknown_tokens": 1}
    return {"rows": rows, "digest": "sha256:" + "a" * 64, "length_p50_p99_max": [9, 20, 32], "cut": 2, **counts}


FACTS: dict[str, dict[str, Any]] = {
    "prepare": {
        "splits": {"train": split(8000), "dev": split(1000), "test": split(1000)},
        "unlabelled": {"wiki": {"digest": "sha256:" + "b" * 64, "lines": 70}},
        "tokenizer": "sha256:" + "c" * 64,
    },
    "teacher": {"scores": [0.9, 0.95], "best": 0.95, "curve": [[10, 0.9], [20, 0.4]], "test": hits(950)},
    "second-opinion": {"share": 0.5, "ngrams_test": hits(900), "ngrams_dev": hits(910), "test": hits(955)},
    "distil-general": {"scores": [], "best": None, "curve": [[1, 80.0], [2, 2.0], [3, 0.9]]},
    "distil-task": {"scores": [0.93], "curve": [[5, 0.5]], "dev": hits(930), "test": hits(935)},
    "qat": {"scores": [0.94], "curve": [[5, 0.4]], "dev": hits(940), "test": hits(936)},
    "export-base": {"size_bytes": 5_000_000, "feature_deviation_from_qat": 1e-5, "label_agreement_with_qat": 1.0},
    "fit-heads": {"a-1": {"bytes": 10_000}, "a-2": {"bytes": 20_000}},
    "evaluate": {
        "heads": {
            "a-1": {
                "dev": hits(930),
                "test": hits(941),
                "calibration_error_test": 0.0123,
                "confusion_test": [[480, 20], [39, 461]],
            },
            "a-2": {"dev": hits(945), "test": hits(940), "confusion_test": [[470, 30], [30, 470]]},
        },
        "counted_per_text": {"multiply_adds": 1, "weight_bytes": 2, "phone": "a phone", "at_least_ms": 0.081},
        "speed": {"executor_ms_per_text": 4.0, "pytorch_eager_ms_per_text": 16.0, "ratio": 4.0, "threads": 2},
        "executor_peak_memory_bytes": 36_000_000,
    },
    "gate": {
        "lines": [
            {"metric": "size", "limit": "< 20 MB", "found": "5.00 MB", "verdict": "passed"},
            {"metric": "latency", "limit": "< 25 ms", "found": "no device report", "verdict": "not evidenced"},
        ],
        "waivers": [{"metric": "latency", "reason": "no <phone> here"}],
    },
}
DATA = {"labels": ["film", "music"], "label_titles": ["电影", "音乐"]}


SEVERAL: dict[str, dict[str, Any]] = {
    "prepare": {"sets": {name: {"splits": {"test": split(1000)}} for name in ("news", "mood")}},
    "teacher": {"test": {"sets": {"news": hits(900), "mood": hits(800)}}},
    "qat": {"test": {"sets": {"news": hits(885), "mood": hits(850)}}},
    "evaluate": {
        "heads": {
            "news-a": {"set": "news", "dev": hits(870), "test": hits(891)},
            "news-b": {"set": "news", "dev": hits(880), "test": hits(890)},
            "mood-a": {"set": "mood", "test_is_dev": True, "dev": hits(860), "test": hits(860)},
            "new-a": {"set": "new", "held_out": True, "dev": hits(700), "test": hits(700)},
        }
    },
}
PLANS = {
    "plans": {
        "8": {"size_bytes": 6_700_000, "test": hits(925), "executor_ms_per_text": 3.4},
        "4": {"size_bytes": 3_100_000, "test": hits(926), "parity": {"deviation": 6.8e-5, "agreement": 1.0}},
    }
}


def run_folder(folder: Path, facts: dict[str, Any] | None = None, data: dict[str, Any] | None = None) -> Path:
    folder.mkdir()
    config = {"base_id": "mine", "version": "2", "data": data or DATA}
    (folder / "config.json").write_text(json.dumps({"digest": "sha256:d", "config": config}), "utf-8")
    for step, found in (FACTS if facts is None else facts).items():
        (folder / step).mkdir()
        (folder / step / "facts.json").write_text(json.dumps({**found, "seconds": 60.0}), "utf-8")
    return folder


def test_one_summary_and_its_curves(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    write_summary(folder)
    found = json.loads((folder / "facts.json").read_text("utf-8"))
    assert list(found["steps"]) == list(FACTS), "in the order of a run"
    assert found["steps"]["teacher"]["best"] == 0.95
    assert (found["base_id"], found["config_digest"], found["seconds"]) == ("mine", "sha256:d", 60.0 * len(FACTS))
    drawn = sorted(path.name for path in (folder / "curves").iterdir())
    assert drawn == ["distil-general.svg", "distil-task.svg", "qat.svg", "teacher.svg"]
    for name in drawn:
        assert ElementTree.parse(folder / "curves" / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_summary(folder)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no run folder"):
        read_run(tmp_path)
    folder = run_folder(tmp_path / "run")
    (folder / "qat/facts.json").write_text("{", "utf-8")
    with pytest.raises(RefusedError, match=r"qat/facts\.json is damaged") as caught:
        read_run(folder)
    assert "--again qat" in caught.value.hint


def test_standings_take_one_set_or_several(tmp_path: Path) -> None:
    told = {standing.model[0]: standing for standing in standings(read_run(run_folder(tmp_path / "one")))}
    assert told["exported, a-1"].test == Accuracy(941, 1000)
    assert told["teacher"].dev is None
    several = {
        "teacher": {"test": {"sets": {"news": hits(900), "mood": hits(400, 500)}}},
        "evaluate": {
            "heads": {
                "news-a": {"set": "news", "dev": hits(880), "test": hits(890)},
                "news-b": {"set": "news", "dev": hits(870), "test": hits(899)},
                "mood-a": {"set": "mood", "dev": hits(390, 500), "test": hits(395, 500)},
                "new-a": {"set": "new", "held_out": True, "dev": hits(700), "test": hits(700)},
            }
        },
    }
    run = read_run(run_folder(tmp_path / "two", several))
    assert [(s.group, s.model[0]) for s in standings(run)][:3] == [
        ("news", "teacher"),
        ("news", "exported, news-a"),
        ("news", "exported, news-b"),
    ]
    assert [head.name for head in best_heads(run)] == ["news-a", "mood-a"], "the best on dev of each set that taught"
    assert pooled(head.test for head in best_heads(run)) == Accuracy(1285, 1500)


def test_a_run_of_several_sets_has_a_row_for_each(tmp_path: Path) -> None:
    news, mood, new = by_set(read_run(run_folder(tmp_path / "run", SEVERAL)))
    assert news.head.name == "news-b", "the best on dev"
    assert (news.teacher, news.float32, news.int8) == (Accuracy(900, 1000), None, Accuracy(885, 1000))
    assert news.below == ("1.00 below", "低 1.00")
    assert mood.below == ("6.00 above", "高 6.00"), "never minus six points below"
    assert new.below is None, "the teacher never saw it"
    page = rendered(tmp_path / "run")
    for told in ("89.00 [86.91, 90.79]", "6.00 above", "measured on dev", "held out", "2 splits of 3 sets", "2.50"):
        assert told in page, told
    assert "points above the teacher" in page
    assert by_set(read_run(run_folder(tmp_path / "one"))) == []


def test_widths_that_were_measured_are_compared(tmp_path: Path) -> None:
    half = {"rows": 8, "safe": False, "rows_not_finite": 2, "below_margin": [{}], "operations": 90}
    folder = run_folder(tmp_path / "run", {**FACTS, "compress": PLANS, "half": {**half, "feature_deviation": None}})
    assert [(plan.name, plan.megabytes) for plan in plans(read_run(folder))] == [("8", 6.7), ("4", 3.1)]
    page = rendered(folder)
    for told in ("Fewer bits", "3.10 MB", "6.8e-05 · 100.00 %", "Accuracy against size", "float16", "2 / 8"):
        assert told in page, told
    assert "Fewer bits" not in rendered(run_folder(tmp_path / "other"))


def test_the_frontier_holds_who_is_beaten_by_none() -> None:
    assert frontier([(5, 0.9), (6, 0.95), (7, 0.94), (5, 0.8), (9, 0.95)]) == {0, 1}
    assert frontier([(5, 0.9), (5, 0.9)]) == {0, 1}


def test_a_candidate_is_the_head_that_is_best_on_dev(tmp_path: Path) -> None:
    (only,) = candidates([read_run(run_folder(tmp_path / "run"))])
    assert only.accuracy == Accuracy(940, 1000), "not the one that happens to be best on test"
    assert only.megabytes == pytest.approx(5.02)
    assert candidates([read_run(run_folder(tmp_path / "young", {}))]) == []


def test_confusion_shows_names_and_shares() -> None:
    drawn = confusion_svg(((480, 20), (39, 461)), [("film", "电影"), ("music", "音乐")]).render()
    assert 'lang="zh-CN">电影</text>' in drawn
    assert "film → music: 20 / 500 (4.0 %)" in drawn
    assert "96.0 %  (500)" in drawn


@pytest.mark.parametrize(
    "losses",
    [[(1, 0.5)], [(1, 0.0), (2, 0.0)], [(1, 80.0), (900, 0.001)], [(1, -1.0), (2, 3.0)], [(5, 1e-9), (6, 1e9)]],
)
@pytest.mark.parametrize("scores", [(), (0.5,), (0.0, 1.0), (0.9,) * 40])
def test_curves_of_any_shape_are_drawn_inside_their_frame(losses: Any, scores: Any) -> None:
    drawn = curve_svg(Curve("qat", tuple(losses), scores)).render_alone()
    root = ElementTree.fromstring(drawn)
    for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
        for point in (line.get("points") or "").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 760
            assert 30 <= y <= 210


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.912, 0.934), (0, 2304), (1e-6, 2e-6), (-3, 5), (1, 1)])
def test_round_steps_stay_inside(low: float, high: float) -> None:
    found = round_steps(low, high)
    assert found == sorted(found)
    assert len(found) <= 7
    assert all(low - 1e-9 <= step <= high + max(1e-9, (high - low) * 1e-6) for step in found)


def test_drawings_escape_what_they_are_given() -> None:
    svg = Svg(10, 10, ("<a>", "<b>"))
    svg.text(1, 1, "<script>", "")
    svg.circle(1, 1, 1, "dot", '"><script>')
    assert "<script" not in svg.render()


def test_lines_of_the_gate_in_both_languages() -> None:
    assert metric_pair("accuracy, news") == ("accuracy on test, news", "测试集准确率, news")
    assert gate_text("no device report")[1] == "没有设备报告"
    assert gate_text("5.00 MB") == ("5.00 MB", "5.00 MB")


def rendered(*folders: Path) -> str:
    pytest.importorskip("jinja2", reason="the page needs the extra trainer")
    from headway_trainer.report.page import render

    return render([read_run(folder) for folder in folders])


def test_the_page_of_one_run_tells_all_of_it(tmp_path: Path) -> None:
    page = rendered(run_folder(tmp_path / "run"))
    for told in (
        str(Accuracy(941, 1000)),
        "film → music",
        "sha256:" + "a" * 64,
        "sha256:" + "b" * 64,
        "5.00 MB",
        "≥ 0.081 ms",
        "校准误差</span> 1.2 %",
    ):
        assert told in page, told
    assert "no &lt;phone&gt; here" in page
    assert "电影" in page
    assert "The runs compared" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page), "nothing is fetched"


def test_the_page_of_several_runs_compares_them(tmp_path: Path) -> None:
    page = rendered(run_folder(tmp_path / "first"), run_folder(tmp_path / "second"))
    assert "The runs compared" in page
    assert page.count('<h2 id="run-') == 2


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path: Path) -> None:
    page = rendered(run_folder(tmp_path / "run", {"prepare": FACTS["prepare"]}))
    assert "The gate" not in page
    assert "Losses" not in page.split("<main>")[1]
    assert rendered(run_folder(tmp_path / "empty", {}))


def test_help_and_report_need_no_torch(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = sys.modules['coremltools'] = None\n"
        "from typer.testing import CliRunner\n"
        "from headway_trainer.cli import app\n"
        "for arguments in (['--help'], ['run', '--help'], ['import', '--help'], ['report', sys.argv[1]]):\n"
        "    result = CliRunner().invoke(app, arguments)\n"
        "    assert result.exit_code == 0, result.output\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as api:
        chromium = api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        yield chromium
        chromium.close()


def test_each_language_is_whole_and_nothing_is_asked_of_the_network(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    several = run_folder(tmp_path / "second", {**SEVERAL, "compress": PLANS})
    path.write_text(rendered(run_folder(tmp_path / "first"), several), "utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page.set_default_timeout(120_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(path.as_uri()) else said.append(request.url))
    page.goto(path.as_uri())
    english = page.locator("main").inner_text()
    assert "What was taken for what" in english
    assert not re.search(r"[\u4e00-\u9fff]", english)
    page.locator("label[for=language-zh]").click()
    page.get_by_text("混淆矩阵").first.wait_for(state="visible")
    chinese = page.locator("main").inner_text()
    assert "混淆矩阵" in chinese
    assert "电影" in chinese
    assert "What was taken for what" not in chinese
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
    assert said == []

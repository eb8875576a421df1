"""The report: its JSON round-trips strictly, its statistics are right, its page is self-contained and bilingual."""

from __future__ import annotations

import dataclasses
import html
import itertools
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.cli.main import run as cli
from headway.contract.compat import SENTENCES
from headway.contract.errors import RefusedError
from headway.fleet.report import words
from headway.fleet.report.codec import from_json, to_json
from headway.fleet.report.history import counted, running, spans
from headway.fleet.report.model import FleetReport, Share
from headway.fleet.report.page import render
from headway.fleet.report.stats import Pooled, paired_interval, sign_test, wilson
from headway.fleet.report.summary import paragraphs, tiles

from .sample import sample

VOID = {"meta", "link", "input", "br", "rect", "circle", "line", "path"}


def test_the_json_gives_back_the_same_report() -> None:
    report = sample()
    assert from_json(to_json(report)) == report


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"schema": 2}, "$.schema"),
        ({"devices": {}}, "$.devices"),
        ({"seed": "7"}, "$.seed"),
        ({"wall_s": None}, "$.wall_s"),
        ({"base": {"base_id": "x"}}, "$.base.version"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], where: str) -> None:
    value = json.loads(to_json(sample())) | change
    with pytest.raises(RefusedError, match=re.escape(where)):
        from_json(json.dumps(value))


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        from_json(b"<html>")
    assert caught.value.code == "malformed"


def test_wilson_gives_the_published_values() -> None:
    # R's binom::binom.confint(c(9, 0, 50), c(10, 20, 50), methods = "wilson")
    for share, low, high in ((Share(9, 10), 0.5958, 0.9821), (Share(0, 20), 0.0, 0.1611), (Share(50, 50), 0.9287, 1.0)):
        assert wilson(share) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 200), st.integers(0, 200))
def test_an_interval_holds_its_share(correct: int, more: int) -> None:
    share = Share(correct, correct + more)
    low, high = wilson(share)
    assert 0 <= low <= high <= 1
    assert share.n == 0 or low - 1e-12 <= share.value <= high + 1e-12


def test_the_sign_test_is_exact() -> None:
    assert sign_test(0, 0) == 1
    assert sign_test(5, 5) == 1
    assert sign_test(10, 0) == pytest.approx(2 / 1024)
    assert sign_test(3, 1) == sign_test(1, 3) == pytest.approx(0.625)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_the_paired_interval_is_ordered_and_mirrors(fixed: int, broken: int, same: int) -> None:
    n = fixed + broken + same
    low, high = paired_interval(fixed, broken, n)
    assert -1 <= low <= high <= 1
    if n:
        other = paired_interval(broken, fixed, n)
        assert (low, high) == pytest.approx((-other[1], -other[0]))
        assert low <= (fixed - broken) / (n + 2) <= high


def test_spans_cover_a_life_without_gaps() -> None:
    report = sample()
    for device in report.devices:
        life = spans(device, report.simulated_s)
        assert life[0].start_s == 0
        assert life[-1].end_s == report.simulated_s
        assert all(a.end_s == b.start_s for a, b in itertools.pairwise(life))
        assert life[-1].release == device.release


def test_every_device_is_counted_at_every_moment() -> None:
    report = sample()
    assert all(sum(counts.values()) == len(report.devices) for _, counts in running(report))


def test_counted_counts_each_device_once() -> None:
    report = sample()
    assert counted(report, 3, "rolled_back")[-1][1] == 5
    assert counted(report, 2, "confirmed")[-1][1] == 24
    assert counted(report, 9, "confirmed") == []


class Page(HTMLParser):
    """Reads a page: its balance of tags, and every text by language."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, str | None]] = []
        self.by_language: dict[str, list[str]] = {"en": [], "zh-CN": []}
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.extend(attrs)
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("lang")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.extend(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop()[0] == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        languages = [lang for tag, lang in self.open if lang and tag != "html"]
        if languages and data.strip():
            self.by_language[languages[-1]].append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample())


def test_the_page_is_well_formed_and_says_everything_twice(page: str) -> None:
    reader = Page()
    reader.feed(page)
    assert reader.open == []
    english, chinese = reader.by_language["en"], reader.by_language["zh-CN"]
    assert len(english) == len(chinese) > 200
    assert not any(re.search(r"[\u4e00-\u9fff]", text) for text in english)


def test_the_page_asks_the_network_for_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    reader = Page()
    reader.feed(page)
    links = [value for name, value in reader.attributes if name in ("src", "href", "action", "xlink:href")]
    assert links
    assert all(value is not None and value.startswith(("#", "data:")) for value in links)
    assert not re.search(r"url\((?!\"#)", page)
    assert "@import" not in page


def test_the_page_holds_the_figures(page: str) -> None:
    report = sample()
    for decision in report.decisions:
        assert decision.reason in html.unescape(page)
    for device in report.devices:
        assert f">{device.device}</th>" in page


def test_values_are_escaped() -> None:
    report = dataclasses.replace(sample(), scenario="<script>alert(1)</script>", head_name="a&b")
    assert "<script>alert" not in render(report)


def test_a_run_without_a_bad_release_or_recall_still_has_a_page() -> None:
    report = dataclasses.replace(sample(), bad=None, recalls=(), faults=())
    text = render(report)
    assert 'id="bad"' not in text
    assert 'id="recall"' not in text
    assert len(paragraphs(report)) == 2


def test_unknown_codes_show_as_themselves() -> None:
    assert words.sentence("something_new") == ("something new", "something_new")
    assert words.sentence(None) == ("", "")
    for reason, pair in SENTENCES.items():
        assert words.sentence(reason.value) == pair


def test_a_small_gain_is_called_small() -> None:
    results = [training for d in sample().devices for training in d.trainings]
    nothing = Pooled([dataclasses.replace(r, after=r.before, fixed=0, broken=0) for r in results])
    assert nothing.gain == 0
    assert nothing.low < 0 < nothing.high
    assert nothing.p == 1


def test_every_figure_of_the_tiles_is_finite() -> None:
    def check(report: FleetReport) -> None:
        for tile in tiles(report):
            numbers = re.findall(r"-?\d+\.?\d*", tile.figure)
            assert numbers
            assert all(math.isfinite(float(number)) for number in numbers)

    check(sample())
    check(sample(devices=8))


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    result = tmp_path / "report.json"
    result.write_text(to_json(sample()), encoding="utf-8")
    assert cli(["report", str(result)]) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(sample())

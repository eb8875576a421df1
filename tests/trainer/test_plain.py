"""What needs no torch: corpora, configuration, intervals, the gate, golden rows, pieces of texts."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the configuration covers the training steps, which need the extra trainer")
pytest.importorskip("transformers", reason="the configuration covers the training steps, which need the extra trainer")

from headway.contract.errors import RefusedError
from headway_trainer.config import read_config
from headway_trainer.data.corpora import Lines, read_labelled, read_lines, segments
from headway_trainer.data.examples import UNLABELLED, pieces
from headway_trainer.data.golden import choose
from headway_trainer.evaluate import Accuracy, accuracy, confusion, wilson
from headway_trainer.gate import DeviceReport, GateConfig, Measured, Waiver, gate, released

FIXTURE = Path(__file__).parents[2] / "trainer/configs/fixture.toml"


def test_rows_split_at_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.xz"
    path.write_bytes(lzma.compress("label\tdialogue\ttext\nfilm\td1\t一\u2028二\nmusic\td2\t三\n".encode()))
    rows = read_labelled(path)
    assert rows.texts == ("一\u2028二", "三")
    assert rows.label_ids(("film", "music")) == [0, 1]
    assert rows.name == "a"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("text\n一\n", "header"),
        ("label\ttext\nfilm\n", "line 2: 1 fields"),
        ("label\ttext\nfilm\t一\n\t二\n", "line 3: the label or the text is empty"),
        ("label\ttext\n", "no rows"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(content, "utf-8")
    with pytest.raises(RefusedError, match=why):
        read_labelled(path)


def test_a_row_is_named_by_the_file_as_it_was_called(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "two/train.tsv").write_text("label\ttext\n\t二\n", "utf-8")
    with pytest.raises(RefusedError, match=r"two/train\.tsv, line 2: the label"):
        read_labelled(tmp_path / "two/train.tsv", called="two/train.tsv")
    (tmp_path / "one/train.tsv").write_text("label\ttext\nfilm\t一\n", "utf-8")
    assert read_labelled(tmp_path / "one/train.tsv", called="one/train.tsv").name == "one/train"


@pytest.mark.parametrize("read", [read_labelled, read_lines])
def test_a_file_that_is_not_there_is_asked_for_where_it_is_looked_for(tmp_path: Path, read: Any) -> None:
    with pytest.raises(RefusedError, match=r"There is no file .*a\.tsv\.xz") as caught:
        read(tmp_path / "a.tsv.xz")
    assert caught.value.code == "train.corpus"
    assert "--data" in caught.value.hint
    assert "--corpora" in caught.value.hint


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "b.txt.xz").write_bytes(b"no xz")
    for name in ("a.txt", "b.txt.xz"):
        with pytest.raises(RefusedError, match=name):
            read_lines(tmp_path / name)


def test_unknown_label_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("label\ttext\nsport\t一\n", "utf-8")
    with pytest.raises(RefusedError, match="sport"):
        read_labelled(path).label_ids(("film",))


def test_segments_join_sentences_up_to_a_length() -> None:
    lines = Lines("a", ("今天天气很好。我们去公园吧！好。" + "很" * 30,), "")
    assert segments(lines, 16) == ["今天天气很好。我们去公园吧！好。", "很" * 30]


def test_wilson_against_published_values() -> None:
    low, high = wilson(81, 263)
    assert (low, high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)
    with pytest.raises(ValueError, match="no count"):
        wilson(3, 2)


def test_accuracy_and_confusion() -> None:
    assert accuracy([0, 1, 1], [0, 1, 0]) == Accuracy(2, 3)
    assert confusion([0, 1, 1], [0, 1, 0], 2) == [[1, 1], [0, 1]]
    assert str(Accuracy(92, 100)).startswith("92.00 % [85.")


def test_golden_rows_are_balanced_and_steady() -> None:
    labels = [0] * 50 + [1] * 20 + [2] * 3
    rows = choose(labels, 12, seed=1)
    assert rows == choose(labels, 12, seed=1) == sorted(rows)
    assert sorted(labels[row] for row in rows).count(2) == 3
    assert len(rows) == 12


def test_pieces_keep_the_marks_and_have_no_label() -> None:
    found = pieces([[2, *range(10, 20), 3], [2, 10, 3]], per_text=3, shortest=4, seed=1)
    assert len(found.ids) == 3
    assert set(found.labels) == {UNLABELLED}
    assert all(row[0] == 2 and row[-1] == 3 and 6 <= len(row) <= 11 for row in found.ids)


GOOD = Measured(
    size_bytes=7_000_000,
    exported=Accuracy(960, 1000),
    teacher=Accuracy(970, 1000),
    memory_bytes=40_000_000,
    feature_deviation=1e-5,
    agreement=1.0,
)


def verdicts(measured: Measured, report: DeviceReport | None = None) -> dict[str, str]:
    return {line.metric: line.verdict for line in gate(measured, GateConfig(), report)}


def test_gate_never_passes_what_only_a_phone_can_show() -> None:
    found = verdicts(GOOD)
    assert found["latency"] == found["cpu"] == "not evidenced"
    assert {found[m] for m in ("size", "accuracy", "below teacher", "parity", "memory")} == {"passed"}


def test_gate_takes_a_device_report() -> None:
    found = verdicts(GOOD, DeviceReport("a phone", latency_ms=12, memory_bytes=150_000_000, cpu_percent=30))
    assert found["latency"] == found["cpu"] == "passed"
    assert found["memory"] == "failed"


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"size_bytes": 20_000_000}, "size"),
        ({"exported": Accuracy(950, 1000)}, "accuracy"),
        ({"teacher": Accuracy(980, 1000)}, "below teacher"),
        ({"feature_deviation": 0.01}, "parity"),
        ({"agreement": 0.999}, "parity"),
        ({"memory_bytes": 100_000_000}, "memory"),
    ],
)
def test_gate_fails_at_its_limits(change: dict[str, object], metric: str) -> None:
    values = {name: getattr(GOOD, name) for name in Measured.__slots__}
    assert verdicts(Measured(**{**values, **change}))[metric] == "failed"


def test_a_release_needs_every_line_or_a_reason() -> None:
    lines = gate(GOOD, GateConfig())
    with pytest.raises(RefusedError) as caught:
        released(lines, (Waiver("latency", "no phone here"), Waiver("cpu", " ")))
    assert caught.value.code == "train.gate"
    assert "cpu" in caught.value.message
    assert "latency" not in caught.value.message
    released(lines, (Waiver("latency", "no phone here"), Waiver("cpu", "no phone here")))


def test_the_fixture_configuration_reads() -> None:
    config = read_config(FIXTURE)
    assert config.base_id == "kdconv-mobilebert"
    assert config.data.labels == ("film", "music", "travel")


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("seed = 1", 'seed = "1"', "seed"),
        ("seed = 1", "seed = true", "seed"),
        ("seed = 1", "sead = 1", "sead"),
        ("seed = 1", "", "seed"),
        ("layers = 4", "layer = 4", "student: layer"),
        ('pooling = "mean_max"', 'pooling = "max"', "pooling"),
        ("[data]", "[data", "no TOML"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, old: str, new: str, where: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(FIXTURE.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(RefusedError, match=where):
        read_config(path)

"""Importing a person's own texts: every encoding and format, every fault named with its line, no text on two sides."""

from __future__ import annotations

import gzip
import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.contract.errors import RefusedError
from headway_trainer.data.checks import text_key
from headway_trainer.data.corpora import read_labelled
from headway_trainer.importing.columns import Wanted
from headway_trainer.importing.importer import Order, import_texts
from headway_trainer.importing.rows import Row, read_source
from headway_trainer.importing.splitting import Shares, deal
from headway_trainer.importing.telling import tell
from headway_trainer.importing.writing import slug

VOCABULARY = Path(__file__).parents[2] / "ios_fixtures/models/base/vocab.txt"
SIGNS = "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会"


def body(count: int, label: str) -> list[tuple[str, str]]:
    """Rows of one label whose texts are all different."""
    return [(label, f"{label}{SIGNS[i % 40]}{SIGNS[i // 40]}好") for i in range(count)]


ROWS = [*body(60, "体育"), *body(30, "财经"), *body(10, "科技")]
CSV = "label,text\n" + "".join(f"{label},{text}\n" for label, text in ROWS)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def imported(folder: Path, *files: Path, **more: Any) -> dict[str, Any]:
    return import_texts(Order(files=files, out=folder / "out", vocabulary=VOCABULARY, **more))


def refused(folder: Path, *files: Path, **more: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        imported(folder, *files, **more)
    assert not (folder / "out").exists(), "nothing is written of what is refused"
    return caught.value


def test_one_file_becomes_three_splits_and_a_configuration(tmp_path: Path) -> None:
    report = imported(tmp_path, write(tmp_path, "mine.csv", CSV), title="My News", licence="CC0-1.0")
    assert report["made_here"] == ["dev", "test"]
    assert {name: split["rows"] for name, split in report["splits"].items()} == {"train": 80, "dev": 10, "test": 10}
    assert report["splits"]["test"]["labels"] == {"体育": 6, "科技": 1, "财经": 3}
    assert report["imbalance"]["ratio"] == 6
    assert report["max_length"] == 32
    out = tmp_path / "out"
    splits = {name: read_labelled(out / f"{name}.tsv.xz") for name in ("train", "dev", "test")}
    assert sorted(text for split in splits.values() for text in split.texts) == sorted(text for _, text in ROWS)
    assert splits["train"].digest == report["written"]["train"]["digest"]
    assert json.loads((out / "import.json").read_text("utf-8")) == report
    assert "科技" in tell(report)


def test_the_configuration_it_leaves_is_one_that_a_run_reads(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the configuration covers the training steps, which need the extra trainer")
    pytest.importorskip("transformers", reason="the same")
    from headway_trainer.config import read_config

    imported(tmp_path, write(tmp_path, "mine.csv", CSV), title='Quotes " and \\ 和\x7f')
    config = read_config(tmp_path / "out/run.toml")
    assert config.data.labels == config.data.label_titles == ("体育", "科技", "财经")
    assert config.data.title == 'Quotes " and \\ 和\x7f'
    assert config.base_id == "quotes-and"
    assert (tmp_path / "out" / config.data.vocabulary).exists()


def test_equal_rows_give_equal_files(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.csv", CSV)
    for name in ("a", "b"):
        import_texts(Order(files=[path], out=tmp_path / name, vocabulary=VOCABULARY, title="t"))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    other = import_texts(Order(files=[tmp_path / "mine.csv"], out=tmp_path / "c", vocabulary=VOCABULARY, seed=2))
    assert other["written"]["test"]["digest"] != json.loads((tmp_path / "a/import.json").read_text())["written"]["test"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (CSV.encode(), "UTF-8"),
        (b"\xef\xbb\xbf" + CSV.encode(), "UTF-8 with byte order mark"),
        (CSV.encode("utf-16"), "UTF-16"),
        (CSV.encode("gb18030"), "GB18030"),
        (CSV.replace("\n", "\r\n").encode("gb18030"), "GB18030"),
    ],
    ids=["utf-8", "bom", "utf-16", "gb18030", "gb18030-crlf"],
)
def test_encodings_are_found_and_told(tmp_path: Path, content: bytes, encoding: str) -> None:
    source = read_source(write(tmp_path, "a.csv", content), Wanted())
    assert source.facts["encoding"] == encoding
    assert [(row.label, row.text) for row in source.rows] == ROWS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tlabel\n一\t甲\n二\t乙\n"),
        ("a.tsv.xz", lzma.compress("text\tlabel\n一\t甲\n二\t乙\n".encode())),
        ("a.csv.gz", gzip.compress("text,label\n一,甲\n二,乙\n".encode(), mtime=0)),
        ("a.csv", "text;label\n一;甲\n二;乙\n"),
        ("a.jsonl", '{"text": "一", "label": "甲", "more": [1]}\n\n{"label": "乙", "text": "二"}\n'),
        ("a.txt", '{"content": "一", "category": "甲"}\n{"content": "二", "category": "乙"}\n'),
        ("a.txt", "标签\t文本\n甲\t一\n乙\t二\n"),
        ("a.csv", '"text","label"\n"一","甲"\n"二","乙"\n'),
    ],
)
def test_formats_and_names_of_columns(tmp_path: Path, name: str, content: str | bytes) -> None:
    source = read_source(write(tmp_path, name, content), Wanted())
    assert [(row.label, row.text) for row in source.rows] == [("甲", "一"), ("乙", "二")]


def test_a_field_in_quotes_may_hold_line_breaks_and_its_row_names_its_line(tmp_path: Path) -> None:
    source = read_source(write(tmp_path, "a.csv", 'label,text\n甲,"一\n二, ""三"""\n乙,四\n'), Wanted())
    assert [row.text for row in source.rows] == ['一 二, "三"', "四"]
    assert [row.line for row in source.rows] == [3, 4]


def test_columns_without_names_are_guessed_by_what_they_hold(tmp_path: Path) -> None:
    rows = "".join(f"{index}\t{text}\t{label}\n" for index, (label, text) in enumerate(ROWS))
    source = read_source(write(tmp_path, "a.tsv", rows), Wanted())
    assert [(row.label, row.text) for row in source.rows] == ROWS
    assert source.facts["columns"] == {"text": "2", "label": "3"}
    assert source.facts["guessed"] == ["text", "label"]


def test_columns_by_number_and_an_unknown_header(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "alpha,beta\n一,甲\n二,乙\n三,甲\n")
    source = read_source(path, Wanted(text="1", label="BETA"))
    assert [row.label for row in source.rows] == ["甲", "乙", "甲"]
    assert source.facts["guessed"] == []


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        (
            "a.csv",
            "label,text\n甲,一\n,二\n ,三\n",
            "import.label",
            r"a\.csv, line 3: the label is missing \(and 1 more",
        ),
        ("a.jsonl", '{"text":"一","label":"甲"}\n{"text":"二"}\n', "import.label", "line 2: the label is missing"),
        ("a.csv", "label,text\n甲,一\n乙, \n", "import.text", "line 3: the text is empty"),
        ("a.csv", "label,text\n甲,一\n乙,\u200b\n", "import.text", "line 3: the text is empty"),
        ("a.csv", "label,text\n甲,一\n乙\n", "import.row", "line 3: 1 fields, the first line has 2"),
        ("a.csv", 'label,text\n甲,"一"x\n', "import.row", "line 2: the row is not readable as CSV"),
        ("a.jsonl", '{"text":"一","label":"甲"}\n{"text":\n', "import.row", "line 2: the line is no JSON"),
        ("a.jsonl", "[1]\n", "import.row", "line 1: the line is no JSON object"),
        ("a.csv", "label,text\n甲,一\n甲,二\n", "import.file", "every row has the same label"),
        ("a.csv", "label,text\n", "import.file", "no rows after the header"),
        ("a.csv", "", "import.file", "no rows"),
        ("a.jsonl", "\n", "import.file", "no rows"),
        ("a.csv", "text\n一\n", "import.file", "one column"),
        ("a.csv", "a,b\n一,二\n三,四\n五,六\n", "import.file", "no column looks like labels"),
        ("a.csv", b"label,text\n\x00,1\n", "import.encoding", "line 2: there is a zero byte"),
        ("a.csv", CSV.encode() + b"\xff,x\n", "import.encoding", "line 102: the bytes are not UTF-8"),
        ("a.csv", "label,text\n甲,一\n".encode("gb18030") + b"\xff\xff\n", "import.encoding", "not UTF-8 or GB18030"),
        ("a.csv.xz", b"no xz", "import.file", r"no whole \.xz"),
    ],
)
def test_faults_are_named_in_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, code: str, said: str
) -> None:
    error = refused(tmp_path, write(tmp_path, name, content))
    assert error.code == code
    assert re.search(said, error.message), error.message
    assert error.message.endswith(".")
    assert error.hint


def test_faults_never_quote_a_text(tmp_path: Path) -> None:
    error = refused(tmp_path, write(tmp_path, "a.csv", "label,text\n甲,一\n,秘密的话\n"))
    assert "秘密" not in error.message + error.hint + str(error.data)


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", CSV)
    gone = refused(tmp_path, tmp_path / "none.csv")
    assert "cannot be read" in gone.message
    assert gone.kind == "not_found"
    assert "no column topic" in refused(tmp_path, path, columns=Wanted(label="topic")).message
    assert "same column" in refused(tmp_path, path, columns=Wanted(label="text")).message
    with pytest.raises(RefusedError, match="cannot be read") as caught:
        import_texts(Order(files=[path], out=tmp_path / "out", vocabulary=tmp_path / "none.txt"))
    assert caught.value.kind == "not_found"
    (tmp_path / "full").mkdir()
    write(tmp_path / "full", "x", "y")
    with pytest.raises(RefusedError, match="not empty"):
        import_texts(Order(files=[path], out=tmp_path / "full", vocabulary=VOCABULARY))


def test_repeats_conflicts_and_leaks_are_found_as_the_tokenizer_sees_them(tmp_path: Path) -> None:
    train = CSV + "体育,“Ａ比Ｂ好”…\n财经,今天 涨 了\n" + "体育,Hello\n体育,hello \n" + "体育,两说\n财经,两 说\n"
    test = 'label,text\n体育,"""ａ比ｂ好""."\n财经,今天涨了\n财经,今天涨了\n科技,新\n'
    report = imported(tmp_path, write(tmp_path, "mine.csv", train), write(tmp_path, "test.csv", test))
    assert report["leakage"]["train in test"] == {"rows": 2, "examples": ["mine.csv:102", "mine.csv:103"]}
    assert report["duplicates"]["dropped from train"] == 1
    assert report["duplicates"]["examples"] == ["mine.csv:104 = mine.csv:105"]
    assert report["duplicates"]["kept in test"] == 1
    assert report["conflicts"]["texts"] == 1
    assert report["conflicts"]["examples"] == [["mine.csv:106 体育", "mine.csv:107 财经"]]
    assert report["made_here"] == ["dev"]
    assert report["splits"]["test"]["rows"] == 4, "a test set that was given is measured on as it is"
    assert report["splits"]["train"]["rows"] + report["splits"]["dev"]["rows"] == len(ROWS) + 1
    told = tell(report)
    assert "2 rows of train stand in test too and were left out of train" in told
    keys = [{text_key(text) for text in read_labelled(tmp_path / f"out/{n}.tsv.xz").texts} for n in ("train", "test")]
    assert not keys[0] & keys[1]


def test_a_test_row_with_a_label_of_its_own_is_named(tmp_path: Path) -> None:
    test = write(tmp_path, "test.csv", "label,text\n体育,一\n天气,二\n")
    error = refused(tmp_path, write(tmp_path, "mine.csv", CSV), test)
    assert "test.csv, line 3: no training row has the label of this test row" in error.message


def test_groups_stay_together(tmp_path: Path) -> None:
    rows = "label,text,talk\n" + "".join(f"{label},{text},d{i % 25}\n" for i, (label, text) in enumerate(ROWS))
    report = imported(tmp_path, write(tmp_path, "mine.csv", rows), columns=Wanted(group="talk"))
    assert 74 <= report["splits"]["train"]["rows"] <= 84, "near its share, as far as whole groups allow"
    groups = []
    for name in ("train", "dev", "test"):
        lines = lzma.decompress((tmp_path / f"out/{name}.tsv.xz").read_bytes()).decode().splitlines()
        assert lines[0] == "label\tgroup\ttext"
        groups.append({line.split("\t")[1] for line in lines[1:]})
    assert len(set().union(*groups)) == sum(map(len, groups))


def test_groups_in_two_given_splits_are_told(tmp_path: Path) -> None:
    train = write(tmp_path, "train.csv", "label,text,talk\n甲,一,a\n乙,二,b\n")
    more = [write(tmp_path, f"{name}.csv", f"label,text,talk\n甲,{name},a\n") for name in ("dev", "test")]
    report = imported(tmp_path, train, *more, columns=Wanted(group="talk"))
    assert report["groups in two splits"] == 1
    assert "1 groups stand in more than one" in tell(report)


def test_files_of_the_splits_may_be_named_outright(tmp_path: Path) -> None:
    test = write(tmp_path, "held_out.csv", "label,text\n体育,一\n财经,二\n")
    report = imported(tmp_path, write(tmp_path, "test_me.csv", CSV), test=[test])
    assert report["splits"]["test"]["rows"] == 2
    assert report["files"][0]["split"] == "train"


rows_strategy = st.lists(st.tuples(st.sampled_from("甲乙丙"), st.integers(0, 8)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(rows_strategy, st.booleans(), st.integers(0, 5))
def test_dealing_loses_nothing_and_keeps_groups_whole(drawn: list[tuple[str, int]], grouped: bool, seed: int) -> None:
    rows = [
        Row(f"t{i}", label, f"g{group}" if grouped else "", "f", i, f"t{i}") for i, (label, group) in enumerate(drawn)
    ]
    dealt = deal(rows, Shares(0.2, 0.2), seed)
    assert sorted(row.line for split in dealt.values() for row in split) == list(range(len(rows)))
    assert dealt == deal(rows, Shares(0.2, 0.2), seed)
    if grouped:
        homes = {(row.group, name) for name, split in dealt.items() for row in split}
        assert len(homes) == len({group for group, _ in homes})
    else:
        assert {row.label for row in dealt["train"]} == {label for label, _ in drawn}, "every class is learned from"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.txt"]))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        source = read_source(write(folder, name, content), Wanted())
    except RefusedError as error:
        code = error.code
    else:
        code = "import."
        assert all(row.key and row.label for row in source.rows)
    assert code.startswith("import.")


@pytest.mark.parametrize(
    ("title", "name"), [("My News", "my-news"), ("新闻", "my-base"), ("-A_b-", "a-b"), ("x" * 90, "x" * 60)]
)
def test_names_the_contract_takes(title: str, name: str) -> None:
    assert slug(title) == name

"""A trimmed vocabulary: what stays, that teacher and student agree on it, and that BERT's tokenizer reads it alike."""

from __future__ import annotations

import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
transformers = pytest.importorskip("transformers", reason="training needs the extra trainer")

from headway.contract.tokenizer import Tokenizer, normalise
from headway_trainer.config import read_config
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run
from headway_trainer.trim import TrimConfig, gb2312_first_level, kept

from .conftest import CONFIG, DATA, ROOT

VOCABULARY = ROOT / "ios_fixtures/models/base/vocab.txt"


def texts(split: str) -> list[str]:
    rows = lzma.decompress((DATA / f"{split}.tsv.xz").read_bytes()).decode("utf-8").split("\n")[1:]
    return [row.split("\t")[2] for row in rows if row]


def test_the_first_level_of_the_standard() -> None:
    found = gb2312_first_level()
    assert len(found) == 3755
    assert {"啊", "的", "座"} <= found
    assert "亍" not in found, "the first character of the second level"


def test_what_stays() -> None:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "movie", "的", "亍", "电影"]
    counts = [0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 2]
    assert [tokens[i] for i in kept(tokens, counts, TrimConfig(min_count=2))] == [*tokens[:7], "的", "亍", "电影"]
    assert "的" not in [tokens[i] for i in kept(tokens, counts, TrimConfig(min_count=2, characters="none"))]
    assert kept(tokens, counts, TrimConfig()) == list(range(len(tokens)))


def test_parity_with_bert_on_a_trimmed_vocabulary(tmp_path: Path) -> None:
    whole = Tokenizer.from_vocab(VOCABULARY)
    counts = Counter(index for text in texts("train")[:3000] for index in whole.ids(text, 64))
    ids = kept(whole.tokens, [counts[i] for i in range(len(whole.tokens))], TrimConfig(min_count=2))
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{whole.tokens[i]}\n" for i in ids), "utf-8")
    ours, theirs = Tokenizer.from_vocab(path), transformers.BertTokenizer(str(path))
    assert 3755 < len(ids) < len(whole.tokens) / 3
    assert ours.digest != whole.digest, "the feature contract tells them apart"
    dev = [*texts("dev"), "Schwarzenegger的電影", "ｆｕｌｌ　width", "龘靐齉", "2021年covid-19"]
    expected = theirs([normalise(text) for text in dev], truncation=True, max_length=64)["input_ids"]
    found = [ours.ids(text, 64) for text in dev]
    assert found == expected
    unknown = sum(row.count(ours.unk_id) for row in found) / sum(map(len, found))
    assert unknown < 0.01


def test_a_run_that_trims(workshop: Any, tmp_path: Path) -> None:
    path = workshop.corpora / "trim.toml"
    path.write_text(CONFIG + '\n[trim]\nmin_count = 3\ncharacters = "none"\n', "utf-8")
    run = Run(
        read_config(path), Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    )
    facts = run_steps(run, ["trim", "prepare"])
    found = facts["trim"]
    assert found["kept"] < found["tokens"]
    assert found["bytes_saved"] == (found["tokens"] - found["kept"]) * (32 + 5)
    unknown = found["unknown"]["test"]
    assert unknown["after"]["unknown_share"] > unknown["before"]["unknown_share"]
    assert facts["prepare"]["tokenizer"] == found["tokenizer"] == run.tokenizer.digest
    table = run.new_teacher().encoder.get_input_embeddings().weight
    whole = transformers.AutoModel.from_pretrained(workshop.teacher).get_input_embeddings().weight
    places = [run.source_tokenizer.tokens.index(token) for token in run.tokenizer.tokens]
    assert torch.equal(table, whole[places])
    student = run.new_student()
    assert student.backbone.embeddings.word_embeddings.num_embeddings == found["kept"]
    ids = torch.tensor([run.tokenizer.ids("电影", 24)])
    assert run.new_teacher().eval()(ids, torch.ones_like(ids)).logits.shape == (1, 3)

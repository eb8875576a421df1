"""Features by packages for shorter texts: the same weights, the same features, fewer tokens; and never released."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

import torch

import headway_trainer.shorter as shorter_module
from headway.contract.errors import RefusedError
from headway.contract.tokenizer import CLS, PAD, SEP, UNK, Tokenizer
from headway.coreml.features import Features
from headway_trainer.compress import Bits
from headway_trainer.config import read_config
from headway_trainer.export.compressed import FloatProgram
from headway_trainer.featured import READ_ONCE, featured
from headway_trainer.models.lexicon import WIDTH, Lexicon
from headway_trainer.models.lexicon_fit import laid_out
from headway_trainer.models.student import Student, StudentConfig
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run
from headway_trainer.shorter import WORTH, deviation, shorter, worthwhile

TINY = StudentConfig(
    layers=1, hidden=64, bottleneck=48, embedding=32, intermediate=64, heads=2, feedforwards=2, max_length=16
)
TEXTS = ["好", "一二", "一二三四五", "一二三四五六七八九十", "一二三四五六七八九十" * 3, "", "二" * 14, "三" * 6]


@pytest.mark.parametrize(
    ("lengths", "longest", "expected"),
    [
        ([20] * 20_000, 128, [32]),
        ([20] * 20_000 + [60] * 20_000, 128, [32, 64]),
        ([60] * 20_000, 128, [64]),
        ([20] * 5_000, 128, []),
        ([128] * 100_000, 128, []),
        ([], 128, []),
    ],
)
def test_a_package_is_made_where_it_saves_more_than_it_costs(
    lengths: list[int], longest: int, expected: list[int]
) -> None:
    assert worthwhile(lengths, longest) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 128), st.integers(1, 30_000)), max_size=6))
def test_every_package_that_is_made_saves_enough_for_texts_of_its_own(counts: list[tuple[int, int]]) -> None:
    lengths = [length for length, count in counts for _ in range(count)]
    floor = 0
    for made in worthwhile(lengths, 128):
        assert sum(floor < length <= made for length in lengths) * (128 - made) >= WORTH
        floor = made


@pytest.fixture(scope="module")
def program() -> FloatProgram:
    torch.manual_seed(0)
    return FloatProgram(Student(TINY, 3, 300, 0))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    words = [PAD, UNK, CLS, SEP, *"好一二三四五六七八九十"]
    path.write_text("".join(f"{word}\n" for word in [*words, *(f"w{n}" for n in range(300 - len(words)))]), "utf-8")
    return Tokenizer.from_vocab(path)


@pytest.mark.parametrize("bits", [8, 4])
def test_features_are_those_of_the_whole_length_and_in_order(
    program: FloatProgram, tokenizer: Tokenizer, tmp_path: Path, bits: Bits
) -> None:
    plan: dict[str, Bits] = dict.fromkeys((matrix.name for matrix in program.matrices), bits)
    program.export(plan, tmp_path / "whole.mlpackage")
    whole = Features(tmp_path / "whole.mlpackage", tokenizer, options=READ_ONCE)
    read: list[tuple[int, str]] = []

    class Noting(Features):
        def of(self, texts: Sequence[str], *others: Any) -> Any:
            read.extend((self.length, text) for text in texts)
            return super().of(texts, *others)

    def write(length: int, path: Path) -> None:
        program.shorter(length).export(plan, path)

    with shorter(write, [4, 8], tokenizer, tmp_path) as parts:
        assert [part.length for part in parts] == [4, 8]
        assert deviation(whole, parts, TEXTS) < 1e-5
        for reader in (whole, *parts):
            reader.__class__ = Noting
        found = featured(whole, {"all": TEXTS, "none": []}, 2, parts[::-1])
    assert [path.name for path in tmp_path.iterdir()] == ["whole.mlpackage"], "gone when they have been read"
    assert sorted(read) == sorted(
        (next(n for n in (4, 8, 16) if n == 16 or len(text) + 2 <= n), text) for text in TEXTS
    )
    assert found["none"].shape == (0, whole.dimension)
    np.testing.assert_allclose(found["all"], whole.of(TEXTS), atol=1e-5)
    assert np.unique(found["all"].round(4), axis=0).shape[0] == len(TEXTS), "no two texts share a row"


def test_a_package_of_other_weights_is_found_out(program: FloatProgram, tokenizer: Tokenizer, tmp_path: Path) -> None:
    names = [matrix.name for matrix in program.matrices]
    program.export(dict.fromkeys(names, 8), tmp_path / "whole.mlpackage")
    whole = Features(tmp_path / "whole.mlpackage", tokenizer, options=READ_ONCE)
    other = FloatProgram(Student(TINY, 3, 300, 0))
    with (
        shorter(lambda n, to: other.shorter(n).export(dict.fromkeys(names, 8), to), [8], tokenizer, tmp_path) as parts,
        pytest.raises(RefusedError) as refused,
    ):
        deviation(whole, parts, TEXTS)
    assert refused.value.code == "train.parity"


def test_a_lexicon_goes_with_it(tokenizer: Tokenizer, tmp_path: Path) -> None:
    torch.manual_seed(1)
    areas = laid_out([900], [3], 900, WIDTH)
    lexicon = Lexicon(torch.randn(sum(area.rows for area in areas), WIDTH), areas, torch.randn(3))
    program = FloatProgram(Student(TINY, 3, 300, 0), lexicon)
    plan: dict[str, Bits] = {matrix.name: 8 for matrix in program.matrices}
    program.export(plan, tmp_path / "whole.mlpackage")
    whole = Features(tmp_path / "whole.mlpackage", tokenizer, options=READ_ONCE)
    with shorter(lambda n, to: program.shorter(n).export(plan, to), [8], tokenizer, tmp_path) as parts:
        assert deviation(whole, parts, TEXTS) < 1e-4


@pytest.mark.parametrize(
    "extra",
    ["", '\n[compress]\nrelease = "6"\nplans = ["8", "6"]\nrows = 4\n'],
    ids=["8 bits", "6 bits"],
)
def test_a_release_is_the_same_but_for_rounding_and_measured_whole(
    workshop: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    text = workshop.config.read_text("utf-8")
    config = workshop.config.parent / "shorter.toml"
    config.write_text(text[: text.index('[[heads]]\nname = "topic-2"')] + extra, "utf-8")
    facts, features = [], []
    for worth in (WORTH, 0):
        monkeypatch.setattr(shorter_module, "WORTH", worth)
        folder = tmp_path / str(worth)
        shutil.copytree(trained, folder)
        run = Run(read_config(config), Places(config.parent, folder, str(workshop.teacher), workshop.corpora))
        facts.append(run_steps(run, ("export-base", "fit-heads", "compress")))
        with np.load(folder / "export-base/features.npz") as held:
            features.append(dict(held))
    whole, apart = (found["export-base"]["feature_deviation_of_shorter_packages"] for found in facts)
    assert whole is None
    assert apart < 1e-4
    np.testing.assert_allclose(features[1]["train"], features[0]["train"], atol=1e-4)
    for split in ("dev", "test"):
        np.testing.assert_array_equal(features[1][split], features[0][split])
    for name, plan in facts[0]["compress"]["plans"].items():
        other = facts[1]["compress"]["plans"][name]
        assert other["parity"]["deviation"] < 1e-5
        assert {**other, "parity": 0, "executor_ms_per_text": 0} == {**plan, "parity": 0, "executor_ms_per_text": 0}


def test_in_float16_the_base_alone_will_do(
    workshop: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shorter_module, "WORTH", 0)
    config = workshop.config.parent / "shorter-half.toml"
    config.write_text(workshop.config.read_text("utf-8") + "\n[half]\nrows = 4\nrelease = true\n", "utf-8")
    shutil.copytree(trained, tmp_path / "run")
    run = Run(read_config(config), Places(config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora))
    assert run_steps(run, ("export-base",))["export-base"]["feature_deviation_of_shorter_packages"] is None

"""Texts to features: order, batching, progress, and what a wrong tokenizer or contract gets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from headway.contract.errors import IncompatibleError, RefusedError
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features

from .mil_programs import save_program
from .tiny_release import LENGTH, OPTIONS, TEXTS, WIDTH, WORDS, encode, write_base, write_head


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def features(base: Path) -> Features:
    contract = FeatureContract.from_bytes((base / "contract.json").read_bytes())
    return Features(base / "base.mlpackage", Tokenizer.from_vocab(base / "vocab.txt"), contract, OPTIONS)


def test_rows_follow_the_texts_and_do_not_depend_on_the_batch(features: Features) -> None:
    whole = features.of(TEXTS)
    assert whole.shape == (len(TEXTS), WIDTH)
    assert whole.dtype == np.float32
    for batch in (1, 5, len(TEXTS)):
        np.testing.assert_allclose(features.of(TEXTS, batch=batch), whole, atol=1e-6)
    np.testing.assert_allclose(features.of(TEXTS[::-1])[::-1], whole, atol=1e-6)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_no_texts_give_no_rows(features: Features) -> None:
    assert features.of([]).shape == (0, WIDTH)


def test_ids_give_what_texts_give(features: Features) -> None:
    np.testing.assert_array_equal(features.of_ids(*encode(features.tokenizer)), features.of(TEXTS))


def test_progress_counts_rows(features: Features) -> None:
    seen: list[tuple[int, int]] = []
    features.of(TEXTS, batch=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(5, 12), (10, 12), (12, 12)]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"output": "other"}, "output"),
        ({"shape": (WIDTH + 1,)}, "dimension"),
        ({"max_sequence_length": LENGTH + 1}, "sequence length"),
    ],
)
def test_a_contract_that_says_otherwise_is_refused(base: Path, change: dict[str, object], part: str) -> None:
    contract = FeatureContract.from_bytes((base / "contract.json").read_bytes())
    wrong = dataclasses.replace(contract, **change)  # type: ignore[arg-type]
    with pytest.raises(IncompatibleError, match=part) as caught:
        Features(base / "base.mlpackage", Tokenizer.from_vocab(WORDS), wrong, OPTIONS)
    assert caught.value.code == "contract_mismatch"


def test_another_vocabulary_is_refused(base: Path) -> None:
    contract = FeatureContract.from_bytes((base / "contract.json").read_bytes())
    with pytest.raises(IncompatibleError, match="tokenizer"):
        Features(base / "base.mlpackage", Tokenizer.from_vocab([*WORDS, "more"]), contract, OPTIONS)


def test_ids_outside_the_vocabulary_are_refused(features: Features) -> None:
    ids = np.full((1, LENGTH), len(WORDS), np.int32)
    with pytest.raises(RefusedError) as caught:
        features.of_ids(ids, np.ones_like(ids))
    assert caught.value.code == "execution"


def test_a_program_with_other_inputs_is_no_base(tmp_path: Path) -> None:
    from coremltools.converters.mil import Builder as mb

    path = save_program(lambda x: mb.square(x=x), {"x": np.zeros(3, np.float32)}, tmp_path / "square.mlpackage")
    with pytest.raises(IncompatibleError) as caught:
        Features(path, Tokenizer.from_vocab(WORDS), options=OPTIONS)
    assert caught.value.code == "not_a_base"


def test_a_head_is_no_base(base: Path, tmp_path: Path) -> None:
    head = write_head(tmp_path / "head", base)
    with pytest.raises(RefusedError) as caught:
        Features(head / "head.mlmodel", Tokenizer.from_vocab(WORDS), options=OPTIONS)
    assert caught.value.code == "not_mlprogram"

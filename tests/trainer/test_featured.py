"""Features of many texts: the rows that one text at a time gives, in order, on any number of threads."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")

from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway_trainer.featured import ALONE, featured

BASE = Path(__file__).parents[2] / "ios_fixtures/models/base"


@pytest.fixture(scope="module")
def source() -> Features:
    return Features(BASE / "base.mlpackage", Tokenizer.from_vocab(BASE / "vocab.txt"), options=ALONE)


def test_threads_change_nothing_and_mix_up_nothing(source: Features) -> None:
    texts = {"many": [f"第{number}部电影的导演是谁" for number in range(75)], "none": [], "one": ["这首歌好听"]}
    found = [featured(source, texts, threads) for threads in (1, 3)]
    for name, rows in texts.items():
        assert found[0][name].shape == (len(rows), source.dimension)
        np.testing.assert_array_equal(found[0][name], found[1][name])
        np.testing.assert_array_equal(found[0][name], source.of(rows))
    np.testing.assert_allclose(found[0]["many"][40], source.of([texts["many"][40]])[0], atol=1e-4)


def test_a_failure_ends_it_at_once(source: Features) -> None:
    begun: list[int] = []

    class Failing(Features):
        def __init__(self) -> None:
            self.length, self.dimension = source.length, source.dimension

        def of(self, texts: object, *_others: object) -> np.ndarray:  # type: ignore[override]
            begun.append(1)
            time.sleep(0.02)
            raise MemoryError

    with pytest.raises(MemoryError):
        featured(Failing(), {"all": ["好"] * 32_000}, 2)
    assert len(begun) < 900, "batches that had not begun were left"

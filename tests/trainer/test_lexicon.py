"""The lexicon: padding says nothing, hashes stay within 32 bits, sets share one table, the package says the same."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("sklearn", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="export needs the extra trainer")
pytest.importorskip("onnxruntime", reason="running a base needs the extra sim")

from headway.contract.errors import RefusedError
from headway.coreml import MLModel
from headway_trainer.data.examples import Examples
from headway_trainer.export.base import export_base
from headway_trainer.learning import qat
from headway_trainer.models.lexicon import HASHES, MOST_TOKENS, WIDTH, Area, Lexicon, hashed
from headway_trainer.models.lexicon_fit import UNUSED, Lesson, LexiconConfig, fit, laid_out
from headway_trainer.models.student import Student, StudentConfig

CONFIG = LexiconConfig(buckets=512)
NOTHING = Examples([], [])
TINY = StudentConfig(layers=1, hidden=32, bottleneck=16, embedding=16, intermediate=32, heads=2, max_length=12)


def examples(labels: int, words: int = 6) -> Examples:
    rows = [[2, 10 + label, 20 + index, 3] for index in range(words) for label in range(labels)]
    return Examples(rows, [row[1] - 10 for row in rows])


def fitted(sets: list[Examples], tokens: int, config: LexiconConfig = CONFIG) -> Lexicon:
    lessons = [Lesson(rows, rows, NOTHING, len(set(rows.labels))) for rows in sets]
    return fit(lessons, tokens, config).lexicon


def values(lexicon: Lexicon, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = lexicon(ids, torch.ones_like(ids) if mask is None else mask)
    return found


def test_padding_changes_no_value() -> None:
    whole = fitted([examples(2)], 40)
    ids = torch.tensor([[2, 10, 21, 3]])
    padded = torch.tensor([[2, 10, 21, 3, 0, 0, 0]])
    torch.testing.assert_close(values(whole, padded, (padded != 0).long()), values(whole, ids))


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_classes_are_told_apart_on_a_text_of_new_words(labels: int) -> None:
    whole = fitted([examples(labels)], 40)
    ids = torch.tensor([[2, 10 + label, 33, 3] for label in range(labels)])
    assert values(whole, ids).argmax(1).tolist() == list(range(labels))


@pytest.mark.parametrize("labels", [2, 3])
def test_dev_chooses_the_penalty(labels: int) -> None:
    # A strong penalty leaves the bias alone: everything is of the commonest label.
    rows = [[2, 10, 40 + index, 3] for index in range(60)]
    rows += [[2, 10 + label, 3] for label in range(1, labels) for _ in range(3)]
    rare = Examples(rows, [0] * 60 + [label for label in range(1, labels) for _ in range(3)])
    config = LexiconConfig(buckets=4096, inverse_penalties=(10.0, 1e-5))
    assert fit([Lesson(rare, rare, NOTHING, labels)], 200, config).inverse_penalties == (10.0,)
    always = Examples([[2, 10, 90, 3]] * 5, [0] * 5)
    equal = fit([Lesson(rare, always, NOTHING, labels)], 200, config).inverse_penalties
    assert equal == (1e-5,), "of equals the stronger penalty"


def test_once_dev_has_chosen_it_teaches_too() -> None:
    train, other = examples(3), examples(2)
    dev = Examples([[2, 60 + label, 3] for label in range(3) for _ in range(4)], [n // 4 for n in range(12)])
    lessons = [Lesson(train, dev, dev, 3), Lesson(other, other, NOTHING, 2)]
    alone = fit(lessons, 100, CONFIG)
    assert alone.refitted is None
    found = fit(lessons, 100, replace(CONFIG, refit=True))
    assert found.inverse_penalties == alone.inverse_penalties
    assert torch.equal(found.lexicon.table.weight, alone.lexicon.table.weight), "dev judges what it has not taught"
    assert found.refitted is not None
    ids = torch.tensor([[2, 60 + label, 3] for label in range(3)])
    assert values(found.refitted, ids)[:, :3].argmax(1).tolist() == [0, 1, 2]
    assert torch.equal(values(found.refitted, ids)[:, 3:], values(found.lexicon, ids)[:, 3:]), "nothing to learn from"


def test_two_labels_share_one_weight() -> None:
    whole = fitted([examples(2)], 40)
    found = values(whole, torch.tensor([[2, 10, 21, 3], [2, 11, 30, 3]]))
    torch.testing.assert_close(found[:, 0], -found[:, 1])
    assert whole.labels == 2
    assert whole.table.weight.numel() < 2 * 512, "a weight a bucket"


def test_a_commoner_label_has_the_larger_bias() -> None:
    rows = [[2, 20 + index, 3] for index in range(12)]
    whole = fitted([Examples(rows, [index % 4 // 3 for index in range(12)])], 40)
    assert whole.bias[0] > whole.bias[1]
    assert values(whole, torch.tensor([[2, 39, 3]])).argmax() == 0, "of a text of new words"


def test_sets_stand_one_after_the_other_and_do_not_disturb_each_other() -> None:
    kinds = (2, 7, 70)
    both = fitted([examples(labels) for labels in kinds], 100, LexiconConfig(buckets=4096))
    assert both.table.embedding_dim == 70, "a set of more labels than WIDTH has rows as wide"
    start = 0
    for labels in kinds:
        ids = torch.tensor([[2, 10 + label, 20, 3] for label in range(labels)])
        found = values(both, ids)
        assert found.shape[1] == sum(kinds)
        assert found[:, start : start + labels].argmax(1).tolist() == list(range(labels))
        start += labels


def test_every_bucket_has_its_own_place() -> None:
    """Each weight that is written can be read again through the hash that leads to it, and no other can."""
    areas = (Area(6, 0, 3), Area(2, 3, 7))
    table = torch.arange(10.0 * WIDTH).reshape(10, WIDTH)
    lexicon = Lexicon(table, areas, torch.zeros(8))
    ids = torch.arange(3000).unsqueeze(1)
    first = hashed(ids.expand(-1, 3), torch.ones(3000, 3))[0][:, 0]
    own = values(lexicon, ids)
    assert torch.equal(own[:, 0], table[first % 3, first % 10 * 6])
    assert torch.equal(own[:, 5], table[first % 3, first % 10 * 6 + 5])
    assert torch.equal(own[:, 7], table[3 + first % 7, first % 60])
    assert len(own[:, 0].unique()) == 3 * 10
    assert len(own[:, 7].unique()) == 7 * 60


def test_what_one_text_alone_has_is_left_out() -> None:
    rows = [[2, 10, 3], [2, 11, 3], [2, 10, 3], [2, 11, 3], [2, 10, 55, 3]]
    whole = fitted([Examples(rows, [0, 1, 0, 1, 0])], 60)
    hash_of = int(hashed(torch.tensor([[55, 3, 3]]), torch.ones(1, 3))[0][0, 0])
    assert abs(float(whole.table.weight[hash_of % whole.areas[0].rows, hash_of % WIDTH])) <= UNUSED


def test_buckets_are_shared_by_ngrams_and_labels() -> None:
    areas = laid_out([40_000, 10_000, 10_000], [2, 2, 4], 100_000, WIDTH)
    shares = [area.rows * area.fold(WIDTH) / 100_000 for area in areas]
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.01)
    assert [area.first_row for area in areas] == [0, areas[0].rows, areas[0].rows + areas[1].rows]
    assert all(math.gcd(area.rows, area.fold(WIDTH)) == 1 for area in areas)
    most = laid_out([5, 5], [2, 2], 9 * HASHES, WIDTH)[0]
    assert most.rows * WIDTH == pytest.approx(HASHES, rel=0.001), "more would stand empty"


def test_hashes_are_the_same_in_32_bits() -> None:
    ids = torch.randint(0, MOST_TOKENS, (4, 64))
    ids[0] = MOST_TOKENS - 1
    mask = torch.ones_like(ids)
    found, _ = hashed(ids, mask)
    assert 0 <= int(found.min()) <= int(found.max()) < HASHES
    torch.testing.assert_close(hashed(ids.int(), mask.int())[0].long(), found)


def test_more_tokens_than_32_bits_can_hash_are_refused() -> None:
    with pytest.raises(RefusedError, match="32-bit"):
        fitted([examples(2)], MOST_TOKENS + 1)


def test_the_package_says_what_the_lexicon_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    areas = laid_out([900, 900, 900], [2, 3, 29], 900, WIDTH)
    table = torch.randn(sum(area.rows for area in areas), WIDTH)
    lexicon = Lexicon(table, areas, torch.randn(34))
    export_base(Student(TINY, 3, 300, 0), tmp_path / "words.mlpackage", lexicon)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 300, (5, 12)).astype(np.int32)
    mask = (np.arange(12) < np.array([[12], [3], [7], [11], [4]])).astype(np.int32)
    found = MLModel(tmp_path / "words.mlpackage").predict({"input_ids": ids, "attention_mask": mask})["features"]
    wanted = values(lexicon.with_table(qat.on_grid(table)), torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert found[:, -34:] == pytest.approx(wanted, abs=1e-5)

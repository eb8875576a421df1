"""The lexicon: padding says nothing, hashes stay within 32 bits, what cannot be hashed is refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("sklearn", reason="training needs the extra trainer")

from headway.contract.errors import RefusedError
from headway_trainer.data.examples import Examples
from headway_trainer.models.lexicon import MOST_BUCKETS, MOST_TOKENS, Lexicon, LexiconConfig, fit

ROWS = [[2, 10 + label, 20 + index, 3] for index in range(6) for label in (0, 1)]
TRAIN = Examples(ROWS, [row[1] - 10 for row in ROWS])


def test_padding_changes_no_value() -> None:
    whole = Lexicon(fit(TRAIN, 2, 40, LexiconConfig(buckets=512)))
    ids = torch.tensor([[2, 10, 21, 3]])
    padded = torch.tensor([[2, 10, 21, 3, 0, 0, 0]])
    mask = (padded != 0).long()
    torch.testing.assert_close(whole(padded, mask), whole(ids, torch.ones_like(ids)))


def test_two_classes_are_told_apart_on_a_text_of_new_words() -> None:
    whole = Lexicon(fit(TRAIN, 2, 40, LexiconConfig(buckets=512)))
    ids = torch.tensor([[2, 10, 33, 3], [2, 11, 33, 3]])
    assert whole(ids, torch.ones_like(ids)).argmax(1).tolist() == [0, 1]


def test_hashes_are_the_same_in_32_bits() -> None:
    table = torch.randn(MOST_BUCKETS, 2)
    ids = torch.randint(0, MOST_TOKENS, (4, 64))
    mask = torch.ones_like(ids)
    torch.testing.assert_close(Lexicon(table)(ids.int(), mask.int()), Lexicon(table)(ids, mask))


@pytest.mark.parametrize(("tokens", "buckets"), [(MOST_TOKENS + 1, 512), (40, 2 * MOST_BUCKETS)])
def test_what_32_bits_cannot_hash_is_refused(tokens: int, buckets: int) -> None:
    with pytest.raises(RefusedError, match="32-bit"):
        fit(TRAIN, 2, tokens, LexiconConfig(buckets=buckets))

"""The lexicon: hashed n-grams of tokens with one weight per label, summed beside the encoder.

An encoder that learnt from some ten thousand texts spells names badly; a linear model over n-grams knows every name it
has met and is sure only of those. Both together err less than either (the card tells by how much). So a base may carry
the linear model inside: one table `[buckets, labels]`, looked up at hashes of one, two and three tokens, summed and
divided by the root of their number. The same few integer operations run in training, in the package and on a phone.

The table is fitted once, after the encoder, and frozen like it. Texts never decide its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from headway.contract.errors import RefusedError
from headway_trainer.data.batches import collate
from headway_trainer.data.examples import Examples

# Odd factors that spread neighbouring ids; with the limits below every product stays within an int32.
_ONE, _TWO, _THREE = 7919, 50021, 8191
MOST_TOKENS, MOST_BUCKETS = 2**31 // _TWO, 2**18

UNUSED = 2.0**-20
"""Every weight of a bucket of which nothing was learnt: next to nothing, but a row of zeros has no int8 scale."""


@dataclass(frozen=True, slots=True)
class LexiconConfig:
    """`buckets` of the table (0: no lexicon) and the inverse penalty of the linear model that fills it."""

    buckets: int = 0
    inverse_penalty: float = 1.0


class Lexicon(nn.Module):
    """The table at work: integer ids and mask [n, t] in, float32 [n, labels] out."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Embedding(table.shape[0], table.shape[1], _weight=table, _freeze=True)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return each text's sum of weights over the root of how many n-grams it has."""
        found, kept = _hashed(input_ids, attention_mask, self.table.num_embeddings)
        weight = kept.to(torch.float32).unsqueeze(-1)
        total: Tensor = (self.table(found) * weight).sum(1) / weight.sum(1).sqrt()
        return total


def _hashed(ids: Tensor, mask: Tensor, buckets: int) -> tuple[Tensor, Tensor]:
    """Return buckets and mask [n, 3t - 3] of all n-grams of one, two and three tokens."""
    two = torch.remainder(ids[:, :-1] * _TWO + ids[:, 1:], buckets)
    three = torch.remainder(two[:, :-1] * _THREE + ids[:, 2:], buckets)
    found = torch.cat([torch.remainder(ids * _ONE, buckets), two, three], dim=1)
    return found, torch.cat([mask, mask[:, 1:], mask[:, 2:]], dim=1)


def fit(train: Examples, classes: int, tokens: int, config: LexiconConfig) -> Tensor:
    """Return the table float32 [buckets, classes]: a linear SVM per label over n-grams weighed by their rarity.

    Scaled so that the values of the training texts have a standard deviation of 1, like features of an encoder. Every
    class must occur. Raises `RefusedError` (`train.geometry`) for a vocabulary or a table too large for 32-bit hashes.
    """
    if tokens > MOST_TOKENS or config.buckets > MOST_BUCKETS:
        raise RefusedError(
            "train.geometry",
            f"A lexicon of {config.buckets} buckets over {tokens} tokens does not fit 32-bit hashes.",
            hint=f"At most {MOST_BUCKETS} buckets and {MOST_TOKENS} tokens; a trimmed vocabulary is smaller.",
        )
    shares = _shares(train, config.buckets)
    texts = np.bincount(shares.indices, minlength=config.buckets)
    rarity = np.log((1 + len(train.ids)) / (1 + texts)) + 1
    rarity /= rarity.mean()
    model = LinearSVC(C=config.inverse_penalty, random_state=0)
    model.fit(shares.multiply(rarity).tocsr(), train.labels)
    weights = model.coef_ if len(model.coef_) > 1 else np.concatenate([-model.coef_, model.coef_])
    table = (weights * rarity).T
    table = table / (shares @ table).std()
    table = table.astype(np.float32)
    table[np.abs(table).max(axis=1) < UNUSED] = UNUSED
    return torch.from_numpy(table)


def _shares(train: Examples, buckets: int) -> csr_matrix:
    """Return how often each text falls into each bucket, over the root of its n-grams: [texts, buckets]."""
    columns: list[NDArray[np.int64]] = []
    for row in range(len(train.ids)):
        batch = collate(train.ids, [row], 0)
        columns.append(_hashed(batch.input_ids, batch.attention_mask, buckets)[0][0].numpy())
    ends = np.cumsum([0, *map(len, columns)])
    values = np.concatenate([np.full(len(found), len(found) ** -0.5) for found in columns])
    shares = csr_matrix((values, np.concatenate(columns), ends), shape=(len(columns), buckets))
    shares.sum_duplicates()
    return shares

"""The teacher: a BERT encoder with mean pooling and a linear classifier.

Any directory or hub id that `AutoModel.from_pretrained` reads will do if it uses the tokenizer's vocabulary. It is
held in float32 whatever the checkpoint's type, because fine-tuning in float16 on a CPU neither converges nor is fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel
from transformers.utils import logging as transformers_logging

from headway.contract.errors import RefusedError

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


@dataclass(frozen=True, slots=True)
class TeacherOutput:
    """logits [n, K]; hidden states [n, t, width] of embedding and every layer; attentions [n, heads, t, t]."""

    logits: Tensor
    hidden: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


class Teacher(nn.Module):
    """Encoder, mean over the tokens of the text, dropout, one linear layer."""

    def __init__(
        self,
        source: str | Path,
        classes: int,
        vocabulary_size: int,
        dropout: float,
        encoder_dropout: float | None = None,
        layers: int = 0,
    ) -> None:
        """Load the encoder from `source`: its first `layers`, or with 0 all of them.

        `dropout` is that of the classifier; `encoder_dropout` that of the layers while they train, by default what the
        checkpoint's configuration says.

        Raises `RefusedError` (`train.teacher`) for another vocabulary, and for a checkpoint without some of its
        weights: transformers would draw them by chance.
        """
        super().__init__()
        self.encoder, told = AutoModel.from_pretrained(
            str(source),
            dtype=torch.float32,
            attn_implementation="eager",
            add_pooling_layer=False,
            output_loading_info=True,
            **({"num_hidden_layers": layers} if layers else {}),
            **({} if encoder_dropout is None else _dropouts(encoder_dropout)),
        )
        if told["missing_keys"]:
            raise RefusedError(
                "train.teacher",
                f"The teacher's checkpoint holds no {min(told['missing_keys'])}.",
                hint="Give --teacher a whole checkpoint of a BERT encoder, with or without a classifier.",
            )
        found = int(self.encoder.config.vocab_size)
        if found != vocabulary_size:
            raise RefusedError(
                "train.teacher",
                f"The teacher has {found} tokens and the vocabulary {vocabulary_size}: they do not belong together.",
                hint="Give the teacher's own vocab.txt, or a teacher of this vocabulary.",
            )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(self.encoder.config.hidden_size), classes)

    @torch.no_grad()
    def keep_tokens(self, ids: Sequence[int]) -> None:
        """Leave only these rows of the word embeddings, in this order: token `ids[i]` becomes token i."""
        words = self.encoder.get_input_embeddings()
        rows = words.weight[torch.tensor(ids)]
        # Without the padding index: it stands for another token now, and its row is in the table like any other.
        table = nn.Embedding(*rows.shape)
        table.weight.copy_(rows)
        self.encoder.set_input_embeddings(table)
        self.encoder.config.vocab_size = len(ids)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *, details: bool = False) -> TeacherOutput:
        """Run int64 ids and mask [n, t]; `details` adds hidden states and attentions."""
        out = self.encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            output_hidden_states=details,
            output_attentions=details,
        )
        weight = attention_mask.unsqueeze(-1).to(out.last_hidden_state.dtype)
        pooled = (out.last_hidden_state * weight).sum(1) / weight.sum(1)
        logits = self.classifier(self.dropout(pooled))
        return TeacherOutput(logits, tuple(out.hidden_states or ()), tuple(out.attentions or ()))


def _dropouts(share: float) -> dict[str, float]:
    return {"hidden_dropout_prob": share, "attention_probs_dropout_prob": share}

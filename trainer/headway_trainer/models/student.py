"""The student: MobileBERT of a small geometry that gives one feature vector per text, and a linear classifier.

The blocks are transformers' `MobileBertModel`; the loop over them is here, because its own forward hides the
attention weights and builds masks that Core ML's converter does not read. A test holds both forwards equal.
Hidden states of positions that the mask leaves out never reach a feature, nor does the `[PAD]` row, whatever rounding
made of it: the last token of a text would read it as its neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import MobileBertConfig, MobileBertModel

from headway.contract.errors import RefusedError

Pooling = Literal["mean", "cls", "both", "mean_max"]
"""Mean over the tokens, the first token, first token then mean, or mean then maximum over the tokens."""

MASKED = -1e9
"""Added to the attention scores of padding, and to its states before a maximum is taken.

A float32 softmax then gives padding exactly 0: no score of a text is anywhere near it.
"""

HALF_MASKED = -10000.0
"""The same in a program that computes in float16, which ends at 65504.

Scores below it were seen in about one text of 700 of a student without normalisation. Such a text reads a little of
its padding, and the gate's parity line tells.
"""

PAD_EMBEDDING = 2.0**-20
"""Every entry of the `[PAD]` row, which nothing reads: not 0, for a row of zeros has no int8 scale."""

HALF_PAD_EMBEDDING = 2.0**-12
"""The same in a program that computes in float16, whose smallest positive number is 2 ** -24."""


@dataclass(frozen=True, slots=True)
class StudentConfig:
    """Geometry; `max_length` is the tokens every exported text is padded to, `dropout` the classifier's.

    Features are pooled from the states after `feature_layer`, the last one if it is not given: layers above it still
    follow the teacher, but are not part of the exported base. `seed` draws first weights and batches of the student
    alone, so that several students share a teacher; without it the run's seed does.
    `begins_as` "teacher" takes the first layers of the fine-tuned teacher instead of fresh weights (`student_start`).
    With `bottleneck` 0 a layer computes at full width, as BERT's do: such a student can begin as the first layers of
    a BERT of its widths (`student_start`), and `activation` is then that encoder's.
    """

    layers: int = 4
    hidden: int = 512
    bottleneck: int = 128
    embedding: int = 128
    intermediate: int = 512
    heads: int = 4
    feedforwards: int = 4
    normalisation: Literal["no_norm", "layer_norm"] = "no_norm"
    activation: Literal["relu", "gelu"] = "relu"
    pooling: Pooling = "mean"
    max_length: int = 64
    dropout: float = 0.1
    feature_layer: int | None = None
    begins_as: Literal["fresh", "teacher"] = "fresh"
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse a layer that is not there. Raises `RefusedError` (`train.config`)."""
        if self.feature_layer is not None and not 1 <= self.feature_layer <= self.layers:
            raise RefusedError(
                "train.config",
                f"The configuration cannot be used: student: feature_layer: it must be from 1 to {self.layers}.",
                hint="Correct that key and start again.",
            )

    @property
    def pooled_layer(self) -> int:
        """The layer whose states are pooled, counted from 1."""
        return self.feature_layer or self.layers

    def carries(self, name: str) -> bool:
        """Whether the exported base carries the backbone's parameter or module of this name."""
        above = range(self.pooled_layer, self.layers)
        return not name.startswith(tuple(f"encoder.layer.{index}." for index in above))

    @property
    def feature_dimension(self) -> int:
        """Length of the feature vector."""
        return 2 * self.hidden if self.pooling in ("both", "mean_max") else self.hidden


@dataclass(frozen=True, slots=True)
class StudentOutput:
    """features [n, D]; logits [n, K]; hidden [n, t, width] of embedding and each layer; attentions [n, heads, t, t]."""

    features: Tensor
    logits: Tensor
    hidden: tuple[Tensor, ...]
    attentions: tuple[Tensor, ...]


class Student(nn.Module):
    """MobileBERT, pooling, a linear classifier that only training uses."""

    def __init__(self, config: StudentConfig, classes: int, vocabulary_size: int, pad_id: int) -> None:
        super().__init__()
        self.config, self.pad_id, self.masked = config, pad_id, MASKED
        self.backbone = MobileBertModel(_geometry(config, vocabulary_size, pad_id), add_pooling_layer=False)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.feature_dimension, classes)
        with torch.no_grad():
            self.backbone.embeddings.word_embeddings.weight[pad_id] = PAD_EMBEDDING

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> StudentOutput:
        """Run integer ids and mask [n, t], t at most `max_length`."""
        mask = attention_mask.to(self.classifier.weight.dtype)
        hidden, attentions = self._encode(input_ids, mask)
        features = pool(hidden[self.config.pooled_layer], mask, self.config.pooling, self.masked)
        return StudentOutput(features, self.classifier(self.dropout(features)), hidden, attentions)

    def _encode(self, input_ids: Tensor, mask: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        bias = (1.0 - mask)[:, None, None, :] * self.masked
        states = _embed(self.backbone.embeddings, input_ids, mask)
        hidden, attentions = [states], []
        for layer in self.backbone.encoder.layer:
            states, weights = _layer(layer, states, bias)
            hidden.append(states)
            attentions.append(weights)
        return tuple(hidden), tuple(attentions)


def exact(student: Student) -> Student:
    """Return a student in float64 with the weights that this one computes with, on the int8 grid if it is attached."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        tokens = student.backbone.config.vocab_size
        made = Student(student.config, student.classifier.out_features, tokens, student.pad_id)
        made.masked = student.masked
        for name, parameter in made.named_parameters():
            place, _, leaf = name.rpartition(".")
            parameter.copy_(getattr(student.eval().get_submodule(place), leaf))
    return made.double().eval()


def pool(states: Tensor, mask: Tensor, pooling: Pooling, masked: float = MASKED) -> Tensor:
    """Reduce hidden states [n, t, width] under the float mask [n, t] to features [n, D].

    `masked` is added to padding before a maximum is taken.
    """
    if pooling == "cls":
        return states[:, 0]
    weight = mask.unsqueeze(-1)
    mean = (states * weight).sum(1) / weight.sum(1)
    if pooling == "mean":
        return mean
    if pooling == "both":
        return torch.cat([states[:, 0], mean], dim=-1)
    return torch.cat([mean, (states + (1.0 - weight) * masked).amax(1)], dim=-1)


def initialise_embeddings(student: Student, teacher_embeddings: Tensor, counts: Tensor, pad_id: int) -> float:
    """Give the student the teacher's word embeddings, projected onto their leading principal directions.

    `teacher_embeddings` [V, width], `counts` [V] how often each token occurs (weights of the analysis). The
    middle third of the trigram projection maps back, so the first `width` hidden dimensions start as the teacher's
    embeddings with unit variance. Returns the share of the variance that is kept.
    """
    config, embeddings = student.config, student.backbone.embeddings
    weight = (counts.double() + 0.1) / (counts.double() + 0.1).sum()
    table = teacher_embeddings.double()
    mean = weight @ table
    centred = table - mean
    values, vectors = torch.linalg.eigh(centred.T @ (centred * weight[:, None]))
    leading = vectors[:, -config.embedding :].flip(1)
    gain = float((values.sum() / len(values)).rsqrt())
    width = min(config.hidden, table.shape[1])
    with torch.no_grad():
        embeddings.word_embeddings.weight.copy_(centred @ leading * gain)
        embeddings.word_embeddings.weight[pad_id] = PAD_EMBEDDING
        middle = slice(config.embedding, 2 * config.embedding)
        embeddings.embedding_transformation.weight[:width, middle] = leading[:width].to(torch.float32)
    return float(values[-config.embedding :].sum() / values.sum())


def _embed(embeddings: Any, input_ids: Tensor, mask: Tensor) -> Tensor:
    words = embeddings.word_embeddings(input_ids) * mask.unsqueeze(-1)
    after = functional.pad(words[:, 1:], (0, 0, 0, 1))
    before = functional.pad(words[:, :-1], (0, 0, 1, 0))
    states = embeddings.embedding_transformation(torch.cat([after, words, before], dim=-1))
    # A sum of parameters alone, which the exporter folds into one constant.
    places = embeddings.position_embeddings.weight[: input_ids.shape[1]] + embeddings.token_type_embeddings.weight[0]
    normalised: Tensor = embeddings.LayerNorm(states + places)
    return normalised


def _layer(layer: Any, states: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    query, key, value, residual = layer.bottleneck(states) if layer.use_bottleneck else (states,) * 4
    attended, weights = layer.attention(query, key, value, residual, bias)
    for network in getattr(layer, "ffn", ()):
        attended = network(attended)
    return layer.output(layer.intermediate(attended), attended, states), weights


def _geometry(config: StudentConfig, vocabulary_size: int, pad_id: int) -> MobileBertConfig:
    geometry = MobileBertConfig(
        vocab_size=vocabulary_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        intra_bottleneck_size=config.bottleneck or config.hidden,
        use_bottleneck=bool(config.bottleneck),
        hidden_act=config.activation,
        embedding_size=config.embedding,
        num_feedforward_networks=config.feedforwards,
        normalization_type=config.normalisation,
        max_position_embeddings=config.max_length,
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=0.0,
        pad_token_id=pad_id,
    )
    geometry._attn_implementation = "eager"
    return geometry

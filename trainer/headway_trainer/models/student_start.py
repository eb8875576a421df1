"""A student that begins as a checkpoint, any MobileBERT or BERT of its widths, or as its own fine-tuned teacher.

Layers above the student's, positions past its longest text and words that its vocabulary leaves out are dropped. Every
other parameter must be there in its shape: half a checkpoint would teach nothing and say nothing. A MobileBERT without
bottleneck computes what a BERT does, under the same names, but for the neighbours that its embedding also reads: after
a BERT the student begins to read them with weight zero (as DistilBERT begins as layers of its teacher, Sanh et al.
2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedModel

from headway.contract.errors import RefusedError
from headway_trainer.models.student import PAD_EMBEDDING, Student, StudentConfig

_WORDS, _PLACES = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
_TRIGRAM = "embeddings.embedding_transformation"


def start_from(student: Student, source: str, vocabulary: int, kept: Sequence[int]) -> int:
    """Give the student the checkpoint's weights and return how many it took.

    `vocabulary` is how many tokens there are before trimming, `kept` the ids of those that the student knows, in its
    order. Raises `RefusedError` (`train.student`) if the checkpoint is neither MobileBERT nor BERT or does not fit.
    """
    held = _read(source, student.config)
    if len(held[_WORDS]) != vocabulary:
        raise _refused(
            f"It has {len(held[_WORDS])} tokens and the vocabulary {vocabulary}: they do not belong together"
        )
    held[_WORDS] = held[_WORDS][torch.tensor(kept)]
    return _given(student, held)


def start_as(student: Student, encoder: PreTrainedModel) -> int:
    """Give the student the first layers of `encoder`, which has the student's vocabulary; return as `start_from`.

    Raises `RefusedError` (`train.student`) as that does.
    """
    _check(encoder.config, student.config)
    return _given(student, _weights(encoder))


def _given(student: Student, held: dict[str, Tensor]) -> int:
    held[_PLACES] = held[_PLACES][: student.config.max_length]
    taken = 0
    with torch.no_grad():
        for name, parameter in student.backbone.named_parameters():
            found = held.get(name)
            if found is None or found.shape != parameter.shape:
                has = "not there" if found is None else f"{list(found.shape)}"
                raise _refused(f"{name} is {has} and the student's is {list(parameter.shape)}")
            parameter.copy_(found)
            taken += parameter.numel()
        student.backbone.embeddings.word_embeddings.weight[student.pad_id] = PAD_EMBEDDING
    return taken


def _read(source: str, config: StudentConfig) -> dict[str, Tensor]:
    try:
        _check(AutoConfig.from_pretrained(source), config)
        model, told = AutoModel.from_pretrained(
            source, dtype=torch.float32, add_pooling_layer=False, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise _refused("transformers cannot read it") from error
    if told["missing_keys"]:
        raise _refused(f"{min(told['missing_keys'])} is missing in it")
    return _weights(model)


def _weights(model: PreTrainedModel) -> dict[str, Tensor]:
    held = {name: value.to("cpu") for name, value in model.state_dict().items()}
    if model.config.model_type == "bert":
        width = int(model.config.hidden_size)
        held[f"{_TRIGRAM}.weight"] = torch.cat(
            [torch.zeros(width, width), torch.eye(width), torch.zeros(width, width)], 1
        )
        held[f"{_TRIGRAM}.bias"] = torch.zeros(width)
    return held


def _check(found: Any, config: StudentConfig) -> None:
    """Refuse another kind of model, and what has the same shapes and computes something else."""
    if found.model_type not in ("mobilebert", "bert"):
        raise _refused(f"It is of the kind {found.model_type}")
    bert = found.model_type == "bert"
    pairs = (
        ("heads", found.num_attention_heads, config.heads),
        ("activation", found.hidden_act, config.activation),
        ("normalisation", "layer_norm" if bert else found.normalization_type, config.normalisation),
    )
    for what, has, wanted in pairs:
        if has != wanted:
            raise _refused(f"Its {what} is {has} and the student's is {wanted}")
    if bert and config.bottleneck:
        raise _refused("It is a BERT and the student has a bottleneck, so its layers have no place")


def _refused(why: str) -> RefusedError:
    return RefusedError(
        "train.student",
        f"The student cannot begin as this checkpoint. {why}.",
        hint="Let it begin as a MobileBERT (with bottleneck = 0 also a BERT) of the vocabulary and widths configured, "
        "or with fresh weights.",
    )

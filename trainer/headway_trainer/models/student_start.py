"""A student that begins as a checkpoint: any MobileBERT of the same widths, as transformers keeps one in a folder.

Layers above the student's, positions past its longest text and words that its vocabulary leaves out are dropped. Every
other parameter must be there in its shape: half a checkpoint would teach nothing and say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import AutoConfig, MobileBertModel

from headway.contract.errors import RefusedError
from headway_trainer.models.student import PAD_EMBEDDING, Student

_WORDS, _PLACES = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"


def start_from(student: Student, source: str, vocabulary: int, kept: Sequence[int]) -> int:
    """Give the student the checkpoint's weights and return how many it took.

    `vocabulary` is how many tokens there are before trimming, `kept` the ids of those that the student knows, in its
    order. Raises `RefusedError` (`train.student`) if the checkpoint is no MobileBERT or does not fit.
    """
    held = _read(source)
    if len(held[_WORDS]) != vocabulary:
        raise _refused(
            f"It has {len(held[_WORDS])} tokens and the vocabulary {vocabulary}: they do not belong together"
        )
    held[_WORDS] = held[_WORDS][torch.tensor(kept)]
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


def _read(source: str) -> dict[str, Tensor]:
    try:
        kind = AutoConfig.from_pretrained(source).model_type
        if kind != "mobilebert":
            raise _refused(f"It is of the kind {kind}")
        model, told = MobileBertModel.from_pretrained(
            source, dtype=torch.float32, add_pooling_layer=False, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise _refused("transformers cannot read it") from error
    if told["missing_keys"]:
        raise _refused(f"{min(told['missing_keys'])} is missing in it")
    return dict(model.state_dict())


def _refused(why: str) -> RefusedError:
    return RefusedError(
        "train.student",
        f"The student cannot begin as this checkpoint. {why}.",
        hint="Give --student a MobileBERT over the configuration's vocabulary with the widths of [student], or none.",
    )

"""What can be known of a teacher before an hour is spent on it: its vocabulary, its lengths, whether it can guide.

Reads the teacher's configuration and vocabulary only, never its weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.utils import cached_file

from headway.contract.errors import RefusedError
from headway_trainer.learning.matching import check_geometry
from headway_trainer.models.student import StudentConfig


def check_teacher(
    source: str, tokens: Sequence[str], student: StudentConfig, followed: tuple[int, int] | None, layers: int = 0
) -> None:
    """Return if the teacher fits. `followed` are layers and heads of a student that copies its states, else None.

    `layers` of the teacher are taken, with 0 all. Raises `RefusedError`: `train.teacher` if it cannot be loaded, has
    fewer layers, other tokens or reads shorter texts;
    `train.geometry` if its layers have no divisor in common with the student's, or its heads are no multiple.
    """
    config = _config(source)
    size, positions = int(config.vocab_size), int(config.max_position_embeddings)
    if size != len(tokens):
        raise _refused(
            f"The teacher has {size} tokens and the vocabulary {len(tokens)}: they do not belong together",
            "Give the teacher's own vocab.txt, or a teacher of this vocabulary",
        )
    if (theirs := _vocabulary(source)) is not None:
        _same_tokens(theirs, tokens)
    if positions < student.max_length:
        raise _refused(
            f"The teacher reads at most {positions} tokens and student.max_length is {student.max_length}",
            "Lower student.max_length or take another teacher",
        )
    width = int(config.hidden_size)
    if width < student.embedding:
        raise RefusedError(
            "train.geometry",
            f"The teacher is {width} wide, and the student's embeddings, which begin as its own, {student.embedding}.",
            hint="Lower student.embedding or take a wider teacher.",
        )
    depth = int(config.num_hidden_layers)
    if layers > depth:
        raise _refused(
            f"The teacher has {depth} layers and teacher.layers is {layers}",
            "Lower teacher.layers, or set it to 0 for all",
        )
    if followed:
        check_geometry(*followed, layers or depth, int(config.num_attention_heads))


def _config(source: str) -> Any:
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        kind = "folder" if Path(source).exists() else "folder or model id"
        raise _refused(
            f"The {kind} {Path(source).name} holds no teacher that transformers can read",
            "Give --teacher a folder with config.json, weights and vocab.txt, or an id your model hub knows",
        ) from error


def _vocabulary(source: str) -> Path | None:
    """Where the teacher's `vocab.txt` is, in its folder or in the cache of its hub; None if it has none."""
    found = cached_file(
        source,
        "vocab.txt",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    return None if found is None else Path(found)


def _same_tokens(path: Path, tokens: Sequence[str]) -> None:
    theirs = path.read_text("utf-8").removesuffix("\n").split("\n")
    for number, (one, other) in enumerate(zip(theirs, tokens, strict=False)):
        if one.rstrip("\r") != other:
            raise _refused(
                f"Token {number} is {one.rstrip()!r} in the teacher's vocab.txt and {other!r} in the configuration's",
                "Name the teacher's own vocab.txt as data.vocabulary",
            )


def _refused(why: str, hint: str) -> RefusedError:
    return RefusedError("train.teacher", f"{why}.", hint=f"{hint}.")

"""Which tokens of a vocabulary a base keeps: those its texts use, and those that any Chinese text may need.

Pure. The trimmed vocabulary is a vocabulary like any other: the same tokenizer reads it in the trainer, the SDK and on
the device, and its digest in the feature contract tells it from the whole one. A dropped word falls into pieces that
were kept, or becomes `[UNK]`; how often is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from headway.contract.tokenizer import CLS, PAD, SEP, UNK

_ALWAYS = frozenset({PAD, UNK, CLS, SEP, "[MASK]"})


@dataclass(frozen=True, slots=True)
class TrimConfig:
    """Tokens that occur `min_count` times in the training texts are kept; 0 keeps the whole vocabulary.

    `characters` are kept however rare they are here: `gb2312`, the 3,755 common characters of that standard's first
    level, or none.
    """

    min_count: int = 0
    characters: Literal["gb2312", "none"] = "gb2312"


def kept(tokens: Sequence[str], counts: Sequence[int], config: TrimConfig) -> list[int]:
    """Return the ids to keep, ascending, so that the order of the tokens stays.

    `counts[i]` says how often token i occurs. Special tokens and single ASCII characters, alone and as pieces, always
    stay: with them every Latin word can be spelt.
    """
    if config.min_count == 0:
        return list(range(len(tokens)))
    common = gb2312_first_level() if config.characters == "gb2312" else frozenset()
    return [
        index
        for index, token in enumerate(tokens)
        if counts[index] >= config.min_count or token in _ALWAYS or token in common or _is_ascii_character(token)
    ]


@cache
def gb2312_first_level() -> frozenset[str]:
    """Return the 3,755 characters of GB 2312's first level, chosen by frequency of use (rows 16 to 55)."""
    rows = range(0xB0, 0xD8)
    codes = (bytes((row, cell)) for row in rows for cell in range(0xA1, 0xFF) if (row, cell) < (0xD7, 0xFA))
    return frozenset(code.decode("gb2312") for code in codes)


def _is_ascii_character(token: str) -> bool:
    piece = token.removeprefix("##")
    return len(piece) == 1 and piece.isascii() and piece.isprintable()

"""Text to token ids: the normaliser and WordPiece tokenizer that trainer, SDK and Swift client share.

What always holds: the result depends on the text, the vocabulary and `NORMALISER_VERSION` alone; the digest names
the last two, so that two sides which agree on the digest agree on every id. `[CLS]`, `[SEP]` and the other special
tokens can not be written in a text: a text is lower-cased first, and special tokens are matched by no text.

The rules are those of BERT's uncased tokenizer (clean, isolate ideographs and punctuation, decompose and drop
accents, lower-case, greedy longest-match WordPiece) after the project's own normaliser. A Swift port needs Unicode's
general categories, canonical decomposition and one-character lower-case mappings, nothing else.

What it does not do: pairs of texts, offsets, decoding, training of vocabularies.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headway.contract.digests import Digest, digest_of
from headway.contract.errors import RefusedError

NORMALISER_VERSION = "headway-normaliser-1"
"""Changes whenever `normalise` or the splitting rules give another result for any text."""

MAX_WORD_CHARACTERS = 100
"""A longer word becomes one `[UNK]`, as in BERT."""

PAD, UNK, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"

# One character to one character, so that offsets into the text survive the normaliser.
_CHARACTER_MAP = {
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("‘’`´", "'"),
    **dict.fromkeys("—―–", "-"),
    "…": ".",
}

_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)

# Control, format, private use, surrogate. Unassigned code points stay: which they are differs between Unicode versions.
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cs"})

# More words than any corpus here holds; beyond it the cache starts afresh, so memory stays bounded.
_CACHE_WORDS = 200_000


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text as the model takes it: ids and mask, both exactly `max_length` long; mask 1 where a token stands."""

    input_ids: tuple[int, ...]
    attention_mask: tuple[int, ...]


def normalise(text: str) -> str:
    """Return `text` lower-cased and with typographic quotes, dashes and ellipses made plain; the length is kept."""
    return text.translate(_NORMALISED)


def _normalised_character(character: str) -> str:
    # A lower-case form of several characters (only "İ" has one) would move offsets: such a character stays.
    lower = character.lower()
    return _CHARACTER_MAP.get(character, lower if len(lower) == 1 else character)


class _Normalised(dict[int, str]):
    def __missing__(self, code: int) -> str:
        self[code] = value = _normalised_character(chr(code))
        return value


_NORMALISED = _Normalised()


def _is_ideograph(code: int) -> bool:
    return any(low <= code <= high for low, high in _IDEOGRAPHS)


def _is_punctuation(character: str) -> bool:
    code = ord(character)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_sign or unicodedata.category(character).startswith("P")


def _pieces_of_character(character: str) -> str:
    """Return what one normalised character adds to the text that is then split at spaces."""
    code = ord(character)
    if character in "\t\n\r":
        return " "
    if code == 0xFFFD or unicodedata.category(character) in _DROPPED:
        return ""
    if character.isspace():
        return " "
    if _is_ideograph(code):
        return f" {unicodedata.normalize('NFD', character)} "
    kept = [c for c in unicodedata.normalize("NFD", character) if unicodedata.category(c) != "Mn"]
    return "".join(f" {c} " if _is_punctuation(c) else c.lower() for c in kept)


class _Split(dict[int, str]):
    def __missing__(self, code: int) -> str:
        self[code] = value = _pieces_of_character(_normalised_character(chr(code)))
        return value


_SPLIT = _Split()


def words(text: str) -> list[str]:
    """Return the words WordPiece is applied to: ideographs and punctuation alone, other runs between spaces."""
    return text.translate(_SPLIT).split()


class Tokenizer:
    """WordPiece over a fixed vocabulary. Immutable but for its cache; safe to share between threads."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        """Take the tokens in id order. Raises `RefusedError` for a duplicate or a missing special token."""
        self._tokens = tuple(vocabulary)
        self._ids = {token: index for index, token in enumerate(self._tokens)}
        if len(self._ids) != len(self._tokens):
            raise _refused("it holds a token twice")
        missing = [token for token in (PAD, UNK, CLS, SEP) if token not in self._ids]
        if missing:
            raise _refused(f"it lacks {', '.join(missing)}")
        self._cache: dict[str, tuple[int, ...]] = {}
        self.pad_id, self.unk_id = self._ids[PAD], self._ids[UNK]
        self.cls_id, self.sep_id = self._ids[CLS], self._ids[SEP]
        self.digest = vocabulary_digest(self._tokens)
        """`sha256:<hex>` over the normaliser's version and the vocabulary."""

    @classmethod
    def from_vocab(cls, source: str | os.PathLike[str] | Iterable[str]) -> Tokenizer:
        """Read a `vocab.txt` (UTF-8, one token a line, id = line number from 0) or take its lines.

        Raises `OSError` if the file can not be read and `RefusedError` (`vocabulary`) if it is no vocabulary.
        """
        if isinstance(source, str | os.PathLike):
            return cls.from_bytes(Path(source).read_bytes())
        return cls(line.rstrip("\r\n") for line in source)

    @classmethod
    def from_bytes(cls, data: bytes) -> Tokenizer:
        """Read the bytes of a `vocab.txt`. Raises `RefusedError` (`vocabulary`) if it is no vocabulary."""
        try:
            lines = data.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise _refused("it is not UTF-8") from error
        if not lines[-1]:
            lines.pop()
        return cls(line.rstrip("\r\n") for line in lines)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The vocabulary in id order."""
        return self._tokens

    def ids(self, text: str, max_length: int) -> list[int]:
        """Return `[CLS] … [SEP]` unpadded, cut to `max_length` ids (at least 2)."""
        if max_length < 2:
            raise RefusedError(
                "max_length", f"{max_length} tokens leave no room for [CLS] and [SEP].", hint="Give at least 2."
            )
        room = max_length - 2
        body: list[int] = []
        for word in words(text):
            body.extend(self._word(word))
            if len(body) >= room:
                break
        return [self.cls_id, *body[:room], self.sep_id]

    def encode(self, text: str, max_length: int) -> Encoded:
        """Return ids and mask of `text`, cut and padded to `max_length`."""
        ids = self.ids(text, max_length)
        padding = max_length - len(ids)
        return Encoded((*ids, *(self.pad_id,) * padding), (1,) * len(ids) + (0,) * padding)

    def _word(self, word: str) -> tuple[int, ...]:
        found = self._cache.get(word)
        if found is None:
            if len(self._cache) >= _CACHE_WORDS:
                self._cache = {}
            self._cache[word] = found = self._word_pieces(word)
        return found

    def _word_pieces(self, word: str) -> tuple[int, ...]:
        if len(word) > MAX_WORD_CHARACTERS:
            return (self.unk_id,)
        pieces: list[int] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = self._ids.get(word[start:end] if start == 0 else "##" + word[start:end])
                if piece is not None:
                    break
            else:
                return (self.unk_id,)
            pieces.append(piece)
            start = end
        return tuple(pieces)


def vocabulary_digest(tokens: Iterable[str]) -> Digest:
    """Return `sha256:<hex>` over `NORMALISER_VERSION` and the tokens, each followed by a line feed."""
    return digest_of("".join(f"{line}\n" for line in (NORMALISER_VERSION, *tokens)).encode())


def _refused(why: str) -> RefusedError:
    return RefusedError(
        "vocabulary", f"The vocabulary cannot be used: {why}.", hint="Take the vocab.txt of the base release."
    )

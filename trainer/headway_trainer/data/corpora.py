"""Reading corpora: labelled TSV and unlabelled lines, plain or xz, each with the digest of the file's bytes.

Rows are split at line feeds only: some texts hold other characters that `str.splitlines` would break at.
Nothing here changes a text; the tokenizer normalises.
"""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import dataclass
from pathlib import Path

from headway.contract.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows of a labelled file: `texts[i]` belongs to `labels[i]`; `digest` is the file's as stored, or `together`'s.

    `name` is what messages call it: the file as it was called, without its endings.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    digest: str

    def label_ids(self, names: tuple[str, ...]) -> list[int]:
        """Return each row's index into `names`. Raises `RefusedError` (`train.corpus`) for any other label."""
        index = {name: i for i, name in enumerate(names)}
        unknown = sorted(set(self.labels) - set(names))
        if unknown:
            raise _refused(f"{self.name}: labels {', '.join(unknown)} are not among {', '.join(names)}")
        return [index[label] for label in self.labels]


@dataclass(frozen=True, slots=True)
class Lines:
    """The non-empty lines of one unlabelled file; `digest` is that of the file as stored."""

    name: str
    texts: tuple[str, ...]
    digest: str


def read_labelled(path: Path, label: str = "label", text: str = "text", called: str = "") -> Labelled:
    """Read a TSV whose header names the columns `label` and `text`.

    Messages call the file `called`, by default by its name. Raises `RefusedError` (`train.corpus`).
    """
    called = called or path.name
    content, digest = _read(path, called)
    header, *rows = content.split("\n")
    columns = header.split("\t")
    if label not in columns or text not in columns:
        raise _refused(f"{called}: the header must name the columns {label} and {text}, it has {header!r}")
    label_at, text_at = columns.index(label), columns.index(text)
    texts: list[str] = []
    labels: list[str] = []
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        fields = row.split("\t")
        if len(fields) != len(columns):
            raise _refused(f"{called}, line {number}: {len(fields)} fields, the header has {len(columns)}")
        if not fields[label_at] or not fields[text_at].strip():
            raise _refused(f"{called}, line {number}: the label or the text is empty")
        labels.append(fields[label_at])
        texts.append(fields[text_at])
    if not texts:
        raise _refused(f"{called}: no rows after the header")
    return Labelled(_stem(called), tuple(texts), tuple(labels), digest)


def together(first: Labelled, *others: Labelled) -> Labelled:
    """Return the rows of several files as those of the first; the digest is that of all their digests, a line each."""
    if not others:
        return first
    parts = (first, *others)
    lines = "".join(f"{part.digest}\n" for part in parts)
    return Labelled(
        first.name,
        tuple(text for part in parts for text in part.texts),
        tuple(label for part in parts for label in part.labels),
        f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}",
    )


def read_lines(path: Path) -> Lines:
    """Read one text per line, empty lines left out. Raises `RefusedError` (`train.corpus`)."""
    content, digest = _read(path, path.name)
    texts = tuple(line for line in content.split("\n") if line.strip())
    if not texts:
        raise _refused(f"{path.name}: no text in it")
    return Lines(_stem(path.name), texts, digest)


def segments(lines: Lines, longest: int) -> list[str]:
    """Cut each line into sentences and join neighbours while they stay within `longest` characters."""
    result: list[str] = []
    for line in lines.texts:
        current = ""
        for sentence in _sentences(line):
            if current and len(current) + len(sentence) > longest:
                result.append(current)
                current = ""
            current += sentence
        if current:
            result.append(current)
    return [segment for segment in result if len(segment) >= _SHORTEST_SEGMENT]


_SHORTEST_SEGMENT = 6
_SENTENCE_ENDS = "。！？；!?;"


def _sentences(line: str) -> list[str]:
    found: list[str] = []
    start = 0
    for position, character in enumerate(line):
        if character in _SENTENCE_ENDS:
            found.append(line[start : position + 1])
            start = position + 1
    if start < len(line):
        found.append(line[start:])
    return found


def _stem(called: str) -> str:
    folder, slash, name = called.rpartition("/")
    return folder + slash + name.split(".", 1)[0]


def _read(path: Path, called: str) -> tuple[str, str]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise RefusedError(
            "train.corpus",
            f"There is no file {path}.",
            hint="Labelled files are looked for beside the configuration or in --data, unlabelled ones in --corpora.",
        ) from error
    except OSError as error:
        raise _refused(f"{called}: {error.strerror}") from error
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    try:
        content = lzma.decompress(raw) if path.suffix == ".xz" else raw
        return content.decode("utf-8"), digest
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise _refused(f"{called}: not readable as UTF-8 text: {error}") from error


def _refused(why: str) -> RefusedError:
    return RefusedError("train.corpus", f"A corpus cannot be used: {why}.", hint="Correct the file and start again.")

"""Step `trim`: leave out of the vocabulary what the training texts do not use, and say what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headway.contract.errors import RefusedError
from headway.contract.tokenizer import Tokenizer
from headway_trainer.data.corpora import segments
from headway_trainer.data.sets import SPLITS, LabelledSet, by_set
from headway_trainer.earlier import Earlier
from headway_trainer.files import write_text
from headway_trainer.run import Run
from headway_trainer.trim import kept


def trimmed(run: Run) -> dict[str, Any]:
    """Write the trimmed vocabulary; without `[trim]` the whole one is used and nothing is written.

    A run that goes on after another keeps that one's: its student knows those words in those places.
    """
    source = run.source_tokenizer
    if not run.config.trim.min_count:
        return {"tokens": len(source.tokens), "kept": len(source.tokens)}
    tokens = _of_the_earlier(run.earlier, source) if run.earlier else _used(run, source)
    write_text(run.trimmed_vocabulary, "".join(f"{token}\n" for token in tokens))
    after = Tokenizer.from_vocab(run.trimmed_vocabulary)

    def told(of: LabelledSet) -> dict[str, Any]:
        return {split: _unknown(run, of.splits[split].texts, source, after) for split in SPLITS}

    row_bytes = run.config.student.embedding + 5
    return {
        "tokens": len(source.tokens),
        "kept": len(tokens),
        "bytes_saved": (len(source.tokens) - len(tokens)) * row_bytes,
        "tokenizer": after.digest,
        "unknown": by_set(run.sets, told),
    }


def _used(run: Run, source: Tokenizer) -> Sequence[str]:
    return [source.tokens[index] for index in kept(source.tokens, _counts(run, source), run.config.trim)]


def _of_the_earlier(earlier: Earlier, source: Tokenizer) -> Sequence[str]:
    tokens, known = Tokenizer.from_vocab(earlier.vocabulary).tokens, set(source.tokens)
    unknown = next((token for token in tokens if token not in known), None)
    if unknown is not None:
        raise RefusedError(
            "train.after",
            f"The earlier run knows the word {unknown!r}, which data.vocabulary does not hold.",
            hint="Give the vocabulary that the earlier run was trimmed from.",
        )
    return tokens


def _counts(run: Run, source: Tokenizer) -> Sequence[int]:
    texts = [text for of in run.taught for text in of.splits["train"].texts]
    for lines in run.unlabelled:
        texts += segments(lines, run.config.general.characters)
    found: Counter[int] = Counter()
    for text in texts:
        found.update(source.ids(text, run.config.student.max_length))
    return [found[index] for index in range(len(source.tokens))]


def _unknown(run: Run, texts: Sequence[str], before: Tokenizer, after: Tokenizer) -> dict[str, Any]:
    """Return the share of `[UNK]` among the tokens, and tokens per text, with either vocabulary."""
    facts: dict[str, Any] = {}
    for name, tokenizer in (("before", before), ("after", after)):
        ids = [tokenizer.ids(text, run.config.student.max_length) for text in texts]
        tokens = sum(map(len, ids))
        unknown = sum(row.count(tokenizer.unk_id) for row in ids)
        facts[name] = {"unknown_share": round(unknown / tokens, 6), "tokens_per_text": round(tokens / len(ids), 3)}
    return facts

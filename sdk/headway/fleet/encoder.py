"""Texts to features, once each: the fleet's shared run of the base.

On a phone every device runs its own copy of the base. Here all simulated devices hold byte-identical copies, so one
run of a text serves all of them; what is shared is computation, never a device's data. Results are also kept in a
file, keyed by the base's digest and the tokenizer's, so that a second run of the same demo starts at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import digest_of, hex_of
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.package import read_package
from headway.fleet.narrator import Narrator, Silent


class Encoder:
    """A base release that encodes texts. ``encoded`` and ``seconds`` say what the base really computed here."""

    def __init__(self, base: Path, cache: Path | None = None, narrator: Narrator | None = None) -> None:
        package = read_package(base / "base.mlpackage")
        self.contract = FeatureContract.from_bytes((base / "contract.json").read_bytes())
        self.tokenizer = Tokenizer.from_vocab(base / "vocab.txt")
        self.features = Features(package, self.tokenizer, self.contract)
        self.encoded = 0
        self.seconds = 0.0
        self._narrator = narrator or Silent()
        self._known: dict[str, NDArray[np.float32]] = {}
        self._file = None if cache is None else cache / f"features-{hex_of(self.contract.digest)[:16]}.npz"
        self._load()

    def of(self, texts: Sequence[str], label: str = "encode") -> NDArray[np.float32]:
        """Features of ``texts``, float32 ``[len(texts), D]``; only texts never seen before run through the base."""
        missing = [text for text in dict.fromkeys(texts) if _key(text) not in self._known]
        if missing:
            self._compute(missing, lambda done, total: self._narrator.progress(label, done, total))
        if not texts:
            return np.empty((0, self.contract.dimension), np.float32)
        return np.stack([self._known[_key(text)] for text in texts])

    def of_ids(self, input_ids: NDArray[np.int32], attention_mask: NDArray[np.int32]) -> NDArray[np.float32]:
        """Features of token ids and masks, both int32 ``[n, L]``: how a device runs a golden batch."""
        return self.features.of_ids(input_ids, attention_mask)

    def _compute(self, texts: list[str], progress: Callable[[int, int], None]) -> None:
        started = time.perf_counter()
        for text, row in zip(texts, self.features.of(texts, progress=progress), strict=True):
            # A copy: a view would keep the whole batch alive for one row.
            self._known[_key(text)] = row.copy()
        self.seconds += time.perf_counter() - started
        self.encoded += len(texts)

    def _load(self) -> None:
        if self._file is None or not self._file.is_file():
            return
        with np.load(self._file, allow_pickle=False) as stored:
            names, rows = stored["texts"], stored["features"]
        if rows.ndim == 2 and rows.shape[1] == self.contract.dimension and rows.dtype == np.float32:
            self._known = {str(name): row for name, row in zip(names, rows, strict=True)}

    def save(self) -> None:
        """Write the cache file, if one was named. Texts stand in it as digests only."""
        if self._file is None or not self.encoded:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("wb") as stream:
            np.savez(stream, texts=np.array(list(self._known)), features=np.stack(list(self._known.values())))


def _key(text: str) -> str:
    return hex_of(digest_of(text.encode("utf-8")))

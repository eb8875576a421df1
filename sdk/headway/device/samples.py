"""The user's corrections: kept on the device, bounded, balanced, deletable, and never sent anywhere.

One small file per correction, so that a crash can lose at most the one being written. When the store is full, the
largest class gives way, and within a class the texts with the lowest hash: what stays is a uniform sample of all
distinct texts, without counters that a crash could spoil. Which side of the train/holdout split a text is on depends
on the text alone, so it never changes sides. Features are cached per base; a new base recomputes them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from headway.contract.digests import Digest, canonical_json, digest_of, hex_of
from headway.contract.errors import RefusedError
from headway.contract.parsing import decode
from headway.contract.tokenizer import normalise
from headway.device.files import remove_tree, write_atomic
from headway.device.ports import FileSystem
from headway.device.store import stored

MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Sample:
    """One correction: the text as typed, the right label, and when it was made (seconds since 1970)."""

    text: str
    label: str
    made_s: int

    @property
    def id(self) -> str:
        """24 hex digits of the normalised text: correcting a text again replaces its label."""
        return hashlib.sha256(normalise(self.text).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class SampleLimits:
    """How many corrections are kept in all, and which shares (percent) tune and judge instead of training."""

    total: int = 600
    tune_percent: int = 15
    judge_percent: int = 25


def side_of(sample: Sample, limits: SampleLimits) -> str:
    """``train``, ``tune`` (early stop, α) or ``judge`` (seen by nothing before). Depends on the text alone."""
    hashed = hashlib.sha256(b"side\x00" + sample.id.encode()).digest()
    share = int.from_bytes(hashed[:4], "big") % 100
    if share < limits.judge_percent:
        return "judge"
    return "tune" if share < limits.judge_percent + limits.tune_percent else "train"


class SampleStore:
    """The corrections of one head. Methods raise ``DeviceStoreError`` (``disk_full``, ``store_io``)."""

    def __init__(self, files: FileSystem, name: str, limits: SampleLimits = SampleLimits()) -> None:
        self._files = files
        self._folder = f"heads/{name}/samples"
        self._features = f"heads/{name}/features"
        self.limits = limits

    def add(self, sample: Sample) -> None:
        """Keep a correction; where there is no room, one of the largest class goes (perhaps this one).

        Raises:
            RefusedError: code ``correction``; an empty or overlong text, or an empty label.
        """
        if not sample.text.strip() or len(sample.text) > MAX_TEXT or not sample.label:
            raise RefusedError(
                "correction",
                f"A correction needs a text of 1 to {MAX_TEXT} characters and a label.",
                hint="Skip empty texts before calling add_correction.",
            )
        body = canonical_json(
            {"schema": 1, "text": _ascii(sample.text), "label": _ascii(sample.label), "made_s": sample.made_s}
        )
        path = f"{self._folder}/{sample.id}.json"
        # Reading every sample costs far more than this write: only a full store must choose who gives way.
        full = self.count() >= self.limits.total
        held = ({s.id: s for s in self.all()} if full else {}) | {sample.id: sample}
        out = _crowded_out(held, self.limits)
        if sample.id not in out:
            stored("save", path, lambda: write_atomic(self._files, path, body))
        for gone in out - {sample.id}:
            self.remove(gone)

    def all(self) -> tuple[Sample, ...]:
        """Every correction, by id; a file that cannot be read is not one."""
        names = stored("list", self._folder, lambda: self._files.names(self._folder))
        found = (self._read(f"{self._folder}/{name}") for name in names if name.endswith(".json"))
        return tuple(sample for sample in found if sample is not None)

    def count(self) -> int:
        """How many corrections there are."""
        names = stored("list", self._folder, lambda: self._files.names(self._folder))
        return sum(name.endswith(".json") for name in names)

    def remove(self, sample_id: str) -> None:
        """Delete one correction, and all cached features with it."""
        self._drop(f"{self._folder}/{sample_id}.json")
        for name in stored("list", self._features, lambda: self._files.names(self._features)):
            self._drop(f"{self._features}/{name}")

    def clear(self) -> None:
        """Delete everything: the user's right."""
        for folder in (self._features, self._folder):
            stored("remove", folder, lambda path=folder: remove_tree(self._files, path))  # type: ignore[misc]

    def collect(self) -> None:
        """Remove temp files that a crash left."""
        for folder in (self._features, self._folder):
            for name in stored("list", folder, lambda path=folder: self._files.names(path)):  # type: ignore[misc]
                if not name.endswith((".json", ".f32")):
                    self._drop(f"{folder}/{name}")

    def _drop(self, path: str) -> None:
        stored("remove", path, lambda: self._files.remove(path))

    def _read(self, path: str) -> Sample | None:
        data = stored("read", path, lambda: self._files.read(path))
        try:
            fields = decode(data or b"", "sample")
            fields.schema(1)
            return Sample(
                _text(fields.text("text", max_length=12 * MAX_TEXT)),
                _text(fields.text("label")),
                fields.integer("made_s"),
            )
        except (RefusedError, ValueError):
            return None

    # Cached features ------------------------------------------------------------------------------------------

    def features(self, base: Digest, dimension: int) -> dict[str, bytes]:
        """Cached features on ``base`` by sample id, each ``dimension`` little-endian float32; empty if damaged."""
        path = f"{self._features}/{hex_of(base)}.f32"
        data = stored("read", path, lambda: self._files.read(path)) or b""
        head, _, rows = data.partition(b"\n")
        try:
            fields = decode(head, "feature cache")
            ids, size = fields.texts("ids"), 4 * fields.integer("dimension")
            if fields.digest("digest") != digest_of(rows) or size != 4 * dimension or len(rows) != size * len(ids):
                return {}
        except RefusedError:
            return {}
        return {sample: rows[i * size : (i + 1) * size] for i, sample in enumerate(ids)}

    def keep_features(self, base: Digest, dimension: int, rows: Mapping[str, bytes]) -> None:
        """Replace the cache of ``base``; caches of other bases go."""
        ids = sorted(rows)
        block = b"".join(rows[i] for i in ids)
        head = canonical_json({"dimension": dimension, "digest": digest_of(block), "ids": ids})
        path = f"{self._features}/{hex_of(base)}.f32"
        stored("save", path, lambda: write_atomic(self._files, path, head + b"\n" + block))
        for name in stored("list", self._features, lambda: self._files.names(self._features)):
            if name != f"{hex_of(base)}.f32":
                self._drop(f"{self._features}/{name}")


def _crowded_out(held: Mapping[str, Sample], limits: SampleLimits) -> set[str]:
    """Ids that must go for the store to keep its size: lowest hash of the largest class, one by one."""
    out: set[str] = set()
    while len(held) - len(out) > limits.total:
        left = [s for s in held.values() if s.id not in out]
        largest = max(Counter(s.label for s in left).items(), key=lambda item: (item[1], item[0]))[0]
        out.add(min(s.id for s in left if s.label == largest))
    return out


def _ascii(text: str) -> str:
    """Text as printable ASCII (JSON's own escapes), since canonical JSON holds nothing else."""
    return json.dumps(text)


def _text(stored_text: str) -> str:
    value = json.loads(stored_text)
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value

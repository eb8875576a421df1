"""The edge to model execution: base, heads, and what is measured with them. Needs the extra ``sim``.

Bytes are verified by their caller and executed from memory: what runs is exactly what was digested, never a file
that could have changed since. Imported lazily: the rest of the device works without it.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headway.contract.digests import Digest, digest_of
from headway.contract.errors import HeadwayError, IncompatibleError
from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.golden import HeadGolden, read_head_golden
from headway.coreml.model import MLModel
from headway.coreml.package import Package, PackageFile
from headway.coreml.proto import parse_model
from headway.device.bundle import HEAD_FILE, AppBundle
from headway.device.health import ClassScore, HealthFacts

Array = NDArray[np.float32]
_GOLDEN_KEPT = 16


class FeatureSource(Protocol):
    """Turns texts, or token ids, into features float32 ``[n, D]``."""

    def of(self, texts: Sequence[str]) -> Array:
        """Features of texts."""
        ...

    def of_ids(self, input_ids: NDArray[np.int32], attention_mask: NDArray[np.int32]) -> Array:
        """Features of token ids and masks, both int32 ``[n, L]``."""
        ...


class Runtime:
    """A base ready to run, shared by all heads (and, in a rehearsal, by all devices with that base).

    The base is compiled at its first use. Features of golden batches are kept, since every device of a fleet judges
    the same ones.
    """

    def __init__(self, contract: FeatureContract, source: Callable[[], FeatureSource]) -> None:
        self.contract = contract
        self._make = source
        self._source: FeatureSource | None = None
        self._golden: OrderedDict[Digest, Array] = OrderedDict()

    @classmethod
    def of_bundle(cls, bundle: AppBundle) -> Runtime:
        """The base of an app bundle."""

        def make() -> FeatureSource:
            from headway.coreml.features import Features

            tokenizer = Tokenizer.from_vocab(bundle.vocabulary_path)
            return Features(bundle.base_path, tokenizer, bundle.contract)

        return cls(bundle.contract, make)

    @property
    def source(self) -> FeatureSource:
        """The compiled base."""
        if self._source is None:
            self._source = self._make()
        return self._source

    def features(self, texts: Sequence[str]) -> Array:
        """Features of texts, float32 ``[n, D]``."""
        return self.source.of(texts)

    def golden_features(self, golden: HeadGolden) -> Array:
        """Features of a golden batch as this base gives them."""
        key = digest_of(golden.input_ids.tobytes() + golden.attention_mask.tobytes())
        found = self._golden.get(key)
        if found is None:
            found = self._golden[key] = self.source.of_ids(golden.input_ids, golden.attention_mask)
            while len(self._golden) > _GOLDEN_KEPT:
                self._golden.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class LoadedHead:
    """A head ready to run. ``digest`` is that of its bytes; row ``i`` of the output is ``labels[i]``."""

    digest: Digest
    labels: tuple[str, ...]
    model: MLModel
    input_name: str
    output_name: str

    def predict(self, features: Array) -> Array:
        """Probabilities float32 ``[n, K]`` of features ``[n, D]``."""
        return self.model.predict({self.input_name: features})[self.output_name].astype(np.float32, copy=False)


def load_head(data: bytes, labels: Sequence[str], contract: FeatureContract) -> LoadedHead:
    """Load the head whose file is ``data``, and check that it fits its labels and the base's contract.

    Raises:
        IncompatibleError: code ``head_shape``; another input, output or number of classes.
        HeadwayError: whatever the runtime says about a broken file.
    """
    model = MLModel(_package(data))
    description = model.description
    inputs, outputs = description.inputs, description.outputs
    if len(inputs) != 1 or not outputs:
        raise _shape("it must take one input and give one output")
    if inputs[0].name != contract.output or inputs[0].shape != contract.shape:
        raise _shape(f"it takes {inputs[0].name} {list(inputs[0].shape)}, the base gives {contract.output}")
    if outputs[0].shape not in ((len(labels),), ()):
        raise _shape(f"it gives {list(outputs[0].shape)} for {len(labels)} labels")
    return LoadedHead(digest_of(data), tuple(labels), model, inputs[0].name, outputs[0].name)


def _package(data: bytes) -> Package:
    digest = digest_of(data)
    file = PackageFile(HEAD_FILE, digest, len(data))
    return Package(Path(HEAD_FILE), data, parse_model(data), (file,), MappingProxyType({}), HEAD_FILE, digest)


def _shape(why: str) -> IncompatibleError:
    return IncompatibleError(
        "head_shape", f"The head does not fit: {why}.", hint="Publish a head that was built for this feature contract."
    )


def read_labels(data: bytes | None) -> tuple[str, ...]:
    """The labels of a head release, in the order of its output.

    Raises:
        IncompatibleError: code ``labels``; not a list of different strings.
    """
    try:
        value = json.loads((data or b"").decode("utf-8"))
    except (ValueError, RecursionError):
        value = None
    texts = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    if not texts or len(set(value)) != len(value) or len(value) < 2:
        raise IncompatibleError(
            "labels", "labels.json is not a list of different labels.", hint="Publish the head again with its labels."
        )
    return tuple(value)


def why_invalid(data: bytes, labels_data: bytes | None, golden: bytes | None, contract: FeatureContract) -> str | None:
    """The first reason code why a head release cannot work here, or None: rules of updatable heads, shapes, golden."""
    try:
        if _rule_broken(data):
            return "invalid_model"
        labels = read_labels(labels_data)
        head = load_head(data, labels, contract)
        if not head.model.description.is_updatable:
            return "not_updatable"
        batch = read_head_golden(golden or b"")
        if batch.features.shape[1] != contract.dimension or batch.probabilities.shape[1] != len(labels):
            return "golden_shape"
    except HeadwayError as error:
        return "invalid_model" if error.code.startswith("mlmodel") else _code(error.code)
    return None


def _rule_broken(data: bytes) -> bool:
    from headway.coreml.validator import validate_model

    return bool(validate_model(parse_model(data), require_updatable=True))


def _code(code: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in code.lower())[:64]


def measure(head: LoadedHead, size: int, golden: HeadGolden, runtime: Runtime) -> HealthFacts:
    """Run a head's golden batch through base and head as they are on this device."""
    features = runtime.golden_features(golden)
    probabilities = head.predict(features)
    finite = bool(np.isfinite(features).all() and np.isfinite(probabilities).all())
    found = probabilities.argmax(axis=1)
    return HealthFacts(
        rows=len(features),
        finite=finite,
        feature_deviation=_largest(features - golden.features),
        probability_deviation=_largest(probabilities - golden.probabilities),
        agreement=float((found == golden.probabilities.argmax(axis=1)).mean()),
        classes=tuple(
            ClassScore(label, int((golden.labels == k).sum()), int(((golden.labels == k) & (found == k)).sum()))
            for k, label in enumerate(head.labels)
        ),
        head_bytes=size,
        latency_ms=_latency_ms(head, features[:1]),
    )


def _largest(difference: Array) -> float:
    return float(np.abs(difference).max()) if difference.size else 0.0


def _latency_ms(head: LoadedHead, row: Array) -> float:
    """The least of five: what the head costs, not what else the phone was doing."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        head.predict(row)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)

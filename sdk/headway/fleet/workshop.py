"""Making head releases during a run: fit on cached features with our own ``MLUpdateTask``, and write the folder.

The result is what the trainer writes: ``head.mlmodel``, ``golden.safetensors``, ``labels.json`` and ``card.json``.
The golden rows are kept apart from the rows that are fitted on. It neither proves nor signs: the publisher does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headway.coreml import SGD, Adam, AllowedSet, HeadLayout, MLModel, MLUpdateTask, Range, build_head, initial_head
from headway.coreml.golden import HeadGolden, write_golden
from headway.fleet.corpus import Utterance
from headway.fleet.encoder import Encoder
from headway.fleet.report.model import Share


@dataclass(frozen=True, slots=True)
class FitPlan:
    """How to fit a head. ``rows`` and ``golden`` count texts; ``swap`` exchanges two labels, as a broken import does.

    ``epochs``, ``batch`` and ``learning_rate`` are of this fit (Adam); the head ships with SGD's defaults for devices.
    """

    rows: int = 3000
    golden: int = 64
    epochs: int = 12
    batch: int = 32
    learning_rate: float = 0.002
    swap: tuple[str, str] | None = None
    seed: int = 1


def fit_release(
    folder: Path, utterances: Sequence[Utterance], labels: Sequence[str], plan: FitPlan, encoder: Encoder
) -> Path:
    """Fit a head on a sample of ``utterances`` and write its release folder."""
    chosen = list(utterances)
    random.Random(f"fit:{plan.seed}").shuffle(chosen)
    chosen = chosen[: plan.rows + plan.golden]
    features = encoder.of([u.text for u in chosen], "encode training text")
    names = _swapped(plan.swap)
    targets = np.array([labels.index(names.get(u.label, u.label)) for u in chosen], np.int32)
    golden, fitted = slice(0, plan.golden), slice(plan.golden, None)
    folder.mkdir(parents=True, exist_ok=True)
    _fit(folder / "head.mlmodel", features[fitted], targets[fitted], len(labels), plan)
    _write_golden(folder, [u.text for u in chosen[golden]], features[golden], targets[golden], encoder)
    (folder / "labels.json").write_text(json.dumps(list(labels), ensure_ascii=False), encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(_card(plan, len(chosen) - plan.golden), indent=2), encoding="utf-8")
    return folder


def _swapped(pair: tuple[str, str] | None) -> Mapping[str, str]:
    return {} if pair is None else {pair[0]: pair[1], pair[1]: pair[0]}


def _fit(path: Path, features: NDArray[np.float32], targets: NDArray[np.int32], classes: int, plan: FitPlan) -> None:
    layout = HeadLayout(
        features=features.shape[1],
        classes=classes,
        optimizer=Adam(learning_rate=Range(plan.learning_rate), mini_batch_size=AllowedSet(plan.batch, (plan.batch,))),
        epochs=AllowedSet(plan.epochs, (plan.epochs,)),
    )
    path.write_bytes(initial_head(layout, seed=plan.seed))
    # Shuffle is off in the specification: the order is ours, and the same on every machine.
    order = np.random.Generator(np.random.PCG64(plan.seed)).permutation(len(features))
    task = MLUpdateTask(path, {layout.input_name: features[order], layout.target_name: targets[order, None]})
    task.resume()
    if task.context is None or task.context.model is None:
        raise task.error or RuntimeError("the update task ended without a model")
    # What ships is the same head with plain SGD: a device takes few, small steps from a good start.
    shipped = HeadLayout(features=features.shape[1], classes=classes, optimizer=SGD())
    path.write_bytes(build_head(shipped, task.context.model.weights))


def _write_golden(
    folder: Path, texts: list[str], features: NDArray[np.float32], targets: NDArray[np.int32], encoder: Encoder
) -> None:
    contract = encoder.contract
    encoded = [encoder.tokenizer.encode(text, contract.max_sequence_length) for text in texts]
    probabilities = MLModel(folder / "head.mlmodel").predict({contract.output: features})["probabilities"]
    golden = HeadGolden(
        input_ids=np.array([e.input_ids for e in encoded], np.int32),
        attention_mask=np.array([e.attention_mask for e in encoded], np.int32),
        features=features,
        labels=targets,
        probabilities=probabilities.astype(np.float32),
    )
    (folder / "golden.safetensors").write_bytes(write_golden(golden))


def _card(plan: FitPlan, rows: int) -> dict[str, object]:
    return {
        "how": "fitted during a fleet run with MLUpdateTask (Adam) on features of the bundled base",
        "rows": rows,
        "epochs": plan.epochs,
        "mini_batch_size": plan.batch,
        "learning_rate": plan.learning_rate,
        "seed": plan.seed,
        "labels_swapped_in_import": list(plan.swap or ()),
    }


def evaluate(
    head: Path, utterances: Sequence[Utterance], labels: Sequence[str], encoder: Encoder
) -> tuple[Share, dict[str, Share]]:
    """Accuracy of a head file on ``utterances``, overall and by true label."""
    features = encoder.of([u.text for u in utterances], "encode test text")
    model = MLModel(head)
    predicted = model.predict({encoder.contract.output: features})["probabilities"].argmax(axis=1)
    right = predicted == np.array([labels.index(u.label) for u in utterances])
    by_class = {}
    for label in labels:
        rows = np.array([u.label == label for u in utterances])
        by_class[label] = Share(int(right[rows].sum()), int(rows.sum()))
    return Share(int(right.sum()), len(right)), by_class

"""The releasing steps: export, features by our own runtime, heads, figures, the gate, the release folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.features import FeatureContract
from headway.coreml import build_head
from headway.coreml.features import Features
from headway.coreml.golden import BaseGolden
from headway.coreml.model import MLModel
from headway_trainer import cards as card_texts
from headway_trainer import gate, measure, qat
from headway_trainer.data.golden import choose, encoded
from headway_trainer.distil_task import predictions
from headway_trainer.evaluate import Accuracy, accuracy, confusion
from headway_trainer.export.base import export_base
from headway_trainer.export.folders import (
    GoldenRows,
    feature_contract,
    steady_package,
    write_base,
    write_card,
    write_head,
)
from headway_trainer.heads import Rows, fit_head, layout
from headway_trainer.run import Run
from headway_trainer.steps_train import load_pair

Float32 = NDArray[np.float32]
_MEASURED_ROWS = 200


def base(run: Run) -> dict[str, Any]:
    """Export the base, run every split through it with our runtime, keep the features, write its folder."""
    run.needed("qat")
    student, _ = load_pair(run, "qat")
    dev = run.examples("dev")
    trained, logits = predictions(student, dev.ids, run.tokenizer.pad_id)
    classifier = student.classifier.weight.detach().numpy().T.copy(), student.classifier.bias.detach().numpy().copy()
    qat.detach(student)
    package = run.folder("export-base") / "base.mlpackage"
    if package.exists():
        shutil.rmtree(package)
    exported = export_base(student, package)
    steady_package(package)
    geometry = run.config.student
    dimension, length = geometry.feature_dimension, geometry.max_length
    contract = feature_contract(run.config.base_id, run.config.version, package, run.tokenizer, dimension, length)
    features = _features(run, package, contract)
    agreement = (features["dev"] @ classifier[0] + classifier[1]).argmax(1) == logits.argmax(1).numpy()
    golden = _golden(run, features["dev"])
    write_base(_base_folder(run), package, run.tokenizer, contract, golden, run.config.data.labels)
    return {
        "size_bytes": exported.size_bytes,
        "int8_matrices_equal_to_qat_in_every_bit": exported.quantised,
        "operations": exported.operations,
        "contract": contract.digest,
        "feature_space": contract.feature_space,
        "largest_feature": float(np.abs(features["train"]).max()),
        "feature_deviation_from_qat": float(np.abs(features["dev"] - trained.numpy()).max()),
        "label_agreement_with_qat": float(agreement.mean()),
    }


def heads(run: Run) -> dict[str, Any]:
    """Fit every head on the exported base's features and write its folder."""
    run.needed("export-base")
    cached = np.load(_features_path(run))
    rows = {split: Rows(cached[split], np.array(run.examples(split).labels)) for split in ("train", "dev")}
    golden = _golden(run, cached["dev"])
    names = run.config.data.labels
    facts: dict[str, Any] = {}
    for config in run.config.heads:
        fitted = fit_head(config, rows["train"], rows["dev"], len(names))
        shape = layout(config, rows["train"].features.shape[1], len(names))
        spec = build_head(shape, fitted.weights)
        path = run.folder("fit-heads") / f"{config.name}.mlmodel"
        path.write_bytes(spec)
        given = _probabilities(path, golden.batch.features)
        write_head(_head_folder(run, config.name), spec, golden.for_head(given), names)
        dev = Accuracy(fitted.dev_correct, len(rows["dev"].labels))
        facts[config.name] = {
            "hidden": list(config.hidden),
            "bytes": len(spec),
            "weight_decay": fitted.weight_decay,
            "epochs": fitted.epochs if config.hidden else None,
            "dev": dev.to_json(),
            "fitted_on": "train and dev, after the choice on dev" if config.refit else "train",
        }
    return facts


def evaluation(run: Run) -> dict[str, Any]:
    """Score the exported files on test, beside teacher and student, and measure speed and memory."""
    trained = {step: run.needed(step) for step in ("teacher", "distil-task", "qat")}
    run.needed("fit-heads")
    cached = np.load(_features_path(run))
    package = _base_folder(run) / "base.mlpackage"
    facts: dict[str, Any] = {step: found["test"] for step, found in trained.items()}
    facts["heads"] = {config.name: _head_scores(run, config.name, cached, package) for config in run.config.heads}
    texts = run.splits["test"].texts[:_MEASURED_ROWS]
    ids, mask = encoded(run.tokenizer, texts, run.config.student.max_length)
    student, _ = load_pair(run, "distil-task")
    facts["speed"] = measure.speed(package, student, ids, mask).to_json()
    facts["executor_peak_memory_bytes"] = measure.executor_memory(package, ids[:32], mask[:32])
    return facts


def judged(run: Run) -> dict[str, Any]:
    """Hold the figures of the head that is best on dev against the acceptance table."""
    found, exported = run.needed("evaluate"), run.needed("export-base")
    chosen = max(found["heads"].values(), key=lambda entry: int(entry["dev"]["correct"]))
    measured = gate.Measured(
        size_bytes=exported["size_bytes"],
        exported=_accuracy(chosen["test"]),
        teacher=_accuracy(found["teacher"]),
        memory_bytes=found["executor_peak_memory_bytes"],
        feature_deviation=exported["feature_deviation_from_qat"],
        agreement=exported["label_agreement_with_qat"],
    )
    lines = gate.gate(measured, run.config.gate)
    for line in lines:
        print(f"{line.verdict:14} {line.metric:14} {line.found} (limit {line.limit})", flush=True)
    return {"lines": [line.to_json() for line in lines]}


def cards(run: Run) -> dict[str, Any]:
    """Write cards and notice into the release folder, which is then complete."""
    facts = {step: run.needed(step) for step in card_texts.STEPS}
    write_card(_base_folder(run), card_texts.base_card(run.config, facts))
    for config in run.config.heads:
        write_card(_head_folder(run, config.name), card_texts.head_card(run.config, config, facts))
    (_release(run) / "NOTICE.md").write_text(card_texts.notice(run.config, facts["prepare"]), encoding="utf-8")
    return {"files": sum(path.is_file() for path in _release(run).rglob("*"))}


def _release(run: Run) -> Path:
    return run.folder("release")


def _base_folder(run: Run) -> Path:
    return _release(run) / "base"


def _head_folder(run: Run, name: str) -> Path:
    return _release(run) / "heads" / name


def _features_path(run: Run) -> Path:
    return run.folder("export-base") / "features.npz"


def _features(run: Run, package: Path, contract: FeatureContract) -> dict[str, Float32]:
    source = Features(package, run.tokenizer, contract)
    found = {split: source.of(rows.texts) for split, rows in run.splits.items()}
    with _features_path(run).open("wb") as stream:
        np.savez(stream, train=found["train"], dev=found["dev"], test=found["test"])
    return found


def _golden(run: Run, features: Float32) -> GoldenRows:
    labels = run.examples("dev").labels
    rows = choose(labels, run.config.golden_rows, run.config.seed)
    texts = [run.splits["dev"].texts[row] for row in rows]
    ids, mask = encoded(run.tokenizer, texts, run.config.student.max_length)
    batch = BaseGolden(ids, mask, np.ascontiguousarray(features[rows]))
    return GoldenRows(texts, np.array([labels[row] for row in rows], dtype=np.int32), batch)


def _probabilities(head: Path, features: Float32) -> Float32:
    return np.asarray(MLModel(head).predict({"features": features})["probabilities"], dtype=np.float32)


def _head_scores(run: Run, name: str, cached: Any, package: Path) -> dict[str, Any]:
    path = _head_folder(run, name) / "head.mlmodel"
    labels = list(run.examples("test").labels)
    chosen = _chosen(path, cached["test"])
    # The dev figure is the one from before a refit: afterwards the head has seen these rows.
    known = {key: run.needed("fit-heads")[name][key] for key in ("dev", "fitted_on")}
    table = confusion(chosen, labels, len(run.config.data.labels))
    return {**known, "test": accuracy(chosen, labels).to_json(), "confusion_test": table, "package": package.name}


def _chosen(head: Path, features: Float32) -> Sequence[int]:
    return [int(value) for value in _probabilities(head, features).argmax(1)]


def _accuracy(entry: dict[str, Any]) -> Accuracy:
    return Accuracy(int(entry["correct"]), int(entry["rows"]))

"""The releasing steps: export, features by our own runtime, heads, figures, the gate, the release folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.features import FeatureContract
from headway.coreml.features import Features
from headway.coreml.golden import BaseGolden
from headway.coreml.package import read_package
from headway_trainer import cards as card_texts
from headway_trainer import gate, measure
from headway_trainer.counted import counted
from headway_trainer.data.golden import choose, encoded
from headway_trainer.data.sets import LabelledSet
from headway_trainer.evaluate import Accuracy
from headway_trainer.export.folders import (
    GoldenRows,
    feature_contract,
    steady_package,
    write_base,
    write_card,
)
from headway_trainer.featured import ALONE, featured
from headway_trainer.head_folder import fitted_on, make_head, measure_head
from headway_trainer.head_rows import head_rows
from headway_trainer.heads import HeadConfig
from headway_trainer.learning import qat
from headway_trainer.parity import Classifier, classifier_of, dev_answers, kept_texts, key, parity
from headway_trainer.ranges import magnitudes, refuse_overflow
from headway_trainer.released import Package, write_package
from headway_trainer.run import Run
from headway_trainer.shorter import Write, deviation, shorter, worthwhile
from headway_trainer.steps import lexicon as lexicon_step
from headway_trainer.steps.half import probe
from headway_trainer.steps.train import load_pair

Float32 = NDArray[np.float32]
_MEASURED_ROWS = 200


def base(run: Run) -> dict[str, Any]:
    """Export the base, run every split through it with our runtime, keep the features, write its folder."""
    run.needed("qat")
    student, _ = load_pair(run, "qat")
    trained = dev_answers(run, student)
    student.cpu()
    words = lexicon_step.carried(run)
    classifier = classifier_of(student)
    qat.detach(student)
    package = run.folder("export-base") / "base.mlpackage"
    if package.exists():
        shutil.rmtree(package)
    half = run.config.half
    packed = write_package(run, student, words, package)
    if half.release:
        refuse_overflow(magnitudes(read_package(package), *probe(run)), half.margin)
    steady_package(package)
    geometry = run.config.student
    dimension, length = geometry.feature_dimension, geometry.max_length
    dimension += words.labels if words else 0
    contract = feature_contract(run.config.base_id, run.config.version, package, run.tokenizer, dimension, length)
    features, deviation = _features(run, package, contract, packed.shorter)
    near = parity(run, features, classifier, trained, words)
    golden, names = _golden(run, run.sets, features)
    write_base(_base_folder(run), package, run.tokenizer, contract, golden, names)
    return {
        **packed.facts,
        "contract": contract.digest,
        "feature_space": contract.feature_space,
        "largest_feature": max(float(np.abs(features[key(of, "train")]).max()) for of in run.sets),
        "feature_deviation_from_qat": near.deviation,
        "label_agreement_with_qat": near.agreement,
        "feature_deviation_of_shorter_packages": deviation,
        **_parity_with_palettes(run, packed, features, classifier),
    }


def _parity_with_palettes(
    run: Run, packed: Package, features: Mapping[str, Float32], classifier: Classifier
) -> dict[str, Any]:
    if packed.student is None:
        return {}
    answers = dev_answers(run, packed.student)
    return {"parity_with_its_palettes": asdict(parity(run, features, classifier, answers, packed.lexicon))}


def heads(run: Run) -> dict[str, Any]:
    """Fit every head on the exported base's features and write its folder."""
    run.needed("export-base")
    cached = np.load(_features_path(run))
    facts: dict[str, Any] = {}
    for of in run.sets:
        for config in run.config.heads_of(of.name):
            facts[config.name] = _fitted(run, of, config, cached)
    return facts


def _fitted(run: Run, of: LabelledSet, config: HeadConfig, cached: Any) -> dict[str, Any]:
    if of.config.test is None:
        # Dev is what this set is measured on: no head may learn from it.
        config = replace(config, refit=False)
    names = of.config.labels
    rows = head_rows(run, of, cached)
    golden, _ = _golden(run, [of], cached)
    scratch = run.folder("fit-heads") / f"{config.name}.mlmodel"
    facts = make_head(_head_folder(run, config.name), scratch, config, rows["train"], rows["dev"], golden, names)
    whole = len(of.splits["train"].texts)
    return {**facts, "fitted_on": fitted_on(len(rows["train"].labels), whole, refit=config.refit)}


def evaluation(run: Run) -> dict[str, Any]:
    """Score the exported files on test, beside teacher and student, and measure speed and memory."""
    trained = {step: run.needed(step) for step in ("teacher", "distil-task", "qat")}
    run.needed("fit-heads")
    cached = np.load(_features_path(run))
    package = _base_folder(run) / "base.mlpackage"
    facts: dict[str, Any] = {step: found["test"] for step, found in trained.items()}
    facts["heads"] = {
        config.name: _head_scores(run, of, config.name, cached, package)
        for of in run.sets
        for config in run.config.heads_of(of.name)
    }
    texts = run.sets[0].splits["test"].texts[:_MEASURED_ROWS]
    ids, mask = encoded(run.tokenizer, texts, run.config.student.max_length)
    student, _ = load_pair(run, "distil-task")
    facts["speed"] = measure.speed(package, student.cpu(), ids, mask).to_json()
    facts["counted_per_text"] = counted(read_package(package)).to_json()
    facts["executor_peak_memory_bytes"] = measure.executor_memory(package, ids[:32], mask[:32])
    return facts


def judged(run: Run) -> dict[str, Any]:
    """Hold the figures of each taught set's best head on dev against the acceptance table."""
    lines = [line for of in run.taught for line in _lines(run, of)]
    for line in lines:
        print(f"{line.verdict:14} {line.metric:14} {line.found} (limit {line.limit})", flush=True)
    gate.check_waivers(tuple(lines), run.places.waivers)
    waived = [{"metric": waiver.metric, "reason": waiver.reason.strip()} for waiver in run.places.waivers]
    report = asdict(run.places.report) if run.places.report else None
    return {"lines": [line.to_json() for line in lines], "waivers": waived, "device_report": report}


_OF_A_SET = frozenset({"accuracy", "below teacher"})


def _lines(run: Run, of: LabelledSet) -> list[gate.Line]:
    found, exported = run.needed("evaluate"), run.needed("export-base")
    names = [config.name for config in run.config.heads_of(of.name)]
    chosen = max((found["heads"][name] for name in names), key=lambda entry: int(entry["dev"]["correct"]))
    teacher = found["teacher"]["sets"][of.name] if of.name else found["teacher"]
    qat_parity = {
        "deviation": exported["feature_deviation_from_qat"],
        "agreement": exported["label_agreement_with_qat"],
    }
    near = exported.get("parity_with_its_palettes", qat_parity)
    measured = gate.Measured(
        size_bytes=exported["size_bytes"],
        exported=_accuracy(chosen["test"]),
        teacher=_accuracy(teacher),
        memory_bytes=found["executor_peak_memory_bytes"],
        feature_deviation=near["deviation"],
        agreement=near["agreement"],
        held_by="QAT" if near is qat_parity else "the palettised student",
        agreement_with_qat=qat_parity["agreement"],
    )
    lines = gate.gate(measured, run.config.gate, run.places.report)
    if not of.name:
        return list(lines)
    own = [replace(line, metric=f"{line.metric}, {of.name}") for line in lines if line.metric in _OF_A_SET]
    shared = [line for line in lines if line.metric not in _OF_A_SET]
    return [*own, *(shared if of == run.taught[-1] else ())]


def cards(run: Run) -> dict[str, Any]:
    """Write cards and notice into the release folder, which is then complete."""
    facts = {step: run.needed(step) for step in card_texts.STEPS}
    write_card(_base_folder(run), card_texts.base_card(run.config, facts))
    for of in run.sets:
        for config in run.config.heads_of(of.name):
            write_card(_head_folder(run, config.name), card_texts.head_card(run.config, of.config, config, facts))
    (_release(run) / "NOTICE.md").write_text(card_texts.notice(run.config, facts), encoding="utf-8")
    return {"files": sum(path.is_file() for path in _release(run).rglob("*"))}


def _release(run: Run) -> Path:
    return run.folder("release")


def _base_folder(run: Run) -> Path:
    return _release(run) / "base"


def _head_folder(run: Run, name: str) -> Path:
    return _release(run) / "heads" / name


def _features_path(run: Run) -> Path:
    return run.folder("export-base") / "features.npz"


def _features(
    run: Run, package: Path, contract: FeatureContract, write: Write
) -> tuple[dict[str, Float32], float | None]:
    """Run every split through the base; training rows, on which nothing is measured, through shorter packages too."""
    source = Features(package, run.tokenizer, contract, ALONE)
    threads = run.places.threads or run.config.threads
    kept = kept_texts(run)
    taught = {name: kept.pop(name) for name in [key(of, "train") for of in run.sets]}
    texts = list(chain.from_iterable(taught.values()))
    # In float16 every result is rounded, at each length elsewhere: there the base alone will do.
    lengths = [] if run.config.half.release else worthwhile(list(map(len, run.tokenised(texts))), source.length)
    with shorter(write, lengths, run.tokenizer, run.folder("export-base")) as parts:
        apart = deviation(source, parts, texts) if parts else None
        found = featured(source, kept, threads) | featured(source, taught, threads, parts)
    with _features_path(run).open("wb") as stream:
        np.savez(stream, **found)  # type: ignore[arg-type]  # its own keyword of another type is not among the names
    return found, apart


def _golden(run: Run, sets: Sequence[LabelledSet], features: Mapping[str, Float32]) -> tuple[GoldenRows, list[str]]:
    """Choose dev rows of the sets, their classes numbered one set after the other; returns them and all class names."""
    labels: list[int] = []
    names: list[str] = []
    texts: list[str] = []
    for of in sets:
        labels += [len(names) + label for label in run.examples(of, "dev").labels]
        names += of.config.labels
        texts += of.splits["dev"].texts
    rows = choose(labels, run.config.golden_rows, run.config.seed)
    chosen = [texts[row] for row in rows]
    ids, mask = encoded(run.tokenizer, chosen, run.config.student.max_length)
    known = np.concatenate([features[key(of, "dev")] for of in sets])
    batch = BaseGolden(ids, mask, np.ascontiguousarray(known[rows]))
    return GoldenRows(chosen, np.array([labels[row] for row in rows], dtype=np.int32), batch), names


def _head_scores(run: Run, of: LabelledSet, head: str, cached: Any, package: Path) -> dict[str, Any]:
    labels = list(run.examples(of, "test").labels)
    scores = measure_head(_head_folder(run, head), cached[key(of, "test")], labels, len(of.config.labels))
    # The dev figure is the one from before a refit: afterwards the head has seen these rows.
    known = {name: run.needed("fit-heads")[head][name] for name in ("dev", "fitted_on")}
    return {**known, **scores, "package": package.name, **_standing(of)}


def _standing(of: LabelledSet) -> dict[str, Any]:
    """What a reader must know of one set among several before believing its figures."""
    if not of.name:
        return {}
    return {"set": of.name, "held_out": not of.taught, "test_is_dev": of.config.test is None}


def _accuracy(entry: dict[str, Any]) -> Accuracy:
    return Accuracy(int(entry["correct"]), int(entry["rows"]))

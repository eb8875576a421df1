"""Step `compress`: the base with its lexicon at 8, 6, 4 and mixed bits, each exported and run, its heads refitted.

A table to choose by: the base that is released has the 8 bits it was trained for unless `compress.release` says else.
Parity is with a student that holds the package's weights; how many labels are those of training stands beside it.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.features import Features
from headway.coreml.mlprogram import ProgramOptions
from headway.coreml.package import read_package
from headway_trainer import dense
from headway_trainer.compress import LOWER, Bits, CompressConfig, bits_of, mean_bits
from headway_trainer.data.golden import choose, encoded
from headway_trainer.data.sets import LabelledSet, by_set
from headway_trainer.evaluate import accuracy
from headway_trainer.export.compressed import FloatProgram, with_matrix
from headway_trainer.featured import READ_ONCE, featured
from headway_trainer.head_rows import head_rows
from headway_trainer.heads import HeadConfig, Rows, fit_head
from headway_trainer.learning import qat
from headway_trainer.parity import agreement, classifier_of, dev_answers, kept_texts, key, parity
from headway_trainer.progress import Progress
from headway_trainer.run import Run
from headway_trainer.shorter import Write, shorter, worthwhile
from headway_trainer.steps import lexicon as lexicon_step
from headway_trainer.steps.train import load_pair

Float32 = NDArray[np.float32]
_BLOCKS = 5


def compression(run: Run) -> dict[str, Any]:
    """Measure every plan of the configuration; without one there is nothing to do."""
    config = run.config.compress
    if not config.plans:
        return {"plans": {}}
    run.needed("qat")
    student, _ = load_pair(run, "qat")
    trained, classifier = dev_answers(run, student), classifier_of(student)
    qat.detach(student.cpu())
    words = lexicon_step.carried(run)
    program, folder = FloatProgram(student, words), run.folder("compress")
    harm = (_known_harm(run) or harm_of(run, program, folder)) if "mixed" in config.plans else {}
    texts = kept_texts(run)
    lengths = worthwhile(
        list(map(len, run.tokenised([*chain.from_iterable(texts.values())]))), run.config.student.max_length
    )
    programs = {length: program.shorter(length) for length in lengths}
    plans: dict[str, Any] = {}
    packages: dict[str, Path] = {}
    for plan in config.plans:
        bits = bits_of(plan, program.matrices, harm, config.mixed_share)
        packages[plan] = _fresh(folder / f"{plan}.mlpackage")
        size = program.export(bits, packages[plan]).size_bytes
        features = _of_release(run, plan)
        if features is None:
            with shorter(_writing(programs, bits), lengths, run.tokenizer, folder) as parts:
                source = Features(packages[plan], run.tokenizer, options=READ_ONCE)
                features = featured(source, texts, run.places.threads or run.config.threads, parts)
        student, lexicon = program.holding(bits)
        plans[plan] = {
            "size_bytes": size,
            "bits_per_weight": round(mean_bits(program.matrices, bits), 2),
            "matrices": {str(width): count for width, count in sorted(Counter(bits.values()).items())},
            "parity": asdict(parity(run, features, classifier, dev_answers(run, student), lexicon)),
            "labels_equal_to_training": agreement(run, features, classifier, trained),
            **by_set(run.sets, partial(_refitted, run, features=features)),
        }
    for name, milliseconds in _speeds(run, packages, config).items():
        plans[name]["executor_ms_per_text"] = milliseconds
    return {"plans": plans, "harm": harm_json(harm), "head": run.config.heads[0].name, "lexicon": words is not None}


def _of_release(run: Run, plan: str) -> Mapping[str, Float32] | None:
    """The features that `export-base` kept, if it released this plan."""
    if plan != run.config.compress.release or run.config.half.release or not run.facts("export-base"):
        return None
    with np.load(run.folder("export-base") / "features.npz") as kept:
        return dict(kept)


def _writing(programs: Mapping[int, FloatProgram], bits: Mapping[str, Bits]) -> Write:
    return lambda length, path: programs[length].export(bits, path)


def _known_harm(run: Run) -> dict[tuple[str, Bits], float]:
    """What the step `export-base` measured, if it released the mixed plan."""
    told = run.needed("export-base").get("harm", {}) if run.facts("export-base") else {}
    widths = {str(bits): bits for bits in LOWER.values()}
    return {(name, widths[width]): value for name, entry in told.items() for width, value in entry.items()}


def harm_json(harm: Mapping[tuple[str, Bits], float]) -> dict[str, dict[str, float]]:
    """Return the harms as JSON, by matrix and bits."""
    found: dict[str, dict[str, float]] = {}
    for (name, bits), value in harm.items():
        found.setdefault(name, {})[str(bits)] = value
    return found


def harm_of(run: Run, program: FloatProgram, folder: Path) -> dict[tuple[str, Bits], float]:
    """Return the mean squared move of the features, in units of their variance, of each matrix at 6 and 4 bits."""
    path = _fresh(folder / "float.mlpackage")
    program.save(path)
    package = read_package(path)
    ids, mask = _probe(run, run.config.compress.rows)
    options = ProgramOptions(use_cache=False, threads=run.config.threads)
    before = Features(package, run.tokenizer, options=options).of_ids(ids, mask)
    progress = Progress("sensitivity", 2 * len(program.weights))
    harm: dict[tuple[str, Bits], float] = {}
    for name, weight in program.weights.items():
        for bits in LOWER.values():
            changed = with_matrix(package, weight, program.rounded(name, bits))
            after = Features(changed, run.tokenizer, options=options).of_ids(ids, mask)
            harm[name, bits] = float(np.square(after - before).mean() / before.var())
            progress.advance(None, ids.size)
    shutil.rmtree(path)
    return harm


def _probe(run: Run, rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    texts: list[str] = []
    for of in run.sets:
        chosen = choose(run.examples(of, "dev").labels, rows, run.config.seed)
        texts += [of.splits["dev"].texts[row] for row in chosen]
    return encoded(run.tokenizer, texts, run.config.student.max_length)


def _reader(package: Path, run: Run) -> Features:
    return Features(package, run.tokenizer, options=ProgramOptions(use_cache=False, threads=run.config.threads))


def _refitted(run: Run, of: LabelledSet, features: Mapping[str, Float32]) -> dict[str, Any]:
    """Fit the first head of the configuration on these features; dev chose its weight decay, test is told once."""
    rows = head_rows(run, of, features)
    config = run.config.heads_of(of.name)[0]
    fitted = fit_head(_once(run, config), rows["train"], rows["dev"], len(of.config.labels))
    rows["test"] = Rows(features[key(of, "test")], np.array(run.examples(of, "test").labels))
    scores = {split: _score(fitted.weights, rows[split]) for split in ("dev", "test")}
    return {"head": config.name, **scores}


def _once(run: Run, config: HeadConfig) -> HeadConfig:
    """Take the weight decay that the released head was fitted with, and never dev rows: plans differ in the base."""
    known = run.facts("fit-heads")
    decays = (known[config.name]["weight_decay"],) if known else config.weight_decays
    return replace(config, weight_decays=decays, refit=False)


def _score(weights: Mapping[str, Float32], rows: Rows) -> dict[str, object]:
    return accuracy(dense.logits(weights, rows.features).argmax(1).tolist(), rows.labels.tolist()).to_json()


def _speeds(run: Run, packages: Mapping[str, Path], config: CompressConfig) -> dict[str, float]:
    """Return the median milliseconds per text, one text at a time, the plans taking turns."""
    readers = {plan: _reader(path, run) for plan, path in packages.items()}
    ids, mask = _probe(run, config.rows)
    rows = min(len(ids), 20)
    found: dict[str, list[float]] = {plan: [] for plan in readers}
    for block in range(_BLOCKS + 1):
        for plan, reader in readers.items():
            started = time.perf_counter()
            reader.of_ids(ids[:rows], mask[:rows], batch=1)
            if block:
                found[plan].append(1000 * (time.perf_counter() - started) / rows)
    return {plan: round(statistics.median(times), 2) for plan, times in found.items()}


def _fresh(path: Path) -> Path:
    if path.exists():
        shutil.rmtree(path)
    return path

"""Step `half`: what float16 would do to the base, measured on dev texts: room for values, features, labels.

A float32 program never runs on the Neural Engine, so a base that is safe in float16 is worth real latency. Safe here
means in our runtime, which rounds every result to float16 but sums in float32; a device may still differ.
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml.features import Features
from headway.coreml.mlprogram import ProgramOptions
from headway.coreml.package import read_package
from headway_trainer.data.golden import choose, encoded
from headway_trainer.export.base import export_base
from headway_trainer.half import HalfConfig
from headway_trainer.learning import qat
from headway_trainer.models.student import HALF_MASKED
from headway_trainer.ranges import LARGEST_HALF, Magnitude, magnitudes
from headway_trainer.run import Run
from headway_trainer.steps import lexicon as lexicon_step
from headway_trainer.steps.train import load_pair

Int32 = NDArray[np.int32]
_TOLD = 12


def half(run: Run) -> dict[str, Any]:
    """Export in float16, measure, and say how near every operation comes to the limit; without rows, do nothing."""
    config = run.config.half
    if not config.rows:
        return {"rows": 0}
    run.needed("qat")
    student, _ = load_pair(run, "qat")
    qat.detach(student.cpu())
    path = run.folder("half") / "base.mlpackage"
    if path.exists():
        shutil.rmtree(path)
    words = lexicon_step.carried(run)
    size = export_base(student, path, words, half=True).size_bytes
    package = read_package(path)
    ids, mask = probe(run)
    found = magnitudes(package, ids, mask)
    exact, rounded = (
        Features(package, run.tokenizer, options=held).of_ids(ids, mask)
        for held in (ProgramOptions(use_cache=False), ProgramOptions(precision="float16", use_cache=False))
    )
    finite = np.isfinite(rounded).all(axis=1)
    return {
        "rows": len(ids),
        "size_bytes": size,
        "lexicon": words is not None,
        "limit": LARGEST_HALF,
        "masked": HALF_MASKED,
        "operations": len(found),
        "largest": [one.to_json() for one in found[:_TOLD]],
        "below_margin": [one.to_json() for one in found if one.room < config.margin],
        "margin": config.margin,
        "safe": _safe(found, config) and bool(finite.all()),
        "rows_not_finite": int((~finite).sum()),
        "feature_deviation": float(np.abs(rounded - exact)[finite].max()) if finite.any() else None,
        "largest_feature": float(np.abs(exact).max()),
    }


def _safe(found: list[Magnitude], config: HalfConfig) -> bool:
    return all(one.room >= config.margin for one in found)


def probe(run: Run) -> tuple[Int32, Int32]:
    """Return ids and masks int32 [n, L] of the dev texts to measure on."""
    texts: list[str] = []
    for of in run.sets:
        rows = choose(run.examples(of, "dev").labels, run.config.half.rows, run.config.seed)
        texts += [of.splits["dev"].texts[row] for row in rows]
    return encoded(run.tokenizer, texts, run.config.student.max_length)

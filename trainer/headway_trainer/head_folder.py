"""A head and the folder it is published from: fitted on cached features, written, run, measured.

Both ways to a head end here: the step `fit-heads` of a run, and `headway train head` for a base that exists already.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.coreml import build_head
from headway.coreml.model import MLModel
from headway_trainer.calibration import calibration_error
from headway_trainer.evaluate import Accuracy, accuracy, confusion
from headway_trainer.export.folders import GoldenRows, write_head
from headway_trainer.heads import HeadConfig, Rows, fit_head, layout

Float32 = NDArray[np.float32]


def make_head(
    to: Path, scratch: Path, config: HeadConfig, train: Rows, dev: Rows, golden: GoldenRows, names: Sequence[str]
) -> dict[str, Any]:
    """Fit a head for the labels `names` and write its folder `to`, but for the card; returns what there is to tell.

    `scratch` is where its `.mlmodel` is written first, to be run on the golden rows.
    """
    fitted = fit_head(config, train, dev, len(names))
    spec = build_head(layout(config, train.features.shape[1], len(names)), fitted.weights)
    scratch.write_bytes(spec)
    write_head(to, spec, golden.for_head(_probabilities(scratch, golden.batch.features)), names)
    return {
        "hidden": list(config.hidden),
        "bytes": len(spec),
        "weight_decay": fitted.weight_decay,
        "temperature": fitted.temperature,
        **({} if fitted.lexicon_weight is None else {"lexicon_weight": fitted.lexicon_weight}),
        "dev": Accuracy(fitted.dev_correct, len(dev.labels)).to_json(),
    }


def measure_head(folder: Path, features: Float32, labels: Sequence[int], classes: int) -> dict[str, Any]:
    """Run the written head on features float32 [n, D]: its accuracy, calibration error and confusion on those rows."""
    probabilities = _probabilities(folder / "head.mlmodel", features)
    chosen = [int(value) for value in probabilities.argmax(1)]
    return {
        "test": accuracy(chosen, labels).to_json(),
        "calibration_error_test": round(calibration_error(probabilities, np.array(labels)), 5),
        "confusion_test": confusion(chosen, labels, classes),
    }


def fitted_on(rows: int, whole: int, *, refit: bool) -> str:
    """Say in words which rows a head was fitted on."""
    part = "train" if rows == whole else f"train ({rows} of {whole}, by chance)"
    return f"{part} and dev, after the choice on dev" if refit else part


def _probabilities(head: Path, features: Float32) -> Float32:
    return np.asarray(MLModel(head).predict({"features": features})["probabilities"], dtype=np.float32)

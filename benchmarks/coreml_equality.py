"""How near the fleet engine is to the single engine, head by head at full size, and both to a training in float64.

64 heads of 512→128→10, each with 50 samples of its own, 10 epochs in mini-batches of 10.  A distance is the largest
over a head's arrays of the largest difference, as a part of the array's largest weight.  ReLU has a kink: where the
outcome of a hidden unit lies within rounding of zero, one engine may open it and the other not.  So for every head the
float64 training also notes how near to zero any hidden unit came, and the same heads are trained with Tanh and Sigmoid,
which have no kink.  The last column counts the heads that the fleet engine trained in float64 from end to end.

    python benchmarks/coreml_equality.py [--heads N] [--write]
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from headway.coreml import SGD, Adam, AllowedSet, FleetJob, HeadLayout, MLModel, Range, initial_head, train_fleet
from headway.coreml.build import Activation
from headway.coreml.fleet import training
from headway.coreml.fleet.jobs import FleetResult
from headway.coreml.fleet.kernels import train_group
from headway.coreml.fleet.records import Rule, Samples, Span
from headway.coreml.update.task import update_model

SAMPLES, FEATURES, HIDDEN, CLASSES, EPOCHS, BATCH = 50, 512, 128, 10, 10, 10
LIMIT = 1e-5
RESULTS = Path(__file__).parent / "results" / "coreml_equality.md"
OPTIMIZERS: dict[str, SGD | Adam] = {
    "SGD": SGD(Range(0.05)),
    "momentum 0.9": SGD(Range(0.05), momentum=Range(0.9)),
    "Adam 0.001": Adam(Range(0.001)),
    "Adam 0.01": Adam(Range(0.01)),
}
Array = NDArray[Any]
ACTIVATIONS: dict[Activation, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "ReLU": (lambda z: np.maximum(z, 0), lambda h: (h > 0).astype(np.float64)),
    "Tanh": (np.tanh, lambda h: 1 - h * h),
    "Sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda h: h * (1 - h)),
}
"""Each activation, and its derivative by what comes out of it."""


@dataclass(frozen=True)
class Distances:
    """Of one head: from fleet to single, from each to float64, and of the unit nearest to zero from it."""

    engines: float
    fleet: float
    single: float
    nearest: float


class Steps:
    """SGD with momentum (heavy ball), or Adam with epsilon hat, in float64."""

    def __init__(self, optimizer: SGD | Adam, weights: list[Array]) -> None:
        self._optimizer, self._time = optimizer, 0
        self._first, self._second = [0 * w for w in weights], [0 * w for w in weights]

    def take(self, weights: list[Array], gradients: list[Array]) -> None:
        """Move the *weights*, in place."""
        self._time += 1
        rate = self._optimizer.learning_rate.default
        for place, (w, g) in enumerate(zip(weights, gradients, strict=True)):
            if isinstance(self._optimizer, Adam):
                beta1, beta2 = self._optimizer.beta1.default, self._optimizer.beta2.default
                m = self._first[place] = beta1 * self._first[place] + (1 - beta1) * g
                v = self._second[place] = beta2 * self._second[place] + (1 - beta2) * g * g
                corrected = rate * np.sqrt(1 - beta2**self._time) / (1 - beta1**self._time)
                w -= corrected * m / (np.sqrt(v) + self._optimizer.eps.default)
            else:
                self._first[place] = self._optimizer.momentum.default * self._first[place] + g
                w -= rate * self._first[place]


def in_float64(job: FleetJob, activation: Activation, optimizer: SGD | Adam) -> tuple[dict[str, Array], float]:
    """Train *job* in float64; returns the weights by key, and how near to zero any input of an activation came."""
    outcome, slope = ACTIVATIONS[activation]
    weights = {key: job.model.weights[key].astype(np.float64) for key in job.model.trainable_keys}
    w1, b1, w2, b2 = parts = list(weights.values())
    steps, nearest = Steps(optimizer, parts), np.inf
    for first in list(range(0, SAMPLES, BATCH)) * EPOCHS:
        x, labels = job.features[first : first + BATCH].astype(np.float64), job.labels[first : first + BATCH]
        inputs = x @ w1.T + b1
        nearest = min(nearest, float(np.abs(inputs).min()))
        hidden = outcome(inputs)
        scores = hidden @ w2.T + b2
        up = np.exp(scores - scores.max(axis=1, keepdims=True))
        up /= up.sum(axis=1, keepdims=True)
        up[np.arange(BATCH), labels] -= 1
        up /= BATCH
        down = (up @ w2) * slope(hidden)
        steps.take(parts, [down.T @ x, down.sum(axis=0), up.T @ hidden, up.sum(axis=0)])
    return weights, nearest


def distance(found: Mapping[str, Array], expected: Mapping[str, Array]) -> float:
    """The largest difference, as a part of the largest weight of its array."""
    return max(float(np.abs(found[k] - v).max() / max(1e-3, np.abs(v).max())) for k, v in expected.items())


def make_jobs(activation: Activation, optimizer: SGD | Adam, count: int) -> list[FleetJob]:
    """*count* devices that start from one head, each with samples of its own."""
    layout = HeadLayout(
        FEATURES, CLASSES, (HIDDEN,), activation=activation, optimizer=optimizer, epochs=AllowedSet(EPOCHS, (EPOCHS,))
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.mlmodel"
        path.write_bytes(initial_head(layout, 1))
        model = MLModel(path)
    random = np.random.default_rng(0)
    features = random.standard_normal((count, SAMPLES, FEATURES), dtype=np.float32) / 8
    return [FleetJob(model, rows, random.integers(0, CLASSES, SAMPLES)) for rows in features]


def trained(jobs: list[FleetJob], exact: list[int]) -> list[FleetResult]:
    """Train *jobs* and add to *exact* how many of them needed float64 from end to end."""

    def counting(sampled: bool, samples: Samples, head: Any, rule: Rule, span: Span, into: Any) -> None:
        if rule.kink == 0 and span.ends:
            exact.append(len(samples.addresses))
        train_group(sampled, samples, head, rule, span, into)

    with patch.object(training, "train_group", counting):
        return train_fleet(jobs)


def measure(activation: Activation, optimizer: SGD | Adam, count: int) -> tuple[list[Distances], int]:
    """Train *count* heads three times over; also returns how many the fleet engine trained in float64."""
    jobs, found, again = make_jobs(activation, optimizer, count), [], list[int]()
    for job, result in zip(jobs, trained(jobs, again), strict=True):
        data = {"features": job.features, "probabilities_true": job.labels}
        single = update_model(job.model, data).model.weights
        exact, nearest = in_float64(job, activation, optimizer)
        found.append(
            Distances(
                distance(result.weights, single),
                distance(result.weights, exact),
                distance(single, exact),
                nearest,
            )
        )
    return found, sum(again)


def row(name: str, activation: Activation, found: list[Distances], again: int) -> str:
    """One line of the table."""
    apart = [head for head in found if head.engines > LIMIT]
    cells = [
        name,
        activation,
        f"{len(found) - len(apart)} of {len(found)}",
        f"{np.median([head.engines for head in found]):.1e}",
        f"{max(head.engines for head in found):.1e}",
        *(f"{np.median([getattr(head, side) for head in found]):.1e}" for side in ("fleet", "single")),
        *(str(sum(getattr(head, side) > LIMIT for head in found)) for side in ("fleet", "single")),
        ", ".join(f"{head.nearest:.0e}" for head in apart) if 0 < len(apart) <= 8 else "-",
        str(again),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table, and with ``--write`` store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, default=64)
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULTS.name}")
    options = parser.parse_args()
    heads = [
        "optimizer",
        "activation",
        "fleet = single within 1e-5",
        "median",
        "worst",
        "fleet to float64, median",
        "single to float64, median",
        "fleet over 1e-5 of float64",
        "single over 1e-5 of float64",
        "unit nearest to zero, of the heads that differ",
        "trained in float64",
    ]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, optimizer in OPTIMIZERS.items():
        for activation in ACTIVATIONS:
            lines.append(row(name, activation, *measure(activation, optimizer, options.heads)))
            print(lines[-1], flush=True)
    about = f"{platform.machine()}, numpy {np.__version__}; heads 512→128→10, 50 samples, 10 epochs in batches of 10."
    title = "# Fleet engine, single engine and float64, head by head\n"
    note = (
        "A distance is a part of the largest weight of an array. Hidden units are 0.3 in size; rounding is 1e-7 of it."
    )
    text = "\n".join([title, about, note, "", *lines, ""])
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Training a head on the user's corrections: pure functions over arrays, around one ``MLUpdateTask``.

Five things hold back overfitting and forgetting, each measured in ``benchmarks/personalisation.py``: rehearsal (half
of the golden batch is trained along), anchors (mixtures of known rows, labelled by the head as it was), feature noise,
an early stop on the tuning samples, and an interpolation of the weights between before and after (WiSE-FT, Wortsman
et al. 2022). Nothing here reads or writes a file.

Golden rows are split by parity: even rows rehearse, odd rows are kept for judging what is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.contract.errors import HeadwayError, RefusedError
from headway.coreml.model import MLModel
from headway.coreml.update.context import MLUpdateContext, MLUpdateProgressHandlers
from headway.coreml.update.keys import MLModelConfiguration, MLParameterKey, MLTaskState, MLUpdateProgressEvent
from headway.coreml.update.task import MLUpdateTask
from headway.device.judge import Measured

Array = NDArray[np.float32]
Labels = NDArray[np.int32]
Weights = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class PersonalisePolicy:
    """How to train. Defaults are the measured ones.

    ``rehearsal`` and ``anchors`` are the weights of golden rows and of anchors against the user's rows (1: as many of
    each); ``noise`` and ``anchor_noise`` the standard deviations of added feature noise in units of the features' own;
    ``patience`` epochs without a better tuning loss end training; ``alphas`` are the steps of the interpolation;
    ``golden_loss_rise`` is by how much the mean log loss of rehearsed rows may rise.
    """

    learning_rate: float = 0.02
    epochs: int = 20
    mini_batch_size: int = 8
    rehearsal: float = 3.0
    anchors: float = 3.0
    noise: float = 0.05
    anchor_noise: float = 0.3
    patience: int = 4
    alphas: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    golden_loss_rise: float = 0.08
    seed: int = 17


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Features float32 ``[n, D]`` and labels int32 ``[n]``."""

    features: Array
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, index: NDArray[np.intp]) -> LabelledRows:
        """The rows at ``index``."""
        return LabelledRows(self.features[index], self.labels[index])


@dataclass(frozen=True, slots=True)
class Material:
    """Everything one training sees. ``rehearse`` and ``guard`` are the two halves of the golden batch."""

    train: LabelledRows
    tune: LabelledRows
    rehearse: LabelledRows
    guard: LabelledRows


@dataclass(frozen=True, slots=True)
class Trained:
    """A candidate: its model, mini-batches taken, norm of the weight change, α, and the epoch it comes from."""

    model: MLModel
    steps: int
    delta_norm: float
    alpha: float
    epoch: int


def halves(golden: LabelledRows) -> tuple[LabelledRows, LabelledRows]:
    """Even and odd rows of a golden batch."""
    index = np.arange(len(golden))
    return golden.rows(index[::2]), golden.rows(index[1::2])


def measure_rows(model: MLModel, data: LabelledRows) -> Measured:
    """Log loss and correctness of each row under ``model``."""
    if len(data) == 0:
        return Measured((), ())
    description = model.description
    inputs = {description.inputs[0].name: data.features}
    probabilities = model.predict(inputs)[description.outputs[0].name].astype(np.float64)
    chosen = probabilities[np.arange(len(data)), data.labels]
    losses = -np.log(np.maximum(chosen, 1e-12))
    losses = np.where(np.isfinite(chosen), losses, np.inf)
    right = probabilities.argmax(axis=1) == data.labels
    return Measured(tuple(float(x) for x in losses), tuple(bool(x) for x in right))


def training_set(start: MLModel, material: Material, policy: PersonalisePolicy) -> LabelledRows:
    """The user's rows, rehearsal rows and anchors, to their weights, noised, permuted, a multiple of the batch size.

    The order is our own (the task's shuffle is off), so that a device and a rehearsal train on the same sequence.
    """
    random = np.random.Generator(np.random.PCG64(policy.seed))
    own = len(material.train)
    rehearsed = _repeated(material.rehearse, round(policy.rehearsal * own), random)
    anchors = _anchors(start, material, round(policy.anchors * own), policy.anchor_noise, random)
    parts = (material.train, rehearsed, anchors)
    features = np.concatenate([part.features for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    short = -len(labels) % policy.mini_batch_size
    order = np.concatenate([random.permutation(len(labels)), random.integers(0, len(labels), short)])
    features, labels = features[order], labels[order]
    return LabelledRows(_noised(features, policy.noise, random), labels.astype(np.int32))


def _repeated(rows: LabelledRows, count: int, random: np.random.Generator) -> LabelledRows:
    """``count`` rows, each as often as any other, give or take one."""
    if len(rows) == 0 or count == 0:
        return rows.rows(np.zeros(0, np.intp))
    rounds = [random.permutation(len(rows)) for _ in range(-(-count // len(rows)))]
    return rows.rows(np.concatenate(rounds)[:count].astype(np.intp))


def _anchors(start: MLModel, material: Material, count: int, noise: float, random: np.random.Generator) -> LabelledRows:
    """Mixtures of known rows, labelled by the head as it was: where the user said nothing, the head shall stay."""
    known = np.concatenate([material.rehearse.features, material.train.features])
    if count == 0:
        return LabelledRows(known[:0], np.zeros(0, np.int32))
    first, second = random.integers(0, len(known), (2, count))
    share = random.beta(0.4, 0.4, (count, 1)).astype(np.float32)
    mixed = _noised(share * known[first] + (1 - share) * known[second], noise, random)
    description = start.description
    output = start.predict({description.inputs[0].name: mixed})[description.outputs[0].name]
    return LabelledRows(mixed, output.argmax(axis=1).astype(np.int32))


def _noised(features: Array, noise: float, random: np.random.Generator) -> Array:
    if noise <= 0 or len(features) == 0:
        return features.astype(np.float32)
    scale = noise * features.std(axis=0, keepdims=True)
    noised: Array = (features + scale * random.standard_normal(features.shape, dtype=np.float32)).astype(np.float32)
    return noised


def train(
    start: MLModel, material: Material, policy: PersonalisePolicy, cancelled: Callable[[], bool] = lambda: False
) -> Trained:
    """Train ``start`` and choose what to keep of it.

    Raises:
        RefusedError: codes ``too_few_samples``, ``cancelled``.
        HeadwayError: what the update task says about the head or the data.
    """
    if len(material.train) < 2 or len(material.tune) < 2:
        raise _refused("too_few_samples", "There are too few corrections to train and to tune on.")
    data = training_set(start, material, policy)
    watch = _Watch(material.tune, policy.patience, cancelled)
    target = next(f.name for f in start.description.training_inputs if f.name != start.description.inputs[0].name)
    task = MLUpdateTask(
        start,
        {start.description.inputs[0].name: data.features, target: data.labels[:, None]},
        _configuration(policy),
        MLUpdateProgressHandlers(MLUpdateProgressEvent.epochEnd, watch.epoch_ended),
    )
    task.resume()
    if watch.was_cancelled:
        raise _refused("cancelled", "Training was cancelled.")
    if task.state is MLTaskState.failed and watch.best is None:
        raise task.error or _refused("training_failed", "The update task failed.")
    if watch.best is None:
        raise _refused("no_improvement", "No epoch was better than the head as it is.")
    alpha, weights = choose_alpha(start, watch.best, material, policy)
    steps = (watch.best_epoch + 1) * (len(data) // policy.mini_batch_size)
    return Trained(start.with_weights(weights), steps, delta_norm(start.weights, weights), alpha, watch.best_epoch)


class _Watch:
    """Keeps the weights of the best epoch, and stops the task when it gets no better."""

    def __init__(self, tune: LabelledRows, patience: int, cancelled: Callable[[], bool]) -> None:
        self._tune = tune
        self._patience = patience
        self._cancelled = cancelled
        self._lowest = np.inf
        self._epoch = -1
        self.best: dict[str, Array] | None = None
        self.best_epoch = -1
        self.was_cancelled = False

    def epoch_ended(self, context: MLUpdateContext) -> None:
        self._epoch += 1
        loss = measure_rows(context.model, self._tune).loss
        if loss < self._lowest:
            self._lowest, self.best_epoch = loss, self._epoch
            self.best = {key: np.array(value) for key, value in context.model.weights.items()}
        self.was_cancelled = self._cancelled()
        if self.was_cancelled or self._epoch - self.best_epoch >= self._patience:
            context.task.cancel()


def _configuration(policy: PersonalisePolicy) -> MLModelConfiguration:
    return MLModelConfiguration(
        {
            MLParameterKey.learningRate: policy.learning_rate,
            MLParameterKey.epochs: policy.epochs,
            MLParameterKey.miniBatchSize: policy.mini_batch_size,
            MLParameterKey.shuffle: False,
        }
    )


def choose_alpha(
    start: MLModel, after: Weights, material: Material, policy: PersonalisePolicy
) -> tuple[float, dict[str, Array]]:
    """The interpolation with the lowest tuning loss among those that keep the rehearsed golden rows.

    Raises:
        RefusedError: code ``forgets``; none keeps them.
    """
    limit = measure_rows(start, material.rehearse).loss + policy.golden_loss_rise
    best: tuple[float, float, dict[str, Array]] | None = None
    for alpha in policy.alphas:
        weights = interpolate(start.weights, after, alpha)
        model = start.with_weights(weights)
        loss = measure_rows(model, material.tune).loss
        if measure_rows(model, material.rehearse).loss <= limit and (best is None or loss < best[0]):
            best = (loss, alpha, weights)
    if best is None:
        raise _refused("forgets", "Every step towards the user's texts forgets too much of the golden batch.")
    return best[1], best[2]


def interpolate(before: Weights, after: Weights, alpha: float) -> dict[str, Array]:
    """``before + α · (after − before)`` for every tensor, in float32."""
    return {key: (value + np.float32(alpha) * (after[key] - value)).astype(np.float32) for key, value in before.items()}


def delta_norm(before: Weights, after: Weights) -> float:
    """Euclidean norm of the change of all weights together."""
    return float(np.sqrt(sum(float(((after[key] - value) ** 2).sum()) for key, value in before.items())))


def _refused(code: str, message: str) -> HeadwayError:
    return RefusedError(code, message, hint="Nothing changed; collect more corrections and try again later.")

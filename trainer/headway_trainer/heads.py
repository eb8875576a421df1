"""Step `fit-heads`: heads on cached features of the exported, quantised base, which is what a phone will see.

A head of one dense layer is convex: it is fitted to the end by L-BFGS, its weight decay chosen on dev. A head with a
hidden layer is trained by Adam, its rate falling to zero: an epoch picked for its luck on dev would not outlast a
refit. Both start from the seed and use the CPU in one order, so equal features give equal bytes.

What the lexicon says of a set's own labels was fitted on the same training rows and is far surer of them than of other
texts: a head that learnt its weights from them would believe little else. So the dense layer is fitted without those
columns, and then each label is given its own column. How far encoder and lexicon are each believed is fitted on dev
(`calibration`), and a head without such columns gets its temperature there: what it says is about as often right as
its probability tells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from headway.coreml import SGD, AllowedSet, HeadLayout, Range
from headway_trainer.calibration import scales

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """One head: its release name, widths between features and labels, candidate weight decays, training of the rest.

    `learning_rate` is the default that the device's training uses; the spec allows 0 to 1. With `refit` the head is
    fitted once more, on train and dev together, with the weight decay that dev chose.
    """

    name: str
    hidden: tuple[int, ...] = ()
    weight_decays: tuple[float, ...] = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
    epochs: int = 10
    batch_size: int = 64
    fit_learning_rate: float = 1e-3
    learning_rate: float = 0.01
    refit: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Cached features float32 [n, D] and the class index of each row int64 [n].

    `own` are the columns in which the lexicon speaks about these very labels, in their order; None if it does not.
    """

    features: Float32
    labels: NDArray[np.int64]
    own: slice | None = None


@dataclass(frozen=True, slots=True)
class FittedHead:
    """Weights by Core ML key, what dev chose, and how many dev rows were right before they were fitted on.

    `temperature` is what the network's own logits were divided by, `lexicon_weight` what the label's own column counts.
    """

    weights: dict[str, Float32]
    weight_decay: float
    dev_correct: int
    temperature: float
    lexicon_weight: float | None = None


def layout(config: HeadConfig, features: int, classes: int) -> HeadLayout:
    """Return the head's Core ML layout: SGD, learning rate 0 to 1, epochs 1 to 50, a set of mini-batch sizes."""
    return HeadLayout(
        features=features,
        classes=classes,
        hidden=config.hidden,
        optimizer=SGD(
            learning_rate=Range(config.learning_rate),
            mini_batch_size=AllowedSet(8, (1, 2, 4, 8, 16, 32, 64)),
            momentum=Range(0.0),
        ),
        epochs=AllowedSet(10, tuple(range(1, 51))),
    )


def fit_head(config: HeadConfig, train: Rows, dev: Rows, classes: int) -> FittedHead:
    """Fit once per candidate weight decay and keep the one with most dev rows right, the first of equals.

    Each is scaled on dev before that counts, a dense layer together with the `own` columns where the rows name them.
    """
    fit = _fit_dense if config.hidden else _fit_convex
    own = None if config.hidden else train.own
    best: FittedHead | None = None
    for decay in config.weight_decays:
        network = fit(config, _without(train, own), classes, decay)
        temperature, weight = _scaled(network, own, dev)
        _apply(network, own, temperature, weight)
        right = _correct(network, dev)
        if best is None or right > best.dev_correct:
            best = FittedHead(_weights(network), decay, right, temperature, weight)
    assert best is not None, "a head configuration names at least one weight decay"
    if not config.refit:
        return best
    network = fit(config, _without(_both(train, dev), own), classes, best.weight_decay)
    _apply(network, own, best.temperature, best.lexicon_weight)
    return replace(best, weights=_weights(network))


def _both(first: Rows, second: Rows) -> Rows:
    labels = np.concatenate([first.labels, second.labels])
    return Rows(np.concatenate([first.features, second.features]), labels)


def _without(rows: Rows, own: slice | None) -> Rows:
    if own is None:
        return rows
    features = rows.features.copy()
    features[:, own] = 0
    return replace(rows, features=features)


@torch.no_grad()
def _scaled(network: nn.Sequential, own: slice | None, dev: Rows) -> tuple[float, float | None]:
    """Return the network's temperature and the weight of the own columns that make dev rows likeliest."""
    parts = [network(torch.from_numpy(_without(dev, own).features)).numpy()]
    if own is None:
        return 1 / scales(parts, dev.labels)[0], None
    scale, weight = scales([*parts, dev.features[:, own]], dev.labels)
    return 1 / scale, weight


@torch.no_grad()
def _apply(network: nn.Sequential, own: slice | None, temperature: float, weight: float | None) -> None:
    """Divide the logits by the temperature and give each label its own column with the weight."""
    last: Any = network[-1]
    last.weight /= temperature
    last.bias /= temperature
    if own is not None and weight is not None:
        last.weight[:, own] = weight * torch.eye(len(last.weight))


def _network(config: HeadConfig, width: int, classes: int) -> nn.Sequential:
    torch.manual_seed(config.seed)
    widths = (width, *config.hidden, classes)
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _fit_convex(config: HeadConfig, train: Rows, classes: int, decay: float) -> nn.Sequential:
    network = _network(config, train.features.shape[1], classes)
    nn.init.zeros_(network[0].weight)  # type: ignore[arg-type]
    nn.init.zeros_(network[0].bias)  # type: ignore[arg-type]
    solver = torch.optim.LBFGS(network.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    inputs, labels = torch.from_numpy(train.features), torch.from_numpy(train.labels)

    def loss() -> Tensor:
        solver.zero_grad()
        penalty = decay * network[0].weight.square().sum()  # type: ignore[operator]
        value: Tensor = functional.cross_entropy(network(inputs), labels) + penalty
        torch.autograd.backward(value)
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return network


def _fit_dense(config: HeadConfig, train: Rows, classes: int, decay: float) -> nn.Sequential:
    network = _network(config, train.features.shape[1], classes)
    tuner = torch.optim.AdamW(network.parameters(), lr=config.fit_learning_rate, weight_decay=decay)
    inputs, labels = torch.from_numpy(train.features), torch.from_numpy(train.labels)
    steps = config.epochs * -(-len(labels) // config.batch_size)
    falling = torch.optim.lr_scheduler.LambdaLR(tuner, lambda step: 1 - step / steps)
    order = torch.Generator().manual_seed(config.seed)
    for _ in range(config.epochs):
        for rows in torch.split(torch.randperm(len(labels), generator=order), config.batch_size):
            tuner.zero_grad()
            torch.autograd.backward(functional.cross_entropy(network(inputs[rows]), labels[rows]))
            tuner.step()
            falling.step()
    return network


@torch.no_grad()
def _correct(network: nn.Module, rows: Rows) -> int:
    chosen = network(torch.from_numpy(rows.features)).argmax(1)
    return int((chosen == torch.from_numpy(rows.labels)).sum())


def _weights(network: nn.Sequential) -> dict[str, Float32]:
    found: dict[str, Float32] = {}
    dense: list[Any] = [part for part in network if isinstance(part, nn.Linear)]
    for index, part in enumerate(dense):
        found[f"dense_{index}.weights"] = part.weight.detach().numpy().copy()
        found[f"dense_{index}.biases"] = part.bias.detach().numpy().copy()
    return found

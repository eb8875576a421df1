"""Valid models, and a register of changes that each break exactly one rule."""

from __future__ import annotations

import pytest

from headway.coreml import HeadLayout, initial_head
from headway.coreml.hyperparameters import Adam
from headway.coreml.proto import parse_model

from .sample_models import squared_error_model, to_classifier


def head(optimizer=None, **options):
    layout = HeadLayout(6, 3, hidden=(4,), **({"optimizer": optimizer} if optimizer else {}), **options)
    return parse_model(initial_head(layout, 1))


def classifier(labels=("a", "b", "c")):
    return to_classifier(head(), list(labels))


def mse():
    return squared_error_model()


def adam():
    return head(Adam())


def update(model):
    return model.neuralNetwork.updateParams


def sgd(model):
    return update(model).optimizer.sgdOptimizer


def layer(model, name):
    return next(item for item in model.neuralNetwork.layers if item.name == name)


CASES = []


def breaks(rule, make=head):
    """Register a mutation of the valid model that *make* gives, breaking exactly *rule*."""

    def register(mutate):
        CASES.append(pytest.param(rule, make, mutate, id=f"{rule}-{mutate.__name__}"))
        return mutate

    return register

"""Core ML on Linux: read, validate, execute and train Core ML models without Apple's frameworks.

Needs the extra ``sim`` (coremltools for the schema, numpy, ONNX Runtime for the base).  Names load on first use, so
that ``import headway.coreml`` costs nothing.  What no published source settles about Apple's training engine is a
switch of :class:`Semantics`, with a reason for its default; nothing here claims to equal a device bit for bit.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.coreml.build import HeadLayout, build_head, initial_head, initial_weights
    from headway.coreml.description import Feature, ModelDescription
    from headway.coreml.features import Features
    from headway.coreml.fleet.engine import train_fleet
    from headway.coreml.fleet.jobs import FleetJob, FleetResult
    from headway.coreml.head import HeadWeights, head_weights, with_head_weights
    from headway.coreml.hyperparameters import SGD, Adam, AllowedSet, Range
    from headway.coreml.model import MLModel
    from headway.coreml.package import Package, read_package
    from headway.coreml.proof import prove
    from headway.coreml.update.context import MLUpdateContext, MLUpdateProgressHandlers
    from headway.coreml.update.errors import MLModelError, MLModelErrorCode
    from headway.coreml.update.keys import (
        MLMetricKey,
        MLModelConfiguration,
        MLParameterKey,
        MLTaskState,
        MLUpdateProgressEvent,
    )
    from headway.coreml.update.semantics import Semantics
    from headway.coreml.update.task import MLUpdateTask, update_model
    from headway.coreml.validator import Finding, validate

_HOMES = {
    "Adam": "hyperparameters",
    "AllowedSet": "hyperparameters",
    "Feature": "description",
    "Features": "features",
    "Finding": "validator",
    "FleetJob": "fleet.jobs",
    "FleetResult": "fleet.jobs",
    "HeadLayout": "build",
    "HeadWeights": "head",
    "MLMetricKey": "update.keys",
    "MLModel": "model",
    "MLModelConfiguration": "update.keys",
    "MLModelError": "update.errors",
    "MLModelErrorCode": "update.errors",
    "MLParameterKey": "update.keys",
    "MLTaskState": "update.keys",
    "MLUpdateContext": "update.context",
    "MLUpdateProgressEvent": "update.keys",
    "MLUpdateProgressHandlers": "update.context",
    "MLUpdateTask": "update.task",
    "ModelDescription": "description",
    "Package": "package",
    "Range": "hyperparameters",
    "SGD": "hyperparameters",
    "Semantics": "update.semantics",
    "build_head": "build",
    "head_weights": "head",
    "initial_head": "build",
    "initial_weights": "build",
    "prove": "proof",
    "read_package": "package",
    "train_fleet": "fleet.engine",
    "update_model": "update.task",
    "validate": "validator",
    "with_head_weights": "head",
}

__all__ = [
    "SGD",
    "Adam",
    "AllowedSet",
    "Feature",
    "Features",
    "Finding",
    "FleetJob",
    "FleetResult",
    "HeadLayout",
    "HeadWeights",
    "MLMetricKey",
    "MLModel",
    "MLModelConfiguration",
    "MLModelError",
    "MLModelErrorCode",
    "MLParameterKey",
    "MLTaskState",
    "MLUpdateContext",
    "MLUpdateProgressEvent",
    "MLUpdateProgressHandlers",
    "MLUpdateTask",
    "ModelDescription",
    "Package",
    "Range",
    "Semantics",
    "build_head",
    "head_weights",
    "initial_head",
    "initial_weights",
    "prove",
    "read_package",
    "train_fleet",
    "update_model",
    "validate",
    "with_head_weights",
]


def __getattr__(name: str) -> Any:
    """Load the public name *name* from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

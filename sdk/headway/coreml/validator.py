"""Validating a model: any bytes in, a list of findings out.

Apple's own checks of updatable models run on a Mac; these are the same rules, and a few that devices need though
those checks miss them.  The verdict is a list of :class:`Finding`: empty means valid.  Nothing is repaired.  Parsing
hostile bytes can cost memory in proportion to their size (reading is limited); a server runs this in a bounded process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from headway.contract.errors import HeadwayError
from headway.coreml.executors import stages_of
from headway.coreml.limits import DEFAULT_LIMITS, ReadLimits
from headway.coreml.package import read_package
from headway.coreml.proto import Message
from headway.coreml.rules.backpropagation import check_backpropagation
from headway.coreml.rules.classifier import check_classifier
from headway.coreml.rules.counts import check_feature_counts, check_layer_counts
from headway.coreml.rules.finding import RULES, Finding
from headway.coreml.rules.graph import check_features, check_graph, check_mapping
from headway.coreml.rules.layers import check_layers
from headway.coreml.rules.loss import check_loss
from headway.coreml.rules.network import NetworkView
from headway.coreml.rules.optimizer import check_optimizer
from headway.coreml.rules.pipeline import check_pipeline
from headway.coreml.rules.training import check_training_inputs
from headway.coreml.rules.updatable import check_updatable_layers

__all__ = ["RULES", "Finding", "validate", "validate_model"]

_FIRST_UPDATABLE = 4
_LAST_KNOWN = 10
_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_MAX_FINDINGS = 200
_MAX_NAME = 128
_MAX_MESSAGE = 500


def validate(
    path: Path | str, *, require_updatable: bool = False, limits: ReadLimits = DEFAULT_LIMITS
) -> list[Finding]:
    """Return every rule that the model at *path* breaks; empty when it is valid.

    With *require_updatable* a model that cannot be trained breaks the rule ``not_updatable``.

    Raises:
        RefusedError: code ``not_found`` or ``sim_extra_missing``; everything else is a finding.
    """
    try:
        package = read_package(path, limits)
    except HeadwayError as error:
        if error.code in ("not_found", "sim_extra_missing"):
            raise
        return [Finding("readable", None, error.message, error.hint)]
    return validate_model(package.spec, require_updatable=require_updatable)


def validate_model(model: Message, *, require_updatable: bool = False) -> list[Finding]:
    """Return every rule that the ``Model`` message *model* breaks; at most a few hundred findings."""
    found: list[Finding] = []
    if require_updatable and not model.isUpdatable:
        message = "The model is not updatable."
        found.append(Finding("not_updatable", None, message, "A head must have isUpdatable set."))
    for finding in _check(model, depth=0):
        found.append(_shortened(finding))
        if len(found) >= _MAX_FINDINGS:
            break
    return found


def _shortened(finding: Finding) -> Finding:
    """Return *finding* with names from a hostile file cut to a bearable length."""
    layer = finding.layer[:_MAX_NAME] if finding.layer else finding.layer
    return replace(finding, layer=layer, message=finding.message[:_MAX_MESSAGE])


def _check(model: Message, depth: int) -> Iterator[Finding]:
    stages = stages_of(model)
    counted = list(check_feature_counts(model, stages or ()))
    yield from counted
    if counted:
        return
    yield from _version(model)
    yield from check_features(model)
    kind = model.WhichOneof("Type")
    if stages is not None:
        yield from _pipeline(model, stages, depth)
    elif kind in _NETWORKS:
        yield from _network(model, getattr(model, kind))
    elif kind is None or model.isUpdatable:
        message = f"A model of the type '{kind}' cannot be an updatable head."
        hint = "ML Programs cannot be updated: chain a frozen base and a neural-network head."
        yield Finding("model_type", None, message, hint)


def _version(model: Message) -> Iterator[Finding]:
    version = model.specificationVersion
    if not 1 <= version <= _LAST_KNOWN or (model.isUpdatable and version < _FIRST_UPDATABLE):
        message = f"The specification version is {version}."
        hint = f"Updatable models need {_FIRST_UPDATABLE} (iOS 13) or later; the last known is {_LAST_KNOWN}."
        yield Finding("spec_version", None, message, hint)


def _network(model: Message, network: Message) -> Iterator[Finding]:
    counted = list(check_layer_counts(network))
    yield from counted
    if counted:
        return
    view = NetworkView.of(model, network)
    yield from check_graph(view)
    yield from check_layers(view)
    yield from check_classifier(view)
    if not model.isUpdatable:
        return
    yield from check_mapping(view)
    yield from check_updatable_layers(view)
    yield from check_loss(view)
    yield from check_backpropagation(view)
    yield from check_optimizer(view)
    yield from check_training_inputs(view)


def _pipeline(model: Message, stages: tuple[Message, ...], depth: int) -> Iterator[Finding]:
    if depth:
        message = "A pipeline is a stage of another pipeline."
        yield Finding("pipeline_depth", None, message, "Put all stages into one pipeline.")
        return
    kind = model.WhichOneof("Type")
    body = model.pipeline if kind == "pipeline" else getattr(model, kind).pipeline
    yield from check_pipeline(model, stages, tuple(body.names))
    for index, stage in enumerate(stages):
        for finding in _check(stage, depth + 1):
            yield replace(finding, layer=f"stage {index}" + (f"/{finding.layer}" if finding.layer else ""))

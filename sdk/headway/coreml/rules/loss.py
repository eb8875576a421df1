"""The loss layer: exactly one, of a known kind, reading the right blob."""

from __future__ import annotations

from headway.coreml.rules.finding import Finding, Findings
from headway.coreml.rules.network import NetworkView, loss_of

__all__ = ["check_loss"]


def check_loss(view: NetworkView) -> Findings:
    """Rules ``loss_count``, ``loss_kind``, ``loss_input`` and ``loss_target``.

    Apple's own validator does not survive a model without a loss; this one reports it.
    """
    losses = view.network.updateParams.lossLayers
    if len(losses) != 1:
        message = f"The model has {len(losses)} loss layers."
        yield Finding("loss_count", None, message, "Give it exactly one.")
        return
    name = losses[0].name
    found = loss_of(losses[0])
    if found is None:
        yield Finding(
            "loss_kind", name, "The loss is of no known kind.", "Use categorical cross-entropy or mean squared error."
        )
        return
    kind, source, target = found
    maker = view.maker(source)
    if kind == "cross_entropy" and (maker is None or maker.WhichOneof("layer") != "softmax"):
        message = f"The cross-entropy reads '{source}', which is not the output of a softmax."
        yield Finding("loss_input", name, message, "Put a softmax layer (not softmaxND) right before the loss.")
    if kind == "squared_error" and maker is None:
        message = f"The squared error reads '{source}', which no layer makes."
        yield Finding("loss_input", name, message, "Name the output of a layer.")
    if target in view.makers:
        message = f"The loss's target '{target}' is made by the network itself."
        yield Finding("loss_target", name, message, "Give the target another name; it comes with the samples.")

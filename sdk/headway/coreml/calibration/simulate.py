"""What a phone would report for an experiment if its semantics were known."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.coreml.calibration.experiments import Experiment
from headway.coreml.model import MLModel
from headway.coreml.update.context import MLUpdateContext, MLUpdateProgressHandlers
from headway.coreml.update.keys import MLMetricKey, MLParameterKey, MLUpdateProgressEvent
from headway.coreml.update.semantics import Semantics
from headway.coreml.update.task import MLUpdateTask

__all__ = ["simulate"]


def simulate(experiment: Experiment, semantics: Semantics) -> dict[str, Any]:
    """Return the reading of *experiment*: trained weights by key and the last loss, or whether completion came.

    The form is that of one entry of a phone's result file.
    """
    listener = _Listener(experiment)
    events = MLUpdateProgressEvent(0)
    if experiment.registers_epoch_end:
        events |= MLUpdateProgressEvent.epochEnd
    if experiment.cancels:
        events |= MLUpdateProgressEvent.miniBatchEnd
    handlers = MLUpdateProgressHandlers(events, listener.progress, listener.completion)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.mlmodel"
        path.write_bytes(experiment.spec)
        task = MLUpdateTask(MLModel(path), experiment.data, None, handlers, semantics=semantics)
        task.resume()
    if experiment.cancels:
        return {"completed": listener.completed}
    if task.context is None or task.error is not None:
        return {"failed": True}
    model = task.context.model
    return {
        "weights": {key: model.weights[key].ravel().tolist() for key in model.trainable_keys},
        "loss": task.context.metrics[MLMetricKey.lossValue],
    }


@dataclass
class _Listener:
    """The app's part of an experiment."""

    experiment: Experiment
    completed: bool = field(default=False)

    def progress(self, context: MLUpdateContext) -> None:
        """Cancel, or set the learning rate that the experiment asks for."""
        if self.experiment.cancels:
            context.task.cancel()
            return
        rate = self.experiment.rates.get(context.metrics.get(MLMetricKey.epochIndex, -1))
        if rate is not None:
            context.task.resume({MLParameterKey.learningRate: rate})

    def completion(self, context: MLUpdateContext) -> None:
        """Note that completion was reported."""
        self.completed = True

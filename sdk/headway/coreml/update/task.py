"""``MLUpdateTask``: load a head, train it on the device's samples, report events, hand over the result.

Unlike Apple's, :meth:`MLUpdateTask.resume` trains in the calling thread and returns when the task has ended; handlers
run in that thread, and ``cancel()`` may come from a handler or from another thread.  A failure while training never
raises: it is the task's state and error, as on the device.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headway.contract.errors import HeadwayError
from headway.coreml.head import network_of
from headway.coreml.model import MLModel
from headway.coreml.update.context import MLUpdateContext, MLUpdateProgressHandlers
from headway.coreml.update.errors import MLModelError, parameter_error, update_error
from headway.coreml.update.keys import (
    MLMetricKey,
    MLModelConfiguration,
    MLParameterKey,
    MLTaskState,
    MLUpdateProgressEvent,
)
from headway.coreml.update.plan import check_learning_rate
from headway.coreml.update.samples import samples_of
from headway.coreml.update.semantics import DEFAULT_SEMANTICS, Semantics
from headway.coreml.update.trainer import MiniBatch, Trainer

__all__ = ["MLUpdateTask", "update_model"]

_identifiers = itertools.count(1)


class MLUpdateTask:
    """One training run over the model at *model_path* (or a loaded :class:`MLModel`).

    *training_data* holds an array per training input, with a leading axis of samples.

    Raises:
        MLModelError: ``update`` for a model that is not updatable, ``parameters`` for an override that it does not
            allow, ``featureType`` for data that does not fit.
        RefusedError: as :func:`~headway.coreml.package.read_package`.
    """

    def __init__(
        self,
        model_path: Path | str | MLModel,
        training_data: Mapping[str, Any],
        configuration: MLModelConfiguration | None = None,
        progress_handlers: MLUpdateProgressHandlers | None = None,
        *,
        semantics: Semantics = DEFAULT_SEMANTICS,
    ) -> None:
        loaded = model_path if isinstance(model_path, MLModel) else MLModel(model_path, configuration)
        if configuration is not None and loaded.configuration is not configuration:
            loaded = loaded.configured(configuration)
        self.task_identifier = f"update-{next(_identifiers)}"
        self.state = MLTaskState.suspended
        self.error: MLModelError | None = None
        self._model = loaded
        self._handlers = progress_handlers or MLUpdateProgressHandlers()
        self._semantics = semantics
        self._plan = loaded.training_plan()
        samples = samples_of(loaded, training_data, self._plan.loss)
        self._trainer = Trainer(
            loaded.head().network,
            self._plan,
            samples.inputs,
            samples.target,
            semantics,
            epoch_end_registered=bool(self._handlers.for_events & MLUpdateProgressEvent.epochEnd),
            weights=loaded.weights,
        )
        self.context: MLUpdateContext | None = None

    def resume(self, with_parameters: Mapping[MLParameterKey, Any] | None = None) -> None:
        """Start the task, or, inside a handler, change what may change while running (the learning rate).

        Raises:
            MLModelError: ``parameters``, for a value that is not allowed or a key that is fixed once training began.
        """
        self._adjust(with_parameters or {})
        if self.state is MLTaskState.suspended:
            self.state = MLTaskState.running
            self._run()

    def cancel(self) -> None:
        """Stop after the current mini-batch; the model on disk is untouched."""
        if self.state in (MLTaskState.suspended, MLTaskState.running):
            was_running = self.state is MLTaskState.running
            self.state = MLTaskState.cancelling
            if not was_running:
                self._cancelled()

    def _adjust(self, parameters: Mapping[MLParameterKey, Any]) -> None:
        network = network_of(self._model.package.spec)
        fixed = [key.name for key in parameters if key != MLParameterKey.learningRate]
        if fixed:
            raise parameter_error(
                f"The parameter {fixed[0]} cannot change while the task runs.", "Set it in the configuration."
            )
        if MLParameterKey.learningRate in parameters and network is not None:
            rate = parameters[MLParameterKey.learningRate]
            self._trainer.learning_rate = check_learning_rate(network.updateParams, rate)

    def _run(self) -> None:
        last: MiniBatch | None = None
        try:
            self._report(MLUpdateProgressEvent.trainingBegin, {})
            for epoch in range(self._plan.epochs):
                for batch in self._trainer.epoch(epoch):
                    last = batch
                    metrics = {MLMetricKey.miniBatchIndex: batch.index, MLMetricKey.lossValue: batch.loss}
                    self._report(MLUpdateProgressEvent.miniBatchEnd, metrics)
                    if self._cancelled():
                        return
                if last is None:
                    raise update_error("There are too few samples for one mini-batch.", "Add samples.")
                self._report(
                    MLUpdateProgressEvent.epochEnd,
                    {MLMetricKey.epochIndex: epoch, MLMetricKey.lossValue: last.loss},
                )
                if self._cancelled():
                    return
            self._trainer.check_finite()
        except HeadwayError as error:
            self.state = MLTaskState.failed
            self.error = error if isinstance(error, MLModelError) else update_error(error.message, error.hint)
            self._complete({}, None)
            return
        self.state = MLTaskState.completed
        metrics = {MLMetricKey.lossValue: last.loss} if last is not None else {}
        self._complete(metrics, self._snapshot())

    def _cancelled(self) -> bool:
        """Tell whether the task was cancelled, and if so end it."""
        if self.state is not MLTaskState.cancelling:
            return False
        self.state = MLTaskState.failed
        self.error = update_error("The task was cancelled.", "Start a new one to train again.")
        if self._semantics.completion_after_cancel:
            self._complete({}, None)
        return True

    def _report(self, event: MLUpdateProgressEvent, metrics: Mapping[MLMetricKey, Any]) -> None:
        handler = self._handlers.progress_handler
        if handler is None or not self._handlers.for_events & event:
            return
        context = MLUpdateContext(self, event, metrics, self._parameters(), self._snapshot())
        try:
            handler(context)
        finally:
            context.expire()

    def _complete(self, metrics: Mapping[MLMetricKey, Any], model: MLModel | None) -> None:
        self.context = MLUpdateContext(self, None, metrics, self._parameters(), model)
        if self._handlers.completion_handler is not None:
            self._handlers.completion_handler(self.context)

    def _parameters(self) -> dict[MLParameterKey, Any]:
        return self._plan.parameters() | {MLParameterKey.learningRate: self._trainer.learning_rate}

    def _snapshot(self) -> MLModel:
        return self._model.with_weights(dict(self._trainer.weights))


def update_model(
    model_path: Path | str | MLModel,
    training_data: Mapping[str, Any],
    configuration: MLModelConfiguration | None = None,
    *,
    semantics: Semantics = DEFAULT_SEMANTICS,
) -> MLUpdateContext:
    """Train in one call and return the context of completion.

    Raises:
        MLModelError: as :class:`MLUpdateTask`, and when training fails.
    """
    task = MLUpdateTask(model_path, training_data, configuration, semantics=semantics)
    task.resume()
    if task.error is not None or task.context is None:
        raise task.error or update_error("The task did not complete.", "Start a new one.")
    return task.context

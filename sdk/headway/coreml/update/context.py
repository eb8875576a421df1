"""What a progress or completion handler sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headway.coreml.model import MLModel
from headway.coreml.update.errors import MLModelError, MLModelErrorCode
from headway.coreml.update.keys import MLMetricKey, MLParameterKey, MLUpdateProgressEvent

if TYPE_CHECKING:
    from headway.coreml.update.task import MLUpdateTask

__all__ = ["MLUpdateContext", "MLUpdateProgressHandlers"]


class MLUpdateContext:
    """State of a training run at one event.

    *event* is None for completion.  The model of a progress event is valid only while its handler runs; that of
    completion stays valid, and is None when the task failed (check ``task.state`` first).
    """

    def __init__(
        self,
        task: MLUpdateTask,
        event: MLUpdateProgressEvent | None,
        metrics: Mapping[MLMetricKey, Any],
        parameters: Mapping[MLParameterKey, Any],
        model: MLModel | None,
    ) -> None:
        self.task = task
        self.event = event
        self.metrics = dict(metrics)
        self.parameters = dict(parameters)
        self._model = model
        self._expired = False

    @property
    def model(self) -> MLModel:
        """The model with the weights of this moment; ``write(to)`` saves it.

        Raises:
            MLModelError: ``generic``, when the handler has returned or the task has failed.
        """
        if self._expired or self._model is None:
            reason = "is no longer valid outside its handler" if self._expired else "does not exist: the task failed"
            raise MLModelError(
                MLModelErrorCode.generic, f"The model of this context {reason}.", hint="Use it inside the handler."
            )
        return self._model

    def expire(self) -> None:
        """End the validity of :attr:`model`."""
        self._expired = True


NO_EVENTS = MLUpdateProgressEvent(0)
Handler = Callable[[MLUpdateContext], None]


@dataclass(frozen=True)
class MLUpdateProgressHandlers:
    """Which events to report, and to whom: *for_events* a combination, the handlers called in the training thread."""

    for_events: MLUpdateProgressEvent = NO_EVENTS
    progress_handler: Handler | None = None
    completion_handler: Handler | None = None

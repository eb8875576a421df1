"""``MLModelError``: failures of loading, predicting and updating, with Apple's numeric codes."""

from __future__ import annotations

from enum import IntEnum

from headway.contract.errors import RefusedError

__all__ = ["MLModelError", "MLModelErrorCode"]


class MLModelErrorCode(IntEnum):
    """Apple's ``MLModelError.Code``."""

    generic = 0
    featureType = 1
    io = 3
    customLayer = 4
    customModel = 5
    update = 6
    parameters = 7
    modelDecryptionKeyFetch = 8
    modelDecryption = 9
    modelCollection = 10
    predictionCancelled = 11


class MLModelError(RefusedError):
    """An error as Core ML would report it; ``apple_code`` is its number there."""

    def __init__(self, apple_code: MLModelErrorCode, message: str, *, hint: str) -> None:
        super().__init__(f"mlmodel_{apple_code.name}", message, hint=hint, apple_code=int(apple_code))
        self.apple_code = apple_code


def update_error(message: str, hint: str) -> MLModelError:
    """Return an error with the code ``update`` (6)."""
    return MLModelError(MLModelErrorCode.update, message, hint=hint)


def parameter_error(message: str, hint: str) -> MLModelError:
    """Return an error with the code ``parameters`` (7)."""
    return MLModelError(MLModelErrorCode.parameters, message, hint=hint)


def feature_error(message: str, hint: str) -> MLModelError:
    """Return an error with the code ``featureType`` (1)."""
    return MLModelError(MLModelErrorCode.featureType, message, hint=hint)


def io_error(message: str, hint: str) -> MLModelError:
    """Return an error with the code ``io`` (3)."""
    return MLModelError(MLModelErrorCode.io, message, hint=hint)

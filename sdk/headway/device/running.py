"""Answering one prediction: through whatever head may run, falling back head by head, to the embedded one at last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headway.contract.errors import HeadwayError, IncompatibleError
from headway.device import events as ev
from headway.device.driver import HeadDriver, surprise
from headway.device.results import ConfirmResult, Prediction, Problem, Unavailable
from headway.device.state import Generation, HeldRelease

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Trial, generation k, k−1, stable, previous, embedded, and one for a staged head that fails at once.
_MOST_HEADS = 7


def predict(driver: HeadDriver, text: str | Sequence[float] | Any) -> Prediction | Unavailable:
    """Classify a text or its features. A head that fails is left for the one before it, within the same call."""
    try:
        features = _features(driver, text)
    except ImportError:
        return Unavailable(
            Problem("no_runtime", "There is no Core ML runtime here.", "Install headway[sim] to execute models.")
        )
    except HeadwayError as error:
        return Unavailable(Problem.of(error))
    except Exception as error:  # noqa: BLE001 - whatever the base makes its runtime raise is no crash of the app
        return Unavailable(Problem.of(surprise(error)))
    for _ in range(_MOST_HEADS):
        driver.feed(ev.PredictAsked(driver.now_s))
        if driver.unsaved and driver.loaded is None:
            return _answer_unsaved(driver, features)
        asked = driver.state.running.head
        answer = _answer(driver, features)
        if answer is not None:
            driver.feed(ev.Predicted(asked, driver.now_s))
            return answer
        if driver.tried == driver.state.embedded.head and driver.problem is not None:
            return Unavailable(Problem.of(driver.problem))
    return Unavailable(Problem("no_head", "No head could answer.", "Reinstall the app: its embedded head is damaged."))


def confirm(driver: HeadDriver) -> ConfirmResult:
    """Let the app vouch for the head on trial: it is judged at once, and stays only if the judge agrees."""
    trial = driver.state.trial
    if trial is None:
        return ConfirmResult("no_trial")
    driver.feed(ev.ConfirmAsked())
    state = driver.state
    if state.trial == trial:
        return ConfirmResult("not_yet", trial.release, "not_tried" if driver.problem is None else driver.problem.code)
    if state.stable == trial:
        return ConfirmResult("confirmed", trial.release)
    last = next((o for o in reversed(state.outcomes) if (o.kind, o.head) == ("rolled_back", trial.head)), None)
    return ConfirmResult("rolled_back", trial.release, "" if last is None else last.detail or "")


def _answer_unsaved(driver: HeadDriver, features: NDArray[Any]) -> Prediction | Unavailable:
    """The disk takes no pending mark: answer with a head that needs none, and leave the machine as it is.

    A head on trial is not tried meanwhile; what was confirmed runs, or else the embedded head.
    """
    state = driver.state
    for head in (state.generation, state.stable, state.embedded):
        if head is None:
            continue
        try:
            driver.loaded = driver.load(head)
            row = driver.loaded.predict(features)[0]
        except Exception:  # noqa: BLE001 - whatever goes wrong with one head, the next one may answer
            continue
        finally:
            loaded, driver.loaded = driver.loaded, None
        if loaded is not None and usable(row, loaded.labels):
            return prediction(row, loaded.labels, driver.release_of(head).release, head, trial=False)
    return Unavailable(Problem("no_head", "No head could answer.", "Free some disk space and start the app again."))


def _features(driver: HeadDriver, text: str | Sequence[float] | Any) -> NDArray[Any]:
    import numpy as np

    runtime = driver.world.runtime()
    if isinstance(text, str):
        return runtime.features([text])
    features = np.asarray(text, np.float32).reshape(1, -1)
    if features.shape[1] != runtime.contract.dimension or not np.isfinite(features).all():
        raise IncompatibleError(
            "features", "The features do not fit the base's contract.", hint="Give the vector that the base returned."
        )
    return features


def _answer(driver: HeadDriver, features: NDArray[Any]) -> Prediction | None:
    """A prediction of the loaded head; None after telling the machine that it failed."""
    head, state = driver.loaded, driver.state
    running = state.running
    if head is None or head.digest != running.head:
        return None
    try:
        row = head.predict(features)[0]
    except Exception:  # noqa: BLE001 - whatever a model makes its runtime raise is that model's failure
        driver.loaded = None
        driver.feed(ev.PredictFailed(running.head, "prediction_error", driver.now_s))
        return None
    if not usable(row, head.labels):
        driver.loaded = None
        driver.feed(ev.PredictFailed(running.head, "not_finite", driver.now_s))
        return None
    return prediction(row, head.labels, (state.trial or state.current).release, running, trial=state.trial is not None)


def usable(row: NDArray[Any], labels: tuple[str, ...]) -> bool:
    """Whether a head's output is one finite probability per label."""
    import numpy as np

    return row.shape == (len(labels),) and bool(np.isfinite(row).all())


def prediction(
    row: NDArray[Any], labels: tuple[str, ...], release: int, head: HeldRelease | Generation, *, trial: bool
) -> Prediction:
    """The answer that a head's output stands for."""
    return Prediction(
        label=labels[int(row.argmax())],
        probabilities={label: float(p) for label, p in zip(labels, row, strict=True)},
        release=release,
        generation=head.number if isinstance(head, Generation) else 0,
        trial=trial,
    )

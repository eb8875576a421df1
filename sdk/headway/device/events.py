"""Everything that can happen to a device's head, as frozen values. Times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.device.state import Generation, HeldRelease, Host


@dataclass(frozen=True, slots=True)
class Launched:
    """The process has started: what is present now, whatever the record says."""

    host: Host
    embedded: HeldRelease
    now_s: int


@dataclass(frozen=True, slots=True)
class Exiting:
    """The app ends on purpose: an open load is no crash."""


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """A poll begins."""


@dataclass(frozen=True, slots=True)
class CheckEnded:
    """The poll is over without an offer to take."""


@dataclass(frozen=True, slots=True)
class ChannelSeen:
    """Verified metadata was read. ``recalled``: heads to leave, as :func:`headway.contract.explain.ordered_off`."""

    recalled: frozenset[Digest]
    directive: str
    now_s: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The channel no longer wants the staged head to be tried; ``reason`` is a code."""

    head: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class Offered:
    """``explain`` chose a release that the device should hold."""

    release: HeldRelease
    now_s: int


@dataclass(frozen=True, slots=True)
class Downloaded:
    """Every file of the target is on disk."""

    head: Digest


@dataclass(frozen=True, slots=True)
class DownloadFailed:
    """The target could not be fetched; later, it may. ``reported`` asks for an outcome."""

    head: Digest
    reason: str
    reported: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """The target is exactly its signed manifest and a model that may be loaded."""

    head: Digest


@dataclass(frozen=True, slots=True)
class VerifyFailed:
    """The target's signed bytes cannot work here: never again, for a while."""

    head: Digest
    reason: str
    now_s: int


@dataclass(frozen=True, slots=True)
class PredictAsked:
    """The app wants a prediction."""

    now_s: int


@dataclass(frozen=True, slots=True)
class Predicted:
    """The running head, loaded in this process, gave a good prediction."""

    head: Digest
    now_s: int


@dataclass(frozen=True, slots=True)
class PredictFailed:
    """The running head loaded or predicted badly without ending the process (NaN, an exception)."""

    head: Digest
    reason: str
    now_s: int


@dataclass(frozen=True, slots=True)
class SlotBroken:
    """The files of a head are missing or not what their digest says."""

    head: Digest
    now_s: int


@dataclass(frozen=True, slots=True)
class HealthPassed:
    """The judge on the device found the tried head good, and the app agreed."""

    head: Digest
    now_s: int


@dataclass(frozen=True, slots=True)
class HealthFailed:
    """The judge found the tried head bad."""

    head: Digest
    reason: str
    now_s: int


@dataclass(frozen=True, slots=True)
class HealthLater:
    """The app asks to judge again after more predictions."""

    head: Digest


@dataclass(frozen=True, slots=True)
class ConfirmAsked:
    """The app vouches for the head on trial."""


@dataclass(frozen=True, slots=True)
class RollBackAsked:
    """The app orders off the running release, also late. ``reason`` is a code."""

    reason: str
    now_s: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The head that was given up is unloaded and its files are gone."""


@dataclass(frozen=True, slots=True)
class TrainingStarted:
    """Personalisation may begin: samples, power and disk are in order."""

    now_s: int


@dataclass(frozen=True, slots=True)
class Trained:
    """Training ended and its candidate is written."""

    candidate: Generation


@dataclass(frozen=True, slots=True)
class TrainingFailed:
    """Training or its judging did not come to an end: cancelled, out of memory, disk full."""

    reason: str


@dataclass(frozen=True, slots=True)
class GenerationAccepted:
    """The candidate is better by the bound; ``gain`` is a bucket of :data:`headway.contract.outcome.GAINS`."""

    head: Digest
    gain: str


@dataclass(frozen=True, slots=True)
class GenerationRejected:
    """The candidate is not better, or forgets too much."""

    head: Digest
    gain: str


@dataclass(frozen=True, slots=True)
class GenerationDropped:
    """Go back from generation k to k−1, or to the release; ``reason`` is a code."""

    reason: str


@dataclass(frozen=True, slots=True)
class PersonalForgotten:
    """The user wants all personal generations gone."""


@dataclass(frozen=True, slots=True)
class RebaseStarted:
    """Carrying the personal head over to the current release may begin."""

    now_s: int


@dataclass(frozen=True, slots=True)
class Rebased:
    """The best candidate was chosen: ``generation`` on the current release, or None for the release itself."""

    on: Digest
    generation: Generation | None
    policy: str
    gain: str


@dataclass(frozen=True, slots=True)
class OutcomesSent:
    """The server took these outcomes, by their event keys."""

    events: frozenset[str]


Receiving = (
    Launched
    | Exiting
    | CheckStarted
    | CheckEnded
    | ChannelSeen
    | Withdrawn
    | Offered
    | Downloaded
    | DownloadFailed
    | Verified
    | VerifyFailed
)
Training = (
    TrainingStarted
    | Trained
    | TrainingFailed
    | GenerationAccepted
    | GenerationRejected
    | GenerationDropped
    | PersonalForgotten
    | RebaseStarted
    | Rebased
    | OutcomesSent
)
Running = (
    PredictAsked
    | Predicted
    | PredictFailed
    | SlotBroken
    | HealthPassed
    | HealthFailed
    | HealthLater
    | ConfirmAsked
    | RollBackAsked
    | Settled
    | Training
)
Event = Receiving | Running

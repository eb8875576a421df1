"""What the façade answers: values, never exceptions. ``reason`` and ``code`` are stable codes for programs."""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.contract.digests import Digest
from headway.contract.errors import HeadwayError
from headway.device.state import Phase


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something did not work: a code, one sentence, what to do next, and the family of error it was.

    ``family`` is that of :mod:`headway.contract.errors`, or ``failed`` where no error was raised.
    """

    code: str
    message: str
    hint: str
    family: str = "failed"

    @classmethod
    def of(cls, error: HeadwayError) -> Problem:
        """The problem of an error."""
        return cls(error.code, error.message, error.hint, error.family)


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """``status`` is ``ready``, ``clean_start`` (the record was unreadable and is put aside), ``busy`` (another
    process has the store: the embedded heads run here, nothing is saved) or ``no_store`` (the same, for a broken disk).
    """

    status: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class HeadPoll:
    """One head after a poll.

    ``status``: ``staged`` (release verified and waiting), ``unchanged``, ``kept`` (offered, but not for this device:
    ``reasons``), ``failed`` (``problem``) or ``busy``.
    """

    name: str
    status: str
    release: int | None = None
    reasons: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class PollResult:
    """``status``: ``done``, ``not_due`` (``wait_s`` to go), ``failed`` (``problem``) or ``read_only``."""

    status: str
    heads: tuple[HeadPoll, ...] = ()
    problem: Problem | None = None
    wait_s: int = 0
    requests: int = 0
    received_bytes: int = 0

    def head(self, name: str) -> HeadPoll | None:
        """The result of one head."""
        return next((h for h in self.heads if h.name == name), None)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label with the probabilities of all labels, and the head that gave it.

    ``generation`` is 0 for a release as published; ``trial`` tells that the release is being tried.
    """

    label: str
    probabilities: dict[str, float]
    release: int
    generation: int
    trial: bool


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No head could answer: not even the embedded one."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class ConfirmResult:
    """``status``: ``confirmed``; ``rolled_back`` (the judge found it bad: ``reason``); ``not_yet`` (``reason`` is
    ``not_tried``: it has not answered in this process, or the code of what is in the way); or ``no_trial``.
    """

    status: str
    release: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """``status``: ``accepted``, ``rejected``, ``not_now`` or ``failed``; ``reason`` says why, ``gain`` is a bucket.

    ``figures`` are local measurements (accuracies, losses, α); they never leave the device.
    """

    status: str
    reason: str = ""
    gain: str = ""
    generation: int = 0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlushResult:
    """``sent`` outcomes were taken by the server, ``left`` wait for next time, ``dropped`` were refused for good."""

    sent: int
    left: int
    dropped: int = 0
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class HeadStatus:
    """Where one head stands; ``head`` is the digest of what runs."""

    name: str
    phase: Phase
    release: int
    generation: int
    head: Digest
    staged: int | None
    trial: int | None
    floor: int
    quarantined: tuple[Digest, ...]
    corrections: int
    outcomes: int
    rebase_due: str | None
    directive: str

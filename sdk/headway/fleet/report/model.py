"""The result of a fleet run: frozen values, written once by the runner and read by the page, the tests and people.

Rules that always hold: times are simulated seconds since the start of the run (``at_s``) unless a name says ``wall``;
counts are counts of things that happened, never planned ones; accuracies are given as correct out of ``n`` so that
every reader can compute an interval. It holds no text of a user.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Share:
    """``correct`` of ``n`` texts (or any other part of a whole)."""

    correct: int
    n: int

    @property
    def value(self) -> float:
        """The share, 0 … 1; 0 for an empty whole."""
        return self.correct / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """The base all devices run: identity, package size in bytes, feature width, tokens per text."""

    base_id: str
    version: str
    digest: str
    bytes: int
    dimension: int
    max_sequence_length: int


@dataclass(frozen=True, slots=True)
class ProofFacts:
    """What the proof of a head on the base said, as published: deviations in 1e-6, golden accuracy."""

    rows: int
    feature_deviation_micro: int
    probability_deviation_micro: int
    agreement: Share
    accuracy: Share


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """One release of the head.

    ``origin`` is a key of `headway.fleet.report.words.ORIGINS` (where it came from); ``test`` its accuracy on texts
    that no training saw, by class name in ``by_class``; ``fate`` is ``live``, ``halted`` or ``recalled``.
    """

    release: int
    head: str
    parent: str | None
    bytes: int
    origin: str
    proof: ProofFacts
    test: Share
    by_class: dict[str, Share]
    fate: str


@dataclass(frozen=True, slots=True)
class Phase:
    """One chapter of the run: ``code`` is a key of `headway.fleet.report.words.PHASES`."""

    code: str
    at_s: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class Decision:
    """One logged decision about a rollout, as the server gave it, with the figures it stood on."""

    at_s: int
    release: int
    action: str
    permyriad: int
    reason: str
    inputs: dict[str, float | int | str | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened on one device. ``kind`` is a key of `headway.fleet.report.words.EVENTS`.

    ``about`` is the release it concerns (0: the embedded head, or none); ``release`` and ``generation`` are what the
    device runs *after* it; ``code`` is a reason code where one exists.
    """

    at_s: int
    kind: str
    about: int
    release: int
    generation: int = 0
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Personalisation:
    """One device's training on its own text, measured on texts of dialogues it never trained on.

    ``kind`` is ``personalised`` (from the release) or ``rebased`` (carried over to a newer one). ``fixed`` texts were
    wrong before and right after, ``broken`` the other way round. ``golden_before`` and ``golden_after`` are the
    release's golden batch, ``general_before`` and ``general_after`` texts that belong to no user: what it forgot. A
    generation that the device's own judge refused has ``accepted`` false and leaves the device as it was, so its after
    figures equal the before ones.
    """

    kind: str
    release: int
    generation: int
    accepted: bool
    code: str
    samples: int
    before: Share
    after: Share
    fixed: int
    broken: int
    golden_before: Share
    golden_after: Share
    general_before: Share
    general_after: Share
    by_label: dict[str, int]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a device does not hold a release newer than its own: reason codes, the most fundamental first."""

    release: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """One device from first launch to the end of the run.

    ``user`` is a key of `headway.fleet.report.words.USERS`; ``mix`` counts its texts by label; ``network`` names its
    conditions. ``why`` covers every newer release that its channel still names.
    """

    device: str
    user: str
    mix: dict[str, int]
    network: str
    release: int
    generation: int
    runnable_heads: int
    events: tuple[DeviceEvent, ...]
    why: tuple[WhyNot, ...]
    trainings: tuple[Personalisation, ...]
    polls: int
    requests: int
    bytes_down: int
    bytes_up: int
    offline_from_s: int | None = None
    offline_until_s: int | None = None

    def training(self, kind: str) -> Personalisation | None:
        """The first training of ``kind``, or None."""
        return next((training for training in self.trainings if training.kind == kind), None)


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One kind of fault: how often it was injected, on how many devices, and how many were sound at the end."""

    kind: str
    injected: int
    devices: int
    sound: int


@dataclass(frozen=True, slots=True)
class BadRelease:
    """The release that should never have been made, what let it pass and what caught it.

    ``caught_by`` counts the reason codes with which devices rolled it back; ``confirmed`` devices found nothing wrong
    with it, because their users never say what it gets wrong; ``spared`` devices never ran it.
    """

    release: int
    defect: str
    passed: tuple[str, ...]
    tried: int
    rolled_back: int
    confirmed: int
    spared: int
    caught_by: dict[str, int]
    halted_at_s: int
    halt_reason: str


@dataclass(frozen=True, slots=True)
class RecallStory:
    """A recall of a release that devices had confirmed. Times count from the order.

    ``replaced_by`` is the release that most holders ran right afterwards; ``personal_back`` of them got back the
    personal head they had trained on it before.
    """

    release: int
    reason: str
    at_s: int
    holders: int
    obeyed: int
    median_s: int
    slowest_s: int
    offline_device: str | None
    offline_after_s: int | None
    replaced_by: int | None
    personal_back: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over loopback: requests, answers 304, bytes, and outcomes the server accepted."""

    requests: int
    not_modified: int
    bytes_down: int
    bytes_up: int
    outcomes_sent: int
    outcomes_accepted: int


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the run took place, for people who compare two reports."""

    python: str
    machine: str
    cpus: int
    libraries: dict[str, str]


@dataclass(frozen=True, slots=True)
class FleetReport:
    """Everything a fleet run found out. ``labels`` are the head's classes in order; ``split`` says whose texts."""

    schema: int
    headway: str
    scenario: str
    seed: int
    app: str
    channel: str
    head_name: str
    labels: tuple[str, ...]
    base: BaseFacts
    releases: tuple[ReleaseFacts, ...]
    phases: tuple[Phase, ...]
    decisions: tuple[Decision, ...]
    devices: tuple[DeviceRow, ...]
    bad: BadRelease | None
    recalls: tuple[RecallStory, ...]
    faults: tuple[FaultRow, ...]
    traffic: Traffic
    environment: Environment
    text_counts: dict[str, int]
    texts_encoded: int
    encode_ms_per_text: float
    simulated_s: int
    wall_s: float

    def release(self, number: int) -> ReleaseFacts:
        """The facts of release ``number``; raises ``KeyError`` for one the run never published."""
        for facts in self.releases:
            if facts.release == number:
                return facts
        raise KeyError(number)

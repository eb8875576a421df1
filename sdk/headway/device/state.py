"""What a device knows about one head, as frozen values.

One :class:`DeviceState` is everything that decisions depend on; it is persisted whole (see
:mod:`headway.device.record`) except for ``loaded``, which dies with the process. It holds facts about files, never
files. The integers of :class:`Phase` are fixed for ever: records of old versions must stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from headway.contract.digests import Digest
from headway.contract.outcome import Outcome


class Phase(IntEnum):
    """Where the machine stands. Numbers are part of the persisted record; add, never renumber."""

    IDLE = 0
    CHECKING = 1
    DOWNLOADING = 2
    VERIFYING = 3
    STAGED = 4
    TRIAL = 5
    CONFIRMED = 6
    ROLLING_BACK = 7
    PERSONALISING = 8
    JUDGING = 9
    REBASING = 10


ACTIVITIES = frozenset(
    {
        Phase.IDLE,
        Phase.CHECKING,
        Phase.DOWNLOADING,
        Phase.VERIFYING,
        Phase.PERSONALISING,
        Phase.JUDGING,
        Phase.REBASING,
    }
)
"""Phases that :attr:`DeviceState.activity` may name; the others follow from the slots."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers in the rules. Times are seconds.

    ``explicit_confirm``: a trial waits for the app's own :meth:`~headway.device.client.Device.confirm` instead of being
    judged by itself after ``live_predictions`` good ones.
    """

    attempts: int = 3
    live_predictions: int = 3
    quarantine_s: int = 7 * 86_400
    max_saves: int = 28
    training_rest_s: int = 7 * 86_400
    max_outcomes: int = 500
    clock_step_s: int = 3600
    explicit_confirm: bool = False


@dataclass(frozen=True, slots=True)
class HeldRelease:
    """A head release in a slot.

    ``head`` is the digest of ``head.mlmodel``, ``base`` the base it was verified against, ``manifest`` names its
    folder, ``rebase`` is the policy it was signed with.
    """

    release: int
    head: Digest
    base: Digest
    manifest: Digest
    labels: Digest
    rebase: str = "replay"


@dataclass(frozen=True, slots=True)
class Generation:
    """One result of on-device training.

    ``on`` is the release head on which it was accepted: it may run only while that release is the current one.
    ``derived_from`` is the head that training started from; ``policy`` says how it came to be (``personalised``,
    ``replay``, ``merge``, ``keep``). ``delta_micro`` is the norm of the weight change in 1e-6.
    """

    number: int
    head: Digest
    base: Digest
    on: Digest
    derived_from: Digest
    policy: str
    samples: int
    steps: int
    delta_micro: int


@dataclass(frozen=True, slots=True)
class Attempts:
    """Tries that ``head`` has left; lowered and saved before each try."""

    head: Digest
    left: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep away from ``head`` on this base and system build until ``until_s`` (seconds since 1970)."""

    head: Digest
    base: Digest
    os_build: str
    until_s: int


@dataclass(frozen=True, slots=True)
class Floor:
    """The highest release ever confirmed on ``base``, and its head."""

    base: Digest
    release: int
    head: Digest


@dataclass(frozen=True, slots=True)
class Host:
    """What is really present at this launch: the base by digest, the system build."""

    base: Digest
    os_build: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What never changes for a device's head: names for outcomes, and the random local install id."""

    app: str
    channel: str
    name: str
    install_id: str


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Everything that decisions about one head depend on.

    Slots: ``embedded`` (in the app, always there), ``stable`` (last confirmed), ``previous`` (the stable before it,
    kept for a late roll back), ``trial`` (being tried), ``staged`` (verified, waiting), ``target`` (being fetched or
    verified), ``personal`` and ``personal_before`` (generations k and k−1), ``candidate`` (trained, not accepted).
    """

    identity: Identity
    host: Host
    embedded: HeldRelease
    stable: HeldRelease | None = None
    previous: HeldRelease | None = None
    trial: HeldRelease | None = None
    staged: HeldRelease | None = None
    target: HeldRelease | None = None
    personal: Generation | None = None
    personal_before: Generation | None = None
    candidate: Generation | None = None
    activity: Phase = Phase.IDLE
    pending: Digest | None = None
    """The head whose first load, or whose judging, has begun and not ended: found at a launch, it is a crash."""
    attempts: Attempts | None = None
    checks: Attempts | None = None
    """Tries that the head being verified has left."""
    live: int = 0
    """Successful predictions in the open trial."""
    leaving: Digest | None = None
    """A head just given up, whose model is to be unloaded and whose files are to be removed."""
    generations: int = 0
    rebase_due: str | None = None
    training_left: int = 3
    training_after_s: int = 0
    floors: tuple[Floor, ...] = ()
    quarantine: tuple[Quarantine, ...] = ()
    recalled: tuple[Digest, ...] = ()
    directive: str = "allow"
    clock_floor_s: int = 0
    outcomes: tuple[Outcome, ...] = ()
    sequence: int = 0
    saves: int = 0
    """Saves since the machine was last at rest: the loop breaker's counter."""
    loaded: Digest | None = None
    """The head this process has loaded. Not persisted."""

    @property
    def current(self) -> HeldRelease:
        """The release that stands when nothing is tried and nothing is personal."""
        return self.stable or self.embedded

    @property
    def generation(self) -> Generation | None:
        """The personal generation that may run: only on the release it was accepted on."""
        if self.personal is not None and self.personal.on == self.current.head:
            return self.personal
        return None

    @property
    def running(self) -> HeldRelease | Generation:
        """The one head to run: the trial, else the generation, else the release, at the least the embedded one."""
        return self.trial or self.generation or self.current

    @property
    def phase(self) -> Phase:
        """One word for where the machine stands."""
        if self.leaving is not None:
            return Phase.ROLLING_BACK
        if self.activity is not Phase.IDLE:
            return self.activity
        if self.trial is not None:
            return Phase.TRIAL
        if self.staged is not None:
            return Phase.STAGED
        return Phase.CONFIRMED if self.stable is not None else Phase.IDLE

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way that a restart would have to clear up."""
        return self.activity is Phase.IDLE and self.pending is None and self.leaving is None

    @property
    def durable(self) -> DeviceState:
        """The state as a restart finds it: a check under way and the loaded head leave no trace."""
        activity = Phase.IDLE if self.activity is Phase.CHECKING else self.activity
        return replace(self, activity=activity, loaded=None)

    @property
    def floor(self) -> Floor | None:
        """The highest confirmed release on the base that is present."""
        return next((f for f in self.floors if f.base == self.host.base), None)

    def is_quarantined(self, head: Digest, now_s: int) -> bool:
        """Whether ``head`` failed here, on this base and system build, not long ago."""
        return any(
            q.head == head and q.base == self.host.base and q.os_build == self.host.os_build and q.until_s > now_s
            for q in self.quarantine
        )

    def releases(self) -> tuple[HeldRelease, ...]:
        """Every release that a slot names, but the embedded one."""
        return tuple(s for s in (self.trial, self.stable, self.previous, self.staged, self.target) if s is not None)

    def personal_heads(self) -> tuple[Generation, ...]:
        """Every generation that a slot names."""
        return tuple(g for g in (self.personal, self.personal_before, self.candidate) if g is not None)

"""One simulated phone: a real `Device`, the person who uses it, and what the app around it does.

The app here is a plain one: it shows a label, the person accepts or corrects it, and each such text becomes a
correction that stays on the device. On a trial it looks at those answers before it agrees to confirm a release. If
the process is killed in a write, the phone starts it again, as a person would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from headway.contract.outcome import Outcome
from headway.device.bundle import AppBundle
from headway.device.client import Device, Settings
from headway.device.faulty import Crash, Fault, MemoryFileSystem
from headway.device.fetcher import HttpFetcher
from headway.device.health import HealthFacts
from headway.device.judge import JudgePolicy
from headway.device.models import Runtime
from headway.device.personalise import PersonalisePolicy
from headway.device.policy import HeavyWorkPolicy, PollPolicy
from headway.device.results import PollResult, Prediction, TrainingResult
from headway.device.updater import DeviceInfo
from headway.fleet.network import Line
from headway.fleet.report.model import DeviceEvent, Share
from headway.fleet.report.stats import wilson
from headway.fleet.scenario import AppPolicy
from headway.fleet.users import User
from headway.fleet.world import DayAndNight, SeededRandomness, SimulatedClock

_ENOUGH = 16
"""Answers of the person that the app wants to see before it agrees to a release."""
_Z99 = 2.5758293035489004
"""99 %, two-sided: an app that asks again and again must be slow to cry wolf."""
_MARGIN = 0.1
"""A new release starts without the personal training of the old one: so much worse it may be at first."""


@dataclass(slots=True)
class Answers:
    """What the person said about one release's labels."""

    right: int = 0
    n: int = 0

    def add(self, right: bool) -> None:
        """Count one answer."""
        self.right += right
        self.n += 1


def app_agrees(trial: Answers, before: Answers) -> bool | None:
    """The app's word on a healthy trial: later while it has seen little, no if the person corrects clearly more.

    Clearly: the interval of the share of accepted labels lies wholly, by a margin, below that of the release before.
    """
    if trial.n < _ENOUGH:
        return None
    _, trial_high = wilson(Share(trial.right, trial.n), _Z99)
    before_low, _ = wilson(Share(before.right, before.n), _Z99)
    return trial_high >= before_low - _MARGIN


@dataclass(frozen=True, slots=True)
class Installation:
    """What every phone of the fleet shares: the app as built, one run of the base, time, and how often it polls."""

    bundle: AppBundle
    runtime: Runtime
    clock: SimulatedClock
    power: DayAndNight
    head_name: str
    poll_after_s: int
    policy: AppPolicy


@dataclass(slots=True)
class Phone:
    """See the module. ``events`` is its life so far."""

    name: str
    user: User
    line: Line
    shared: Installation
    seed: str
    groups: frozenset[str] = frozenset()
    files: MemoryFileSystem = field(default_factory=MemoryFileSystem)
    events: list[DeviceEvent] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    polls: int = 0
    outcomes_sent: int = 0
    last_poll: PollResult | None = None
    answers: dict[int, Answers] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)
    device: Device = field(init=False)
    _network: HttpFetcher = field(init=False)
    _texts: cycle[tuple[str, str]] = field(init=False)
    _reported: set[str] = field(default_factory=set)
    _problems: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._network = HttpFetcher(transport=self.line)
        self._texts = cycle(self.user.corrections)
        self._launch()
        self._log("launch", self.release)

    # The process ----------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        shared, policy = self.shared, self.shared.policy
        self.device = Device(
            shared.bundle,
            self.files,
            network=self._network,
            clock=shared.clock,
            randomness=SeededRandomness(f"{self.seed}:{self.name}:{len(self.events)}"),
            power=shared.power,
            runtime=shared.runtime,
            settings=Settings(
                poll=PollPolicy(interval_s=shared.poll_after_s),
                info=DeviceInfo(groups=self.groups),
                work=HeavyWorkPolicy(min_samples=policy.min_samples),
                personalise=PersonalisePolicy(
                    learning_rate=policy.learning_rate,
                    rehearsal=policy.rehearsal,
                    anchors=policy.anchors,
                    golden_loss_rise=policy.golden_loss_rise,
                ),
                judging=JudgePolicy(
                    golden_accuracy_loss=policy.golden_accuracy_loss, golden_loss_rise=policy.golden_loss_rise
                ),
                approve=self._approve,
            ),
        )
        self.device.launch()

    def restart(self) -> None:
        """A clean exit and a new process."""
        self._survive(self.device.close)
        self._launch()

    def break_disk(self, fault: Fault) -> None:
        """Let something befall the disk, ``fault.at`` changes from now."""
        self.files.fault = Fault(self.files.changes + fault.at, fault.moment, fault.survival)

    def mend_disk(self) -> None:
        """A full disk has room again."""
        if self.files.fault is not None and self.files.fault.moment == "full":
            if self.files.changes > self.files.fault.at:
                self._count("disk_full")
            self.files.fault = None

    def _survive(self, action: Callable[[], object]) -> None:
        """Do something; if the process is killed in it, start it again."""
        try:
            action()
        except Crash:
            self._count("crash")
            self.files.restart()
            self._launch()
            self._log("killed", self.release)

    # What happens to it ---------------------------------------------------------------------------------------

    @property
    def release(self) -> int:
        """The release that runs now, on trial or not."""
        return self.device.status().release

    def poll(self) -> None:
        """Poll if it is due, and send what is queued."""
        self._survive(self._poll)
        self._survive(self._report)

    def _poll(self) -> None:
        result = self.device.poll()
        if result.status == "not_due":
            return
        self.polls += 1
        self.last_poll = result
        problem = result.problem or next((head.problem for head in result.heads if head.problem is not None), None)
        if problem is not None and problem.code not in self._problems:
            self._problems.add(problem.code)
            self._log("unreachable", self.release, problem.code)

    def use(self, texts: int) -> None:
        """The person uses the app: ``texts`` predictions, each accepted or corrected."""
        for text, label in islice(self._texts, texts):
            self._survive(lambda text=text, label=label: self._show(text, label))  # type: ignore[misc]
        self._survive(self._report)

    def _show(self, text: str, label: str) -> None:
        answer = self.device.predict(text)
        if not isinstance(answer, Prediction):
            return
        if answer.trial and answer.release not in self.tried:
            self.tried.add(answer.release)
            self._log("tried", answer.release)
        # The judge may have spoken inside this very prediction; the answer still counts for the release that gave it.
        self.answers.setdefault(answer.release, Answers()).add(answer.label == label)
        self.device.add_correction(text, label)

    def _approve(self, name: str, release: int, facts: HealthFacts) -> bool | None:
        before = [seen for number, seen in sorted(self.answers.items()) if number < release]
        return app_agrees(self.answers.get(release, Answers()), before[-1] if before else Answers())

    def work(self) -> TrainingResult | None:
        """What the app does at night: train or rebase if it is due. None if the process was killed in it."""
        results: list[TrainingResult] = []
        self._survive(lambda: results.extend(self.device.work().values()))
        self._survive(self._report)
        return results[0] if results else None

    def go(self, online: bool) -> None:
        """Lose or regain the network."""
        if self.line.online != online:
            self.line.online = online
            self._log("online" if online else "offline", self.release)
            if not online:
                self._count("offline")

    # What it tells --------------------------------------------------------------------------------------------

    def right(self, texts: Sequence[tuple[Any, str]]) -> list[bool]:
        """Which of these (text or features, true label) the device as it is now gets right."""
        answers = [self.device.predict(text) for text, _ in texts]
        return [
            isinstance(answer, Prediction) and answer.label == label
            for answer, (_, label) in zip(answers, texts, strict=True)
        ]

    def is_sound(self) -> bool:
        """Whether the phone, on a clean network and started afresh, has one head that runs and is the one it says."""
        self.line.clear = True
        self.restart()
        self._survive(lambda: self.device.poll(force=True))
        self._survive(self._report)
        answer, status = self.device.predict(self.user.held_out[0].text), self.device.status()
        return isinstance(answer, Prediction) and (answer.release, answer.generation) == (
            status.release,
            status.generation,
        )

    def _log(self, kind: str, about: int, code: str | None = None) -> None:
        status = self.device.status()
        at_s = int(self.shared.clock.elapsed)
        self.events.append(DeviceEvent(at_s, kind, about, status.release, status.generation, code))

    def log_training(self, kind: str, result: TrainingResult) -> None:
        """Record a training's end."""
        self._log(kind, self.release, "accepted" if result.status == "accepted" else result.reason)

    def _count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def _report(self) -> None:
        """Record outcomes as they arise, and send what can be sent."""
        if self.device.status().outcomes:
            self.device.flush_outcomes(self._send)

    def _send(self, outcomes: Sequence[Outcome]) -> Iterable[str]:
        for outcome in outcomes:
            if outcome.event not in self._reported:
                self._reported.add(outcome.event)
                if outcome.kind != "personalised":
                    self._log(outcome.kind, outcome.release, outcome.detail)
        config = self.shared.bundle.config
        events = [outcome.to_json() for outcome in outcomes]
        self._network.post_json(config.outcomes_url, {"app": config.app, "events": events})
        self.outcomes_sent += len(events)
        return [outcome.event for outcome in outcomes]

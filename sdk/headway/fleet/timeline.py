"""Performing a scenario's steps: time passes, phones poll and are used, the server decides.

Everything that decides is elsewhere: devices decide what to take and keep, the server decides about rollouts. Here
only time moves, and what happened is written down.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from headway.contract.digests import Digest
from headway.device.faulty import Fault
from headway.fleet.narrator import Narrator
from headway.fleet.phone import Phone
from headway.fleet.report.model import Decision, Personalisation, RecallStory
from headway.fleet.scenario import HOUR, Personalise, Recall, Rollout, Scenario, Step, Wait
from headway.fleet.trainings import Yardstick, train_tonight
from headway.fleet.world import DayAndNight, SimulatedClock
from headway.publisher.registry import Registry

_STEP_S = 600
_DECIDE_EVERY_S = 1800
_TEXTS_A_SESSION = 8
_DISK_FULL_S = 5 * HOUR


@dataclass(slots=True)
class Timeline:
    """A fleet in time. ``heads`` are the digests of the published releases."""

    scenario: Scenario
    registry: Registry
    base_id: str
    heads: dict[int, Digest]
    phones: list[Phone]
    clock: SimulatedClock
    power: DayAndNight
    yardstick: Yardstick
    narrator: Narrator
    decisions: list[Decision] = field(default_factory=list)
    recalls: list[RecallStory] = field(default_factory=list)
    trainings: dict[str, list[Personalisation]] = field(default_factory=dict)
    _sessions: dict[str, float] = field(default_factory=dict)
    _mended: dict[str, float] = field(default_factory=dict)
    _back: dict[str, float] = field(default_factory=dict)
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"timeline:{self.scenario.seed}")
        for phone in self.phones:
            self._sessions[phone.name] = self._rng.random() * self.scenario.session_every_s

    @property
    def at_s(self) -> int:
        """Simulated seconds since the run began."""
        return int(self.clock.elapsed)

    def perform(self, number: int, step: Step) -> None:
        """Do one step; ``number`` counts from 1."""
        for spell in self.scenario.offline:
            if spell.step == number:
                phone = self.phones[spell.device - 1]
                phone.go(False)
                self._back[phone.name] = self.clock.elapsed + spell.hours * HOUR
        match step:
            case Rollout():
                self._rollout(step)
            case Personalise():
                self._night(step)
            case Recall():
                self._recall(step)
            case Wait():
                self._pass(step.hours * HOUR)

    # Time -----------------------------------------------------------------------------------------------------

    def _pass(self, seconds: float, until: Callable[[], bool] = lambda: False, label: str = "") -> None:
        """Let time go by, phone by phone, until ``until`` or the end."""
        start = self.clock.elapsed
        while self.clock.elapsed < start + seconds and not until():
            self.clock.advance_to(self.clock.elapsed + _STEP_S)
            for phone in self.phones:
                self._live(phone)
            if label:
                self.narrator.progress(label, int(self.clock.elapsed - start) // 60, int(seconds) // 60)

    def _live(self, phone: Phone) -> None:
        if self._back.get(phone.name, float("inf")) <= self.clock.elapsed:
            del self._back[phone.name]
            phone.go(True)
        if self._mended.get(phone.name, float("inf")) <= self.clock.elapsed:
            del self._mended[phone.name]
            phone.mend_disk()
        phone.poll()
        if not self.power.night and self._sessions[phone.name] <= self.clock.elapsed:
            phone.use(_TEXTS_A_SESSION)
            every = self.scenario.session_every_s
            self._sessions[phone.name] = self.clock.elapsed + every * (0.75 + 0.5 * self._rng.random())

    # Rollouts -------------------------------------------------------------------------------------------------

    def _rollout(self, step: Rollout) -> None:
        stages = [
            {"permyriad": share, "soak_s": 0, "min_confirmed": wanted}
            for share, wanted in zip(step.stages, step.min_confirmed, strict=True)
        ]
        offered = self.registry.offer(
            self.scenario.channel,
            self.base_id,
            self.scenario.head_name,
            step.release,
            permyriad=step.stages[0],
            pins=["pilot"] if self.scenario.pilots else [],
            salt=f"{self.scenario.name}-{self.scenario.seed}-{step.release}",
            schedule=stages,
            policy={"max_failed": step.max_failed, "min_reports": step.min_reports},
        )
        self._decided(step.release, "start", step.stages[0], "Offered by an operator.", {})
        self._break_disks(step.release)
        rollout, state = str(offered["id"]), "running"
        online = [phone for phone in self.phones if phone.line.online]
        deadline = self.clock.elapsed + step.hours * HOUR

        def settled() -> bool:
            return state == "complete" and all(p.release == step.release or step.release in p.tried for p in online)

        while self.clock.elapsed < deadline and not settled() and state != "halted":
            self._pass(_DECIDE_EVERY_S)
            answer = self.registry.tick(rollout)
            decision, state = answer["decision"], answer["rollout"]["state"]
            share = int(answer["rollout"]["permyriad"])
            if decision["action"] != "wait":
                self._decided(step.release, decision["action"], share, decision["reason"], decision["inputs"])
                self.narrator.note(f"{self._name(step.release)}: {decision['action']}. {decision['reason']}")
            self.narrator.progress(
                f"{self._name(step.release)} at {share / 100:g} %", self._on(step.release), len(self.phones)
            )
        # Phones with a trial open see it through.
        self._pass(4 * HOUR, until=lambda: not any(p.device.status().trial == step.release for p in self.phones))

    def _break_disks(self, release: int) -> None:
        for fault in self.scenario.disk_faults:
            if fault.release == release:
                phone = self.phones[fault.device - 1]
                phone.break_disk(Fault(fault.after_changes, fault.moment, fault.survival))
                self._mended[phone.name] = self.clock.elapsed + _DISK_FULL_S

    def _on(self, release: int) -> int:
        return sum(phone.release == release for phone in self.phones)

    def _name(self, release: int) -> str:
        return f"{self.scenario.head_name}@{release}"

    def _decided(
        self, release: int, action: str, share: int, reason: str, inputs: dict[str, float | int | str | bool | None]
    ) -> None:
        self.decisions.append(Decision(self.at_s, release, action, share, reason, dict(inputs)))

    # Nights ---------------------------------------------------------------------------------------------------

    def _night(self, step: Personalise) -> None:
        self.power.night = True
        order = list(self.phones)
        self._rng.shuffle(order)
        pause = step.hours * HOUR / max(1, len(order))
        for number, phone in enumerate(order, start=1):
            self._pass(pause)
            result = train_tonight(phone, self.yardstick)
            if result is not None:
                self.trainings.setdefault(phone.name, []).append(result)
            self.narrator.progress("train on own text", number, len(order))
        self.power.night = False

    # Recalls --------------------------------------------------------------------------------------------------

    def _recall(self, step: Recall) -> None:
        ordered, holders = self.at_s, [phone for phone in self.phones if self._holds(phone, step.release)]
        offline = [phone for phone in holders if not phone.line.online]
        self.registry.recall(self.scenario.channel, self.base_id, self.heads[step.release], step.reason)
        self._decided(step.release, "recall", 0, step.reason, {})
        self.narrator.note(f"{self._name(step.release)}: recalled; {len(holders)} devices hold it")
        online = [phone for phone in holders if phone.line.online]
        self._pass(step.hours * HOUR, until=lambda: not any(self._holds(p, step.release) for p in online))
        self.recalls.append(
            RecallStory(
                release=step.release,
                reason=step.reason,
                at_s=ordered,
                holders=len(holders),
                obeyed=0,
                median_s=0,
                slowest_s=0,
                offline_device=offline[0].name if offline else None,
                offline_after_s=None,
                replaced_by=None,
                personal_back=0,
            )
        )

    def _holds(self, phone: Phone, release: int) -> bool:
        return phone.release == release

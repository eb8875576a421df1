"""``Device``: the façade an app talks to. Every method answers a value; none raises into the app.

Life of an app: ``launch()`` once, then ``predict`` as often as it likes, ``poll()`` now and then (it knows itself
whether it is due), ``add_correction`` when the user corrects a label, ``work()`` when the phone is idle and charging
(trains, rebases), ``flush_outcomes()`` when there is a network, ``close()`` at a clean exit.

One lock per store: a second process gets the embedded heads and saves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headway.contract.errors import DeviceStoreError, HeadwayError
from headway.contract.explain import Choice
from headway.contract.outcome import Outcome
from headway.device import events as ev
from headway.device.bundle import AppBundle
from headway.device.driver import Approve, HeadDriver, World, code_of, surprise
from headway.device.faulty import MemoryFileSystem
from headway.device.fetcher import HttpFetcher, Network
from headway.device.files import write_atomic
from headway.device.health import HealthBudget
from headway.device.policy import HeavyWorkPolicy, PollPolicy, why_not_train, why_not_work
from headway.device.polling import Poller
from headway.device.ports import (
    AlwaysReady,
    Clock,
    FileSystem,
    Lock,
    Power,
    Randomness,
    SystemClock,
    SystemRandomness,
)
from headway.device.reporting import Send, flush, post
from headway.device.results import (
    ConfirmResult,
    FlushResult,
    HeadStatus,
    LaunchResult,
    PollResult,
    Prediction,
    Problem,
    TrainingResult,
    Unavailable,
)
from headway.device.running import confirm, predict
from headway.device.samples import Sample, SampleLimits, SampleStore
from headway.device.state import Phase, Rules
from headway.device.store import DeviceStore, stored
from headway.device.training import why_no_rebase, why_no_training
from headway.device.updater import DeviceInfo

if TYPE_CHECKING:
    from headway.device.judge import JudgePolicy
    from headway.device.models import Runtime
    from headway.device.personalise import PersonalisePolicy
    from headway.device.training_edge import TrainingEdge

_INSTALL = "install.id"


@dataclass(frozen=True, slots=True)
class Settings:
    """The numbers and words an app may choose. None takes the measured defaults of the training modules."""

    info: DeviceInfo = field(default_factory=DeviceInfo)
    rules: Rules = field(default_factory=Rules)
    budget: HealthBudget = field(default_factory=HealthBudget)
    poll: PollPolicy = field(default_factory=PollPolicy)
    work: HeavyWorkPolicy = field(default_factory=HeavyWorkPolicy)
    samples: SampleLimits = field(default_factory=SampleLimits)
    personalise: PersonalisePolicy | None = None
    judging: JudgePolicy | None = None
    approve: Approve = lambda name, release, facts: True


class Device:
    """One installed app. ``files`` is its private folder, ``network`` its way out.

    ``runtime`` may be shared by many devices with the same bundle; without it the bundle's own base is used.
    A background thread may poll while others predict. The one thing that raises is a mistake in the app's own code: the
    name of a head that its bundle does not have (``KeyError``).
    """

    def __init__(
        self,
        bundle: AppBundle,
        files: FileSystem,
        *,
        network: Network | None = None,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        power: Power | None = None,
        runtime: Runtime | None = None,
        settings: Settings = Settings(),
    ) -> None:
        self.bundle = bundle
        self.settings = settings
        self._files = files
        self._own_network: HttpFetcher | None = None
        if network is None:
            network = self._own_network = HttpFetcher()
        self._network: Network = network
        self._clock = clock or SystemClock()
        self._randomness = randomness or SystemRandomness()
        self._power = power or AlwaysReady()
        self._given_runtime = runtime
        self._lock: Lock | None = None
        self._read_only = False
        self._drivers: dict[str, HeadDriver] = {}
        self._samples: dict[str, SampleStore] = {}

    # Life -----------------------------------------------------------------------------------------------------

    def launch(self) -> LaunchResult:
        """Take the store, read the records, clear up after the last process, and fit all to what is present."""
        problem: Problem | None = None
        status = "ready"
        try:
            self._lock = stored("lock", "the store", lambda: self._files.lock("lock"))
            if self._lock is None:
                status, problem = "busy", Problem("busy", "Another process has this store.", "Close it first.")
            else:
                self._open(self._files)
        except DeviceStoreError as error:
            status, problem = "no_store", Problem.of(error)
        if status != "ready":
            self._read_only = True
            self._open(MemoryFileSystem())
        for driver in self._drivers.values():
            if driver.store.unreadable is not None:
                status, problem = "clean_start", Problem.of(driver.store.unreadable)
        return LaunchResult(status, problem)

    def _open(self, files: FileSystem) -> None:
        self._files = files
        install_id = self._install_id(files)
        world = World(
            self.bundle,
            self._clock,
            lambda: self._runtime,
            lambda: self._training,
            self.settings.rules,
            self.settings.budget,
            self.settings.approve,
        )
        drivers: dict[str, HeadDriver] = {}
        for name in self.bundle.config.heads:
            driver = HeadDriver(name, DeviceStore(files, name), world, self.settings.info.os_build)
            driver.open(install_id)
            drivers[name] = driver
            self._samples[name] = SampleStore(files, name, self.settings.samples)
            self._samples[name].collect()
        self._drivers = drivers

    def _install_id(self, files: FileSystem) -> str:
        data = stored("read", _INSTALL, lambda: files.read(_INSTALL))
        if data is not None and len(data) == 32 and all(c in b"0123456789abcdef" for c in data):
            return data.decode()
        fresh = self._randomness.token(16).hex()
        try:
            stored("save", _INSTALL, lambda: write_atomic(files, _INSTALL, fresh.encode()))
        except DeviceStoreError:
            # A full disk at the very first launch: the id lives for this process, and the next launch draws another.
            return fresh
        return fresh

    def close(self) -> None:
        """A clean exit: an open load is no crash, and the lock is free."""
        for driver in self._drivers.values():
            driver.feed(ev.Exiting())
            driver.loaded = None
        if self._own_network is not None:
            self._own_network.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @cached_property
    def _runtime(self) -> Runtime:
        from headway.device.models import Runtime

        return self._given_runtime or Runtime.of_bundle(self.bundle)

    @cached_property
    def _training(self) -> TrainingEdge:
        from headway.device.judge import JudgePolicy
        from headway.device.personalise import PersonalisePolicy
        from headway.device.training_edge import TrainingEdge

        personalise = self.settings.personalise or PersonalisePolicy()
        return TrainingEdge(self._samples, personalise, self.settings.judging or JudgePolicy())

    @cached_property
    def _poller(self) -> Poller:
        return Poller(
            self.bundle,
            self._files,
            self._network,
            self._network,
            self._clock,
            self._randomness,
            self.settings.poll,
            self.settings.info,
        )

    def _driver(self, name: str | None) -> HeadDriver:
        """The driver of a head; the first one without a name. Raises ``KeyError`` for a head the app does not have."""
        return self._drivers[name if name is not None else next(iter(self._drivers))]

    # Delivery -------------------------------------------------------------------------------------------------

    def poll(self, *, force: bool = False) -> PollResult:
        """Ask the registry, if it is time (``force``: in any case), and stage what was chosen for this device."""
        if self._read_only:
            return PollResult("read_only")
        drivers = tuple(self._drivers.values())
        try:
            return self._poller.poll(drivers, force=force)
        except Exception as error:  # noqa: BLE001 - the façade's promise: nothing raises into the app
            for driver in drivers:
                driver.feed(ev.CheckEnded())
            return PollResult("failed", problem=Problem.of(surprise(error)))

    def explain(self, name: str | None = None) -> Choice | None:
        """Why this device holds what it holds: every candidate with its reasons. None before the first good poll."""
        if self._read_only:
            return None
        found = self._poller.look(self._driver(name))
        return None if found is None else found.choice

    # Running --------------------------------------------------------------------------------------------------

    def predict(self, text: str | Sequence[float] | Any, name: str | None = None) -> Prediction | Unavailable:
        """Classify a text (or its features, float32 ``[D]``). The first call after staging opens the trial."""
        return predict(self._driver(name), text)

    def confirm(self, name: str | None = None) -> ConfirmResult:
        """Say that the release on trial is good: it is judged now, and confirmed if the judge agrees."""
        return confirm(self._driver(name))

    def roll_back(self, reason: str = "app", name: str | None = None) -> None:
        """Order off the release that runs, also one confirmed long ago; ``reason`` is a code of a-z, 0-9 and _."""
        driver = self._driver(name)
        driver.feed(ev.RollBackAsked(code_of(reason), driver.now_s))

    # Personalisation ------------------------------------------------------------------------------------------

    def add_correction(self, text: str, label: str, name: str | None = None) -> Problem | None:
        """Keep a text with its right label, on this device only. None means kept."""
        driver = self._driver(name)
        try:
            self._samples[driver.name].add(Sample(text, label, driver.now_s))
        except HeadwayError as error:
            return Problem.of(error)
        return None

    def personalise(self, name: str | None = None, *, force: bool = False) -> TrainingResult:
        """Train a generation if there are corrections enough and the phone is at leisure (``force``: regardless)."""
        driver = self._driver(name)
        reason = why_no_training(driver.state, driver.now_s) or (None if force else self._why_not_train(driver))
        if reason is None and not self._has_runtime():
            reason = "no_runtime"
        if reason is not None:
            return TrainingResult("not_now", reason)
        before = driver.state.generation
        driver.feed(ev.TrainingStarted(driver.now_s))
        return self._training_result(driver, before is not driver.state.generation, "personalised")

    def rebase(self, name: str | None = None, *, force: bool = False) -> TrainingResult:
        """Carry the personal head over to a newly confirmed release, when that is due."""
        driver = self._driver(name)
        reason = why_no_rebase(driver.state, driver.now_s)
        if reason is None and not force:
            reason = why_not_work(self.settings.work, self._power.conditions(), self._free_bytes())
        if reason is None and not self._has_runtime():
            reason = "no_runtime"
        if reason is not None:
            return TrainingResult("not_now", reason)
        driver.feed(ev.RebaseStarted(driver.now_s))
        return self._training_result(driver, driver.state.generation is not None, "rebased")

    def work(self) -> dict[str, TrainingResult]:
        """What a background task does: rebase or personalise each head, if due and welcome."""
        return {name: self._work_on(name) for name in self._drivers}

    def _work_on(self, name: str) -> TrainingResult:
        if self._driver(name).state.rebase_due is not None:
            return self.rebase(name)
        return self.personalise(name)

    def cancel_training(self) -> None:
        """The user took the phone up: stop after the mini-batch that is under way."""
        if self._has_runtime():
            self._training.cancel()

    def drop_generation(self, reason: str = "app", name: str | None = None) -> None:
        """Go back from generation k to k−1, or to the release."""
        self._driver(name).feed(ev.GenerationDropped(code_of(reason)))

    def forget_me(self, name: str | None = None) -> Problem | None:
        """Delete all corrections and all personal generations of a head."""
        driver = self._driver(name)
        driver.feed(ev.PersonalForgotten())
        try:
            self._samples[driver.name].clear()
        except DeviceStoreError as error:
            return Problem.of(error)
        return None

    def _why_not_train(self, driver: HeadDriver) -> str | None:
        try:
            samples = self._samples[driver.name].count()
        except DeviceStoreError as error:
            return error.code
        return why_not_train(self.settings.work, self._power.conditions(), samples, self._free_bytes())

    def _free_bytes(self) -> int:
        try:
            return stored("measure", "the disk", self._files.free_bytes)
        except DeviceStoreError:
            return 0

    def _has_runtime(self) -> bool:
        try:
            self._runtime  # noqa: B018 - building it is the question
        except ImportError:
            return False
        return True

    def _training_result(self, driver: HeadDriver, changed: bool, kind: str) -> TrainingResult:
        training, generation = self._training, driver.state.generation
        last = next((o for o in reversed(driver.state.outcomes) if o.kind == kind), None)
        ended = training.reason in ("", "no_proven_gain", "forgets", "holdout_too_small", "not_finite")
        status = "accepted" if changed else "rejected" if ended and "bound" in training.figures else "failed"
        return TrainingResult(
            status,
            "" if changed else training.reason or (driver.problem.code if driver.problem is not None else ""),
            last.gain or "" if last is not None and status != "failed" else "",
            generation.number if generation is not None else 0,
            dict(training.figures),
        )

    # Outcomes and status --------------------------------------------------------------------------------------

    def flush_outcomes(self, send: Send | None = None) -> FlushResult:
        """Send what is queued; ``send`` answers the event keys that were taken (default: the bundle's server)."""
        return flush(self._drivers.values(), send or self._send)

    def _send(self, outcomes: Sequence[Outcome]) -> Iterable[str]:
        if self.bundle.config.outcomes_url:
            post(self._network, self.bundle.config, outcomes)
        return [o.event for o in outcomes]

    def status(self, name: str | None = None) -> HeadStatus:
        """Where a head stands."""
        driver = self._driver(name)
        state = driver.state
        release = state.trial or state.current
        generation = state.generation if state.trial is None else None
        return HeadStatus(
            name=driver.name,
            phase=state.phase,
            release=release.release,
            generation=generation.number if generation is not None else 0,
            head=state.running.head,
            staged=state.staged.release if state.staged is not None else None,
            trial=state.trial.release if state.trial is not None else None,
            floor=state.floor.release if state.floor is not None else 0,
            quarantined=tuple(q.head for q in state.quarantine if state.is_quarantined(q.head, driver.now_s)),
            corrections=self._count(driver.name),
            outcomes=len(state.outcomes),
            rebase_due=state.rebase_due,
            directive=state.directive,
        )

    def _count(self, name: str) -> int:
        try:
            return self._samples[name].count()
        except DeviceStoreError:
            return 0

    @property
    def is_busy(self) -> bool:
        """Whether something long is under way for any head."""
        return any(d.state.activity is not Phase.IDLE for d in self._drivers.values())

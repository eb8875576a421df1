"""Runs one head: feeds events to the machine, saves, and performs effects at the edge.

Every save happens before the effects that the state announces. Where a save fails (a full disk), an event that only
adds (an offer, a trial) does not happen, and one that protects (a recall, a roll back) happens in memory: the old
record then makes the next launch decide again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from headway.contract.digests import Digest, digest_of
from headway.contract.errors import DeviceStoreError, HeadwayError, RefusedError, TransferError, UntrustedError
from headway.contract.manifest import Manifest
from headway.device import effects as ef
from headway.device import events as ev
from headway.device.bundle import GOLDEN_FILE, HEAD_FILE, LABELS_FILE, AppBundle
from headway.device.health import HealthBudget, HealthFacts, Unhealthy, judge_health
from headway.device.machine import advance, files, initial_state
from headway.device.ports import Clock
from headway.device.state import DeviceState, Generation, HeldRelease, Host, Identity, Phase, Rules
from headway.device.store import DeviceStore
from headway.device.updater import MANIFEST_FILE, Downloader, why_not_sound

if TYPE_CHECKING:
    from headway.device.models import LoadedHead, Runtime
    from headway.trust.verified import VerifiedManifest

_PROTECTING = (
    ev.Launched,
    ev.ChannelSeen,
    ev.Withdrawn,
    ev.PredictFailed,
    ev.SlotBroken,
    ev.HealthFailed,
    ev.RollBackAsked,
    ev.Settled,
    ev.GenerationDropped,
    ev.PersonalForgotten,
    ev.TrainingFailed,
    ev.GenerationRejected,
    ev.DownloadFailed,
    ev.VerifyFailed,
)

Approve = Callable[[str, int, HealthFacts], bool | None]
"""The app's word on a healthy trial, by name and release: True confirms, False vetoes, None asks for later."""


class Training(Protocol):
    """What performs the machine's training effects (see :mod:`headway.device.training_edge`)."""

    def train(self, driver: HeadDriver, effect: ef.Train) -> ev.Event:
        """Train a candidate."""
        ...

    def judge(self, driver: HeadDriver, effect: ef.JudgeCandidate) -> ev.Event:
        """Judge it."""
        ...

    def rebase(self, driver: HeadDriver, effect: ef.Rebase) -> ev.Event:
        """Carry a personal head over."""
        ...

    def cancel(self) -> None:
        """Stop what is under way."""
        ...


@dataclass(slots=True)
class World:
    """What all heads of a device share."""

    bundle: AppBundle
    clock: Clock
    runtime: Callable[[], Runtime]
    training: Callable[[], Training]
    rules: Rules = field(default_factory=Rules)
    budget: HealthBudget = field(default_factory=HealthBudget)
    approve: Approve = lambda name, release, facts: True


class HeadDriver:
    """One head's machine with its store. ``loaded`` is the model in memory."""

    def __init__(self, name: str, store: DeviceStore, world: World, os_build: str) -> None:
        self.name = name
        self.store = store
        self.world = world
        self.os_build = os_build
        self.loaded: LoadedHead | None = None
        self.problem: HeadwayError | None = None
        """Why the last event led nowhere, until the next one."""
        self.facts: HealthFacts | None = None
        self.unsaved = False
        self.tried: Digest | None = None
        """The head that was last asked to load."""
        self._offer: tuple[VerifiedManifest, Downloader] | None = None
        self._lock = threading.RLock()

    def open(self, install_id: str) -> None:
        """Load the record, or begin one, and launch. Raises ``DeviceStoreError`` only if the record cannot be read."""
        bundle = self.world.bundle
        config = bundle.config
        saved = self.store.load()
        host = Host(bundle.base, self.os_build)
        embedded = bundle.embedded[self.name]
        if saved is None:
            identity = Identity(config.app, config.channel, self.name, install_id)
            self.state = initial_state(identity, host, embedded)
            self._save(self.state)
        else:
            identity = replace(saved.identity, app=config.app, channel=config.channel)
            self.state = replace(saved, identity=identity)
        self.feed(ev.Launched(host, embedded, self.now_s))

    @property
    def now_s(self) -> int:
        """The clock, never before what was seen in signed metadata (rule: a clock floor)."""
        now = min(max(int(self.world.clock.now()), 0), 2**52)
        state: DeviceState | None = getattr(self, "state", None)
        return now if state is None else max(now, state.clock_floor_s)

    def feed(self, event: ev.Event) -> None:
        """Advance by ``event`` and by all that follows from its effects."""
        self.problem = None
        waiting = deque([event])
        while waiting:
            for effect in self._advance(waiting.popleft()):
                follows = self._attempt(effect)
                if follows is not None:
                    waiting.append(follows)

    def _advance(self, event: ev.Event) -> tuple[ef.Effect, ...]:
        with self._lock:
            state, effects = advance(self.state, event, self.world.rules)
            if ef.Save() in effects and not self._save(state) and not isinstance(event, _PROTECTING):
                return ()
            self.state = state
        return tuple(effect for effect in effects if effect != ef.Save())

    def _save(self, state: DeviceState) -> bool:
        try:
            self.store.save(state)
        except DeviceStoreError as error:
            self.problem = error
            self.unsaved = True
            return False
        self.unsaved = False
        return True

    def _attempt(self, effect: ef.Effect) -> ev.Event | None:
        """Perform an effect; whatever it may raise ends in an event, never in the app."""
        try:
            return self._perform(effect)
        except Exception as error:  # noqa: BLE001 - a model, its runtime or an app's own hook may raise anything
            self.problem = surprise(error)
            return self._given_up(effect)

    def _given_up(self, effect: ef.Effect) -> ev.Event | None:
        match effect:
            case ef.Download(release) | ef.Verify(release):
                return ev.DownloadFailed(release.head, "internal", reported=True)
            case ef.Load(head):
                self.loaded = None
                return ev.PredictFailed(head.head, "internal", self.now_s)
            case ef.Judge(release, _):
                return ev.HealthFailed(release.head, "judge_error", self.now_s)
            case ef.Train() | ef.JudgeCandidate() | ef.Rebase():
                return ev.TrainingFailed("internal")
            case _:
                return None

    def _perform(self, effect: ef.Effect) -> ev.Event | None:
        match effect:
            case ef.Download(release):
                return self._download(release)
            case ef.Verify(release):
                return self._verify(release)
            case ef.Load(head):
                return self._load(head)
            case ef.Judge(release, vouched):
                return self._judge(release, vouched)
            case ef.Leave():
                self.loaded = None
                self._collect()
                return ev.Settled()
            case ef.Collect():
                self._collect()
            case ef.Train():
                return self.world.training().train(self, effect)
            case ef.JudgeCandidate():
                return self.world.training().judge(self, effect)
            case ef.Rebase():
                return self.world.training().rebase(self, effect)
            case ef.CancelTraining():
                self.world.training().cancel()
            case ef.Save() | ef.Refresh():
                pass
        return None

    def _collect(self) -> None:
        try:
            self.store.collect(files(self.state))
        except DeviceStoreError as error:
            self.problem = error

    # Receiving ------------------------------------------------------------------------------------------------

    def receive(self, release: HeldRelease, manifest: VerifiedManifest, downloader: Downloader) -> None:
        """Take an offer whose signed manifest is at hand."""
        self._offer = (manifest, downloader)
        try:
            self.feed(ev.Offered(release, self.now_s))
        finally:
            self._offer = None

    def _download(self, release: HeldRelease) -> ev.Event:
        if self._offer is None:
            return ev.DownloadFailed(release.head, "offer_gone")
        manifest, downloader = self._offer
        try:
            downloader.fetch(self.store, release.manifest, manifest)
        except (TransferError, UntrustedError, DeviceStoreError) as error:
            self.problem = error
            return ev.DownloadFailed(release.head, code_of(error.code), isinstance(error, DeviceStoreError))
        return ev.Downloaded(release.head)

    def _verify(self, release: HeldRelease) -> ev.Event:
        try:
            damage = why_not_sound(self.store, release)
            reason = None if damage else self._why_invalid(release)
        except DeviceStoreError as error:
            self.problem = error
            damage, reason = code_of(error.code), None
        if damage is not None:
            return ev.DownloadFailed(release.head, damage, reported=True)
        if reason is not None:
            return ev.VerifyFailed(release.head, reason, self.now_s)
        return ev.Verified(release.head)

    def _why_invalid(self, release: HeldRelease) -> str | None:
        try:
            from headway.device.models import why_invalid
        except ImportError:
            # Without a Core ML runtime nothing can be loaded either; signatures and digests have been checked.
            return None
        data, labels, golden = (self.release_file(release, p) for p in (HEAD_FILE, LABELS_FILE, GOLDEN_FILE))
        return why_invalid(data or b"", labels, golden, self.world.bundle.contract)

    # Running --------------------------------------------------------------------------------------------------

    def release_file(self, release: HeldRelease, path: str) -> bytes | None:
        """One file of a release in a slot, checked against what was signed; None if it is missing or damaged."""
        if release == self.state.embedded:
            data = self.world.bundle.embedded_file(self.name, path)
            expected = {HEAD_FILE: release.head, LABELS_FILE: release.labels}.get(path)
            return data if data is not None and expected in (None, digest_of(data)) else None
        data = self.store.release_file(release.manifest, path)
        listed = self.store.release_file(release.manifest, MANIFEST_FILE)
        if data is None or listed is None or digest_of(listed) != release.manifest:
            return None
        return data if digest_of(data) == Manifest.from_bytes(listed).file(path).digest else None

    def head_bytes(self, head: HeldRelease | Generation) -> bytes | None:
        """The verified file of a head in a slot."""
        if isinstance(head, Generation):
            return self.store.generation(head.head)
        return self.release_file(head, HEAD_FILE)

    def release_of(self, head: HeldRelease | Generation) -> HeldRelease:
        """The release itself, or the one a generation stands on."""
        if isinstance(head, HeldRelease):
            return head
        slots = (self.state.embedded, self.state.stable, self.state.previous)
        return next((s for s in slots if s is not None and s.head == head.on), self.state.current)

    def load(self, head: HeldRelease | Generation) -> LoadedHead:
        """Load a head from its verified bytes.

        Raises:
            DeviceStoreError: code ``slot_broken``; its files are gone or damaged.
            HeadwayError: it cannot be loaded.
        """
        from headway.device.models import load_head, read_labels

        data, labels = self.head_bytes(head), self.release_file(self.release_of(head), LABELS_FILE)
        if data is None or labels is None:
            raise DeviceStoreError(
                "slot_broken",
                f"The files of the head {self.name} in a slot are missing or damaged.",
                hint="Nothing to do: the device runs the head before it and fetches this one again.",
                name=self.name,
            )
        return load_head(data, read_labels(labels), self.world.bundle.contract)

    def _load(self, head: HeldRelease | Generation) -> ev.Event | None:
        self.tried = head.head
        try:
            self.loaded = self.load(head)
        except DeviceStoreError as error:
            self.loaded, self.problem = None, error
            return ev.SlotBroken(head.head, self.now_s)
        except HeadwayError as error:
            self.loaded, self.problem = None, error
            return ev.PredictFailed(head.head, code_of(error.code), self.now_s)
        return None

    def _judge(self, release: HeldRelease, vouched: bool) -> ev.Event:
        from headway.coreml.golden import read_head_golden
        from headway.device.models import measure

        head, runtime = self.loaded, self.world.runtime()
        if head is None or head.digest != release.head:
            return ev.HealthLater(release.head)
        try:
            golden = read_head_golden(self.release_file(release, GOLDEN_FILE) or b"")
            self.facts = measure(head, len(self.head_bytes(release) or b""), golden, runtime)
        except HeadwayError as error:
            return ev.HealthFailed(release.head, code_of(error.code), self.now_s)
        verdict = judge_health(self.facts, self.world.budget)
        if isinstance(verdict, Unhealthy):
            return ev.HealthFailed(release.head, verdict.reason, self.now_s)
        word = vouched or self.world.approve(self.name, release.release, self.facts)
        if word is None:
            return ev.HealthLater(release.head)
        if not word:
            return ev.HealthFailed(release.head, "app_veto", self.now_s)
        return ev.HealthPassed(release.head, self.now_s)

    def is_busy(self) -> bool:
        """Whether something long is under way."""
        return self.state.activity is not Phase.IDLE

    def held_digests(self) -> frozenset[Digest]:
        """Names of all files that slots need."""
        return files(self.state)


def surprise(error: Exception) -> RefusedError:
    """An error that nobody expected, as one of ours: its kind only, since its text may quote a user's."""
    return RefusedError(
        "internal",
        f"Something failed in a way that was not foreseen ({type(error).__name__}).",
        hint="What runs keeps running. Please report it with the app's log.",
    )


def code_of(code: str) -> str:
    """An error's code as an outcome's detail."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in code.lower())[:64] or "unknown"

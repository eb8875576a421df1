"""The device machine under arbitrary histories: any order of events, restarts and crashes anywhere.

The environment here is hostile on purpose: it offers quarantined, recalled, old and foreign heads, answers late,
repeats itself, and ends the process between any two events. What must hold is checked after every step.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headway.contract.digests import Digest, digest_of
from headway.device import events as ev
from headway.device import record
from headway.device.effects import Save
from headway.device.machine import RULES, advance, files, initial_state
from headway.device.state import DeviceState, Generation, HeldRelease, Host, Identity, Phase

BASES = [digest_of(b"base 1"), digest_of(b"base 2")]
BUILDS = ["22A100", "22B200"]
DAY = 86_400


def head_digest(number: int) -> Digest:
    return digest_of(f"head {number}".encode())


def held(release: int, base: Digest = BASES[0], *, bytes_of: int | None = None, rebase: str = "replay") -> HeldRelease:
    """Release ``release``; ``bytes_of`` gives it the head bytes of an older release."""
    return HeldRelease(
        release=release,
        head=head_digest(bytes_of or release),
        base=base,
        manifest=digest_of(f"manifest {release} {base}".encode()),
        labels=digest_of(b"labels"),
        rebase=rebase,
    )


releases = st.builds(
    held,
    st.integers(1, 9),
    st.sampled_from(BASES),
    bytes_of=st.none() | st.integers(1, 9),
    rebase=st.sampled_from(["replay", "merge", "keep", "discard"]),
)


class DeviceMachine(RuleBasedStateMachine):
    """One device, one head, and a world that does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000
        self.host = Host(BASES[0], BUILDS[0])
        self.embedded = held(0, BASES[0])
        identity = Identity("notes", "stable", "topic", "5f" * 16)
        self.state: DeviceState = initial_state(identity, self.host, self.embedded)
        self.disk = record.to_bytes(self.state)
        self.crashes: dict[Digest, int] = {}
        self.reported: set[str] = set()
        self.number = 0

    def feed(self, event: ev.Event) -> None:
        before = self.state
        again = advance(before, event)
        self.state, effects = advance(before, event)
        assert (self.state, effects) == again, "advance is a function"
        saves = [i for i, effect in enumerate(effects) if isinstance(effect, Save)]
        changed = before.durable != self.state.durable
        assert saves == ([0] if changed else []), "save first, and exactly when something durable changed"
        if changed:
            self.disk = record.to_bytes(self.state)
        if not isinstance(event, ev.OutcomesSent):
            kept = {o.event for o in before.outcomes}
            assert kept <= {o.event for o in self.state.outcomes}, "no outcome is lost"
        was = before.floor
        accepted = self.state.target
        if accepted is not None and accepted != before.target:
            assert was is None or accepted.release >= was.release or was.head in self.state.recalled
            assert accepted.release > before.current.release

    def restart(self, host: Host, embedded: HeldRelease) -> None:
        self.host, self.embedded = host, embedded
        self.state = record.from_bytes(self.disk)
        self.feed(ev.Launched(host, embedded, self.now))

    # The world ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 3600, DAY, 8 * DAY, -DAY, 400 * DAY]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def user_kills_the_app(self) -> None:
        """A kill while nothing is loading must cost nothing."""
        before = self.state
        self.restart(self.host, self.embedded)
        if before.pending is None and before.activity in (Phase.IDLE, Phase.CHECKING):
            for slot in ("stable", "trial", "staged", "personal"):
                assert getattr(self.state, slot) == getattr(before, slot) or self.broke_loop(before)

    def broke_loop(self, before: DeviceState) -> bool:
        return before.saves >= RULES.max_saves

    @precondition(lambda self: self.state.pending is not None)
    @rule()
    def the_process_crashes_while_loading(self) -> None:
        head = self.state.pending
        assert head is not None
        was_trial = self.state.trial is not None and self.state.trial.head == head
        if was_trial:
            self.crashes[head] = self.crashes.get(head, 0) + 1
        self.restart(self.host, self.embedded)
        if was_trial and self.crashes[head] >= RULES.attempts:
            assert self.state.is_quarantined(head, self.now), "three crashes, then quarantine"
            self.crashes[head] = 0

    @rule(base=st.sampled_from(BASES), build=st.sampled_from(BUILDS), release=st.integers(0, 5))
    def the_app_or_the_system_is_updated(self, base: Digest, build: str, release: int) -> None:
        if build != self.host.os_build:
            self.crashes.clear()
        self.restart(Host(base, build), held(release, base))

    @rule()
    def clean_exit(self) -> None:
        self.feed(ev.Exiting())
        self.restart(self.host, self.embedded)

    # Receiving ------------------------------------------------------------------------------------------------

    @rule()
    def check(self) -> None:
        self.feed(ev.CheckStarted())

    @rule()
    def check_ends(self) -> None:
        self.feed(ev.CheckEnded())

    @rule(
        recalled=st.frozensets(st.integers(1, 9).map(head_digest), max_size=2),
        directive=st.sampled_from(["allow", "allow", "hold", "discard"]),
    )
    def channel(self, recalled: frozenset[Digest], directive: str) -> None:
        self.feed(ev.ChannelSeen(recalled, directive, self.now))
        if directive == "discard":
            assert not self.state.personal_heads()

    @rule(release=releases)
    def offer(self, release: HeldRelease) -> None:
        self.feed(ev.CheckStarted())
        self.feed(ev.Offered(release, self.now))

    @rule(release=releases)
    def offer_and_stage(self, release: HeldRelease) -> None:
        trial = self.state.trial
        self.offer(release)
        self.feed(ev.Downloaded(release.head))
        self.feed(ev.Verified(release.head))
        assert self.state.trial == trial, "a staged release never replaces the one being tried"

    @rule(release=releases)
    def downloaded(self, release: HeldRelease) -> None:
        self.feed(ev.Downloaded((self.state.target or release).head))

    @rule(reported=st.booleans())
    def download_fails(self, reported: bool) -> None:
        self.feed(ev.DownloadFailed((self.state.target or held(1)).head, "disk_full", reported))

    @rule(good=st.booleans())
    def verify(self, good: bool) -> None:
        head = (self.state.target or held(1)).head
        self.feed(ev.Verified(head) if good else ev.VerifyFailed(head, "invalid_model", self.now))

    @rule(release=releases)
    def withdraw(self, release: HeldRelease) -> None:
        self.feed(ev.Withdrawn((self.state.staged or release).head, "halted"))

    # Running --------------------------------------------------------------------------------------------------

    @rule()
    def ask(self) -> None:
        self.feed(ev.PredictAsked(self.now))
        assert self.state.loaded == self.state.running.head
        attempts = self.state.attempts
        assert attempts is None or attempts.left >= 0

    @rule(times=st.integers(1, 4))
    def predict(self, times: int) -> None:
        for _ in range(times):
            self.feed(ev.PredictAsked(self.now))
            self.feed(ev.Predicted(self.state.running.head, self.now))

    @rule(release=releases)
    def late_answer(self, release: HeldRelease) -> None:
        before = self.state
        if release.head != before.running.head:
            self.feed(ev.Predicted(release.head, self.now))
            assert self.state == before, "an answer of another head changes nothing"

    @rule()
    def prediction_fails(self) -> None:
        self.feed(ev.PredictAsked(self.now))
        self.feed(ev.PredictFailed(self.state.running.head, "not_finite", self.now))

    @rule(verdict=st.sampled_from(["passed", "failed", "later"]))
    def judged(self, verdict: str) -> None:
        head = self.state.running.head
        trial = self.state.trial
        if verdict == "passed":
            self.feed(ev.HealthPassed(head, self.now))
            if trial is not None:
                assert self.state.stable == trial
        elif verdict == "failed":
            self.feed(ev.HealthFailed(head, "golden_batch", self.now))
            if trial is not None:
                assert self.state.is_quarantined(head, self.now)
                self.crashes[head] = 0
        else:
            self.feed(ev.HealthLater(head))

    @rule()
    def app_confirms(self) -> None:
        """Its word alone confirms nothing: the judge is called, and only for a head that has answered."""
        before = self.state
        self.feed(ev.ConfirmAsked())
        assert (self.state.trial, self.state.stable) == (before.trial, before.stable)
        answered = before.trial is not None and before.loaded == before.trial.head and before.pending is None
        assert (self.state.pending is not None) == (answered or before.pending is not None)

    @rule()
    def app_rolls_back(self) -> None:
        previous, was_stable, trial = self.state.previous, self.state.stable, self.state.trial
        self.feed(ev.RollBackAsked("app_veto", self.now))
        if trial is None and was_stable is not None and previous is not None and previous.head != was_stable.head:
            assert self.state.stable == previous, "a late roll back goes to the release before"

    @rule()
    def slot_breaks(self) -> None:
        self.feed(ev.SlotBroken(self.state.running.head, self.now))

    @rule()
    def settle(self) -> None:
        self.feed(ev.Settled())
        assert self.state.leaving is None

    # Training -------------------------------------------------------------------------------------------------

    def candidate(self, on: Digest, policy: str = "personalised") -> Generation:
        self.number += 1
        head = digest_of(f"personal {self.number}".encode())
        return Generation(self.number, head, self.state.host.base, on, on, policy, 50, 20, 1000)

    @rule()
    def training_starts(self) -> None:
        self.feed(ev.TrainingStarted(self.now))
        assert self.state.activity is not Phase.PERSONALISING or self.state.directive == "allow"

    @rule(stale=st.booleans())
    def training_ends(self, stale: bool) -> None:
        self.feed(ev.Trained(self.candidate(head_digest(99) if stale else self.state.current.head)))

    @rule()
    def training_fails(self) -> None:
        self.feed(ev.TrainingFailed("cancelled"))

    @rule(good=st.booleans())
    def candidate_judged(self, good: bool) -> None:
        candidate, before = self.state.candidate, self.state.generation
        if candidate is None:
            return
        self.feed(
            ev.GenerationAccepted(candidate.head, "1-5") if good else ev.GenerationRejected(candidate.head, "worse")
        )
        if good and self.state.generation == candidate:
            assert self.state.personal_before == before, "k−1 is kept"
            self.feed(ev.GenerationDropped("app"))
            assert self.state.generation == before

    @rule()
    def train_and_accept(self) -> None:
        self.feed(ev.TrainingStarted(self.now))
        if self.state.activity is Phase.PERSONALISING:
            self.training_ends(False)
            self.candidate_judged(True)

    @rule(kept=st.booleans())
    def rebase(self, kept: bool) -> None:
        self.feed(ev.RebaseStarted(self.now))
        if self.state.activity is Phase.REBASING:
            on = self.state.current.head
            self.feed(ev.Rebased(on, self.candidate(on, "merge") if kept else None, "merge", "none"))
            assert self.state.rebase_due is None

    @rule()
    def rebase_starts(self) -> None:
        self.feed(ev.RebaseStarted(self.now))

    @rule()
    def forget(self) -> None:
        self.feed(ev.PersonalForgotten())
        assert not self.state.personal_heads()

    @rule()
    def outcomes_leave(self) -> None:
        events = frozenset(o.event for o in self.state.outcomes)
        assert not events & self.reported, "an event key is used once"
        self.reported |= events
        self.feed(ev.OutcomesSent(events))

    # What always holds ----------------------------------------------------------------------------------------

    @invariant()
    def one_head_that_may_run(self) -> None:
        state, running = self.state, self.state.running
        assert running.base == state.host.base, "rule 2"
        if running == state.embedded:
            return
        assert running.head not in state.recalled
        if isinstance(running, HeldRelease):
            assert not state.is_quarantined(running.head, self.now)
        else:
            assert running.on == state.current.head
            assert running.on not in state.recalled or state.current == state.embedded

    @invariant()
    def attempts_are_bounded(self) -> None:
        for attempts in (self.state.attempts, self.state.checks):
            assert attempts is None or 0 <= attempts.left <= RULES.attempts
        assert 0 <= self.state.training_left <= RULES.attempts

    @invariant()
    def pending_is_what_runs(self) -> None:
        assert self.state.pending is None or self.state.pending == self.state.running.head

    @invariant()
    def the_record_is_the_state(self) -> None:
        assert record.from_bytes(self.disk) == self.state.durable

    @invariant()
    def a_launch_is_idempotent(self) -> None:
        once, _ = advance(self.state, ev.Launched(self.host, self.embedded, self.now))
        if once.saves and once.saves < RULES.max_saves:
            twice, effects = advance(once, ev.Launched(self.host, self.embedded, self.now))
            assert twice == once
            assert Save() not in effects

    @invariant()
    def folders_are_few(self) -> None:
        assert len(files(self.state)) <= 8


DeviceMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestDeviceMachine = DeviceMachine.TestCase

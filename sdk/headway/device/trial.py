"""Pure transitions of running a head: first prediction, trial, confirm, roll back."""

from __future__ import annotations

from dataclasses import replace

from headway.contract.digests import Digest
from headway.device import events as ev
from headway.device.effects import Judge, Load
from headway.device.slots import Step, give_back, leave, lower, note, prune_personal, quarantine, without
from headway.device.state import DeviceState, Floor, HeldRelease, Rules


def predict_asked(state: DeviceState, rules: Rules) -> Step:
    """Open the trial of a staged head at its first prediction (rule 4); have the running head loaded.

    Every head but the embedded one carries the pending mark during its first load in a process: a system update can
    make the loader abort on a head that was good for months.
    """
    if state.trial is None and state.staged is not None:
        state = replace(state, trial=state.staged, staged=None, live=0)
    head = state.running
    if state.loaded == head.head:
        return state, ()
    if head == state.embedded:
        return replace(state, loaded=head.head), (Load(head),)
    attempts = lower(state.attempts, head.head, rules)
    return replace(state, loaded=head.head, pending=head.head, attempts=attempts), (Load(head),)


def predicted(state: DeviceState, event: ev.Predicted, rules: Rules) -> Step:
    """A good prediction clears the pending mark; enough of them in a trial call the judge, unless the app does."""
    if event.head != state.running.head or state.loaded != event.head:
        return state, ()
    trial = state.trial
    if trial is None:
        return replace(state, pending=None, attempts=None), ()
    attempts = give_back(state.attempts, rules) if state.pending is not None else state.attempts
    live = min(state.live + 1, rules.live_predictions)
    state = replace(state, pending=None, attempts=attempts, live=live)
    if live < rules.live_predictions or rules.explicit_confirm:
        return state, ()
    return _judge(state, trial, rules, vouched=False)


def confirm_asked(state: DeviceState, rules: Rules) -> Step:
    """The app vouches for the head on trial: judge it now. One that has not yet answered in this process is not."""
    trial = state.trial
    if trial is None or state.loaded != trial.head or state.pending is not None:
        return state, ()
    return _judge(state, trial, rules, vouched=True)


def _judge(state: DeviceState, trial: HeldRelease, rules: Rules, *, vouched: bool) -> Step:
    # Judging runs the head over a whole batch: a crash in it counts like a crash in the first load.
    attempts = lower(state.attempts, trial.head, rules)
    return replace(state, pending=trial.head, attempts=attempts), (Judge(trial, vouched),)


def predict_failed(state: DeviceState, event: ev.PredictFailed, rules: Rules) -> Step:
    """A head on trial fails at once; one that was good before has its attempts."""
    if event.head != state.running.head:
        return state, ()
    if state.trial is not None:
        return _fail_release(state, event.head, event.reason, event.now_s, rules)
    if state.running == state.embedded:
        return replace(state, loaded=None), ()
    attempts = state.attempts if state.pending == event.head else lower(state.attempts, event.head, rules)
    state = replace(state, pending=None, loaded=None, attempts=attempts)
    if attempts is not None and attempts.left > 0:
        return state, ()
    return give_up_running(state, event.reason, event.now_s, rules)


def give_up_running(state: DeviceState, reason: str, now_s: int, rules: Rules) -> Step:
    """Leave the running head for the one before it: generation k → k−1 → release → release before → embedded."""
    if state.trial is None and state.generation is not None:
        return generation_dropped(state, reason, rules)
    return _fail_release(state, state.running.head, reason, now_s, rules)


def _fail_release(state: DeviceState, head: Digest, reason: str, now_s: int, rules: Rules) -> Step:
    failed = state.trial or state.stable
    if failed is None or failed.head != head:
        return state, ()
    new = note(state, rules, "rolled_back", failed, detail=reason)
    new = without(quarantine(new, rules, head, now_s), {head})
    return leave(state, new)


def generation_dropped(state: DeviceState, reason: str, rules: Rules) -> Step:
    """Go from generation k to k−1, or to the release."""
    dropped = state.generation
    if dropped is None:
        return state, ()
    new = note(state, rules, "rolled_back", state.current, detail=reason)
    return leave(state, prune_personal(new, {dropped.head}))


def slot_broken(state: DeviceState, event: ev.SlotBroken, rules: Rules) -> Step:
    """The files, not the release, are bad: let go without quarantine, so that it can be fetched again."""
    new = state
    if event.head == state.running.head and state.running != state.embedded:
        new = note(state, rules, "rolled_back", state.trial or state.current, detail="slot_broken")
    return leave(state, without(new, {event.head}))


def health_passed(state: DeviceState, event: ev.HealthPassed, rules: Rules) -> Step:
    """Confirm: the trial becomes ``stable``, the stable before it is kept for a late roll back (rule 11)."""
    trial = state.trial
    if trial is None or trial.head != event.head:
        return state, ()
    new = note(state, rules, "confirmed", trial)
    staged = state.staged if state.staged is not None and state.staged.release > trial.release else None
    carried = state.personal is not None and state.personal.on != trial.head
    new = replace(
        new,
        stable=trial,
        previous=state.stable if state.stable is not None and state.stable.head != trial.head else state.previous,
        trial=None,
        staged=staged,
        live=0,
        pending=None,
        attempts=None,
        floors=_raised(state, trial.release, trial.head),
        rebase_due=trial.rebase if carried else None,
        training_left=rules.attempts,
    )
    if carried and trial.rebase == "discard":
        new = replace(new, rebase_due=None, personal=None, personal_before=None)
    return prune_personal(new), ()


def _raised(state: DeviceState, release: int, head: Digest) -> tuple[Floor, ...]:
    old = state.floor
    others = tuple(f for f in state.floors if f.base != state.host.base)
    if old is not None and old.release > release and old.head not in state.recalled:
        return state.floors
    return (*others, Floor(state.host.base, release, head))[-8:]


def health_failed(state: DeviceState, event: ev.HealthFailed, rules: Rules) -> Step:
    """The judge said no: quarantine and go back."""
    if state.trial is None or state.trial.head != event.head:
        return state, ()
    return _fail_release(state, event.head, event.reason, event.now_s, rules)


def health_later(state: DeviceState, event: ev.HealthLater, rules: Rules) -> Step:
    """Judge again after as many predictions more."""
    if state.trial is None or state.trial.head != event.head:
        return state, ()
    return replace(state, live=0, pending=None, attempts=give_back(state.attempts, rules)), ()


def roll_back_asked(state: DeviceState, event: ev.RollBackAsked, rules: Rules) -> Step:
    """The app orders off the release that runs, or the one its generation stands on."""
    failed = state.trial or state.stable
    if failed is None:
        return state, ()
    return _fail_release(state, failed.head, event.reason, event.now_s, rules)


def exiting(state: DeviceState, rules: Rules) -> Step:
    """A clean exit is no crash: the pending mark goes, the try does not count."""
    if state.pending is None:
        return replace(state, loaded=None), ()
    return replace(state, pending=None, loaded=None, attempts=give_back(state.attempts, rules)), ()


def settled(state: DeviceState) -> Step:
    """The head that was given up is gone."""
    return replace(state, leaving=None), ()

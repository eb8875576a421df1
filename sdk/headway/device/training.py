"""Pure transitions of training on the device: personalise, judge, accept, rebase."""

from __future__ import annotations

from dataclasses import replace

from headway.device import events as ev
from headway.device.effects import CancelTraining, JudgeCandidate, Rebase, Train
from headway.device.receive import TRAINING
from headway.device.slots import Step, leave, note, prune_personal
from headway.device.state import DeviceState, Phase, Rules


def why_no_training(state: DeviceState, now_s: int) -> str | None:
    """The reason code against personalising now, or None. The one place that decides it."""
    if state.directive != "allow":
        return f"directive_{state.directive}"
    if state.activity is not Phase.IDLE:
        return "busy"
    if state.trial is not None or state.staged is not None:
        return "trial_open"
    if state.rebase_due is not None:
        return "rebase_due"
    return "resting" if _resting(state, now_s) else None


def why_no_rebase(state: DeviceState, now_s: int) -> str | None:
    """The reason code against rebasing now, or None."""
    if state.rebase_due is None or state.personal is None:
        return "nothing_to_rebase"
    if state.directive != "allow":
        return f"directive_{state.directive}"
    if state.activity is not Phase.IDLE:
        return "busy"
    return "trial_open" if state.trial is not None else None


def _resting(state: DeviceState, now_s: int) -> bool:
    return state.training_left == 0 and now_s < state.training_after_s


def training_started(state: DeviceState, event: ev.TrainingStarted, rules: Rules) -> Step:
    """Begin to train from the head that runs. The try is counted first: training may run out of memory."""
    if why_no_training(state, event.now_s) is not None:
        return state, ()
    left = state.training_left if state.training_left > 0 else rules.attempts
    number = state.generations + 1
    new = replace(
        state,
        activity=Phase.PERSONALISING,
        generations=number,
        training_left=left - 1,
        training_after_s=event.now_s + rules.training_rest_s,
    )
    return new, (Train(state.running, number),)


def trained(state: DeviceState, event: ev.Trained) -> Step:
    """A candidate is written: judge it."""
    candidate = event.candidate
    fits = candidate.on == state.current.head and candidate.base == state.host.base
    if state.activity is not Phase.PERSONALISING:
        return state, ()
    if not fits:
        return replace(state, activity=Phase.IDLE), ()
    return replace(state, activity=Phase.JUDGING, candidate=candidate), (JudgeCandidate(candidate),)


def training_failed(state: DeviceState, rules: Rules) -> Step:
    """Training ended without a candidate, in good order: nothing changes, and the try does not count."""
    if state.activity not in TRAINING:
        return state, ()
    left = min(state.training_left + 1, rules.attempts)
    return replace(state, activity=Phase.IDLE, candidate=None, training_left=left), ()


def generation_accepted(state: DeviceState, event: ev.GenerationAccepted, rules: Rules) -> Step:
    """The candidate becomes generation k; k−1 is kept."""
    candidate = state.candidate
    if state.activity is not Phase.JUDGING or candidate is None or candidate.head != event.head:
        return state, ()
    if candidate.on != state.current.head:
        return replace(state, activity=Phase.IDLE, candidate=None), ()
    new = note(state, rules, "personalised", state.current, gain=event.gain)
    new = replace(
        new,
        activity=Phase.IDLE,
        personal=candidate,
        personal_before=state.generation,
        candidate=None,
        training_left=rules.attempts,
    )
    return prune_personal(new), ()


def generation_rejected(state: DeviceState, event: ev.GenerationRejected, rules: Rules) -> Step:
    """The candidate goes; generation k−1, which still runs, stays."""
    candidate = state.candidate
    if state.activity is not Phase.JUDGING or candidate is None or candidate.head != event.head:
        return state, ()
    new = note(state, rules, "personalised", state.current, gain=event.gain)
    return replace(new, activity=Phase.IDLE, candidate=None, training_left=rules.attempts), ()


def personal_forgotten(state: DeviceState) -> Step:
    """The user's wish: no generation stays."""
    cancelled = (CancelTraining(),) if state.activity in TRAINING else ()
    activity = Phase.IDLE if cancelled else state.activity
    new = replace(state, personal=None, personal_before=None, candidate=None, rebase_due=None, activity=activity)
    settled, effects = leave(state, prune_personal(new))
    return settled, (*cancelled, *effects)


def rebase_started(state: DeviceState, event: ev.RebaseStarted, rules: Rules) -> Step:
    """Begin to carry the personal head over to the release that stands now."""
    personal, policy = state.personal, state.rebase_due
    if why_no_rebase(state, event.now_s) is not None or personal is None or policy is None:
        return state, ()
    left = state.training_left if state.training_left > 0 else rules.attempts
    number = state.generations + 1
    new = replace(state, activity=Phase.REBASING, generations=number, training_left=left - 1)
    return new, (Rebase(personal, state.current, policy, number),)


def rebased(state: DeviceState, event: ev.Rebased, rules: Rules) -> Step:
    """The best candidate stands on the new release; the old generation stays beside it for a late roll back."""
    if state.activity is not Phase.REBASING:
        return state, ()
    new = replace(state, activity=Phase.IDLE, training_left=rules.attempts)
    generation = event.generation
    if event.on != state.current.head or (generation is not None and generation.on != event.on):
        return new, ()
    new = note(new, rules, "rebased", state.current, detail=event.policy, gain=event.gain)
    if generation is None:
        return prune_personal(replace(new, rebase_due=None)), ()
    new = replace(new, rebase_due=None, personal=generation, personal_before=state.personal)
    return prune_personal(new), ()

"""Pure transition of a launch: one action per phase in which the last process ended (rule 10).

| found | action |
|---|---|
| idle, checking | nothing was under way on disk |
| downloading | forget the target; fetched parts stay for a resume |
| verifying | forget the target; its check was counted, none left means quarantine |
| staged, trial, confirmed, without pending mark | nothing: an exit or a kill is no crash |
| trial, pending | a crash: none of the attempts left means quarantine and roll back |
| confirmed or personal, pending | the same, counted only in a row |
| rolling back | finished: the slots were changed before, strays are removed |
| personalising, judging | the candidate goes; none of the tries left means a rest |
| rebasing | still due; none of the tries left means the release without it |
| unknown | the record's reader rolls back: what is on trial or staged goes |
"""

from __future__ import annotations

from dataclasses import replace

from headway.device import events as ev
from headway.device.effects import Collect
from headway.device.slots import Step, note, prune_personal, quarantine, without
from headway.device.state import DeviceState, Phase, Rules
from headway.device.trial import give_up_running


def launched(state: DeviceState, event: ev.Launched, rules: Rules) -> Step:
    """Clear up after the last process and fit the record to what is present now."""
    pending, found = state.pending, state.activity
    if event.host.os_build != state.host.os_build:
        # Another system: what failed or crashed before may work, and the other way round.
        state = replace(state, attempts=None, checks=None)
        pending = None
    new = replace(state, host=event.host, embedded=event.embedded, loaded=None, leaving=None, activity=Phase.IDLE)
    new = _end_activity(new, found, event.now_s, rules)
    new = _only_present_base(new, rules)
    new = _newer_than_embedded(new)
    new = _sane_quarantine(new, event.now_s, rules)
    if pending is not None and new.pending == pending:
        new = _count_crash(new, event.now_s, rules)
    return replace(new, pending=None, leaving=None), (Collect(),)


def _end_activity(state: DeviceState, found: Phase, now_s: int, rules: Rules) -> DeviceState:
    target = state.target
    state = replace(state, target=None, candidate=None)
    match found:
        case Phase.VERIFYING if target is not None and state.checks is not None and state.checks.left == 0:
            state = note(state, rules, "refused", target, detail="verify_crashed")
            return replace(quarantine(state, rules, target.head, now_s), checks=None)
        case Phase.REBASING if state.training_left == 0:
            state = note(state, rules, "rebased", state.current, detail="crashed", gain="none")
            return prune_personal(replace(state, rebase_due=None, training_left=rules.attempts))
        case _:
            return state


def _only_present_base(state: DeviceState, rules: Rules) -> DeviceState:
    """Rule 2: an app update may have brought another base; what was proven on the old one cannot run."""
    foreign = tuple(r for r in state.releases() if r.base != state.host.base)
    for release in foreign:
        if release in (state.trial, state.stable, state.staged):
            state = note(state, rules, "refused", release, detail="base_not_present")
    keep = {r.head for r in state.releases() if r.base == state.host.base}
    state = without(state, {r.head for r in foreign} - keep)
    slots = {name: None for name in ("trial", "stable", "previous", "staged") if getattr(state, name) in foreign}
    return prune_personal(replace(state, **slots))  # type: ignore[arg-type]


def _newer_than_embedded(state: DeviceState) -> DeviceState:
    """An app update may bring a newer head than the one delivered before."""
    kept = [r for r in (state.stable, state.previous) if r is not None and r.release > state.embedded.release]
    trial, staged = (
        r if r is not None and r.release > state.embedded.release else None for r in (state.trial, state.staged)
    )
    return prune_personal(
        replace(
            state,
            stable=kept[0] if kept else None,
            previous=kept[1] if len(kept) > 1 else None,
            trial=trial,
            staged=staged,
            live=state.live if trial is not None else 0,
        )
    )


def _sane_quarantine(state: DeviceState, now_s: int, rules: Rules) -> DeviceState:
    """Entries that are over go; one from a clock that was years ahead ends no later than a fresh one would."""
    latest = now_s + rules.quarantine_s
    entries = tuple(replace(q, until_s=min(q.until_s, latest)) for q in state.quarantine if q.until_s > now_s)
    return replace(
        state, quarantine=entries, training_after_s=min(state.training_after_s, now_s + rules.training_rest_s)
    )


def _count_crash(state: DeviceState, now_s: int, rules: Rules) -> DeviceState:
    attempts = state.attempts
    if attempts is None or attempts.head != state.running.head or attempts.left > 0:
        return state
    return give_up_running(state, "crashed", now_s, rules)[0]

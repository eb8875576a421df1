"""Pure transitions of receiving a release: check, channel, offer, download, verify, stage."""

from __future__ import annotations

from dataclasses import replace

from headway.device import events as ev
from headway.device.effects import CancelTraining, Download, Refresh, Verify
from headway.device.slots import Step, leave, lower, note, prune_personal, quarantine, without
from headway.device.state import DeviceState, HeldRelease, Phase, Rules

TRAINING = frozenset({Phase.PERSONALISING, Phase.JUDGING, Phase.REBASING})


def check_started(state: DeviceState) -> Step:
    """Begin a poll, unless something else is under way."""
    if state.activity is not Phase.IDLE:
        return state, ()
    return replace(state, activity=Phase.CHECKING), (Refresh(),)


def check_ended(state: DeviceState) -> Step:
    """End a poll that found nothing to take."""
    if state.activity is not Phase.CHECKING:
        return state, ()
    return replace(state, activity=Phase.IDLE), ()


def channel_seen(state: DeviceState, event: ev.ChannelSeen, rules: Rules) -> Step:
    """Obey recalls and the directive at once, and raise the clock floor."""
    stepped = event.now_s - event.now_s % rules.clock_step_s
    new = replace(
        state,
        recalled=tuple(sorted(event.recalled)),
        directive=event.directive,
        clock_floor_s=max(state.clock_floor_s, stepped),
    )
    slots = (("trial", state.trial), ("staged", state.staged), ("stable", state.stable), ("previous", state.previous))
    for name, slot in slots:
        if slot is not None and slot.head in event.recalled:
            new = note(new, rules, "recalled", slot, detail=name)
    new = without(new, event.recalled)
    if event.directive != "discard":
        return leave(state, new)
    return _discard_personal(state, new)


def _discard_personal(old: DeviceState, new: DeviceState) -> Step:
    cancelled = (CancelTraining(),) if new.activity in TRAINING else ()
    activity = Phase.IDLE if cancelled else new.activity
    new = replace(new, personal=None, personal_before=None, candidate=None, rebase_due=None, activity=activity)
    settled, effects = leave(old, prune_personal(new))
    return settled, (*cancelled, *effects)


def withdrawn(state: DeviceState, event: ev.Withdrawn, rules: Rules) -> Step:
    """Let go of a staged head that nobody has tried."""
    if state.staged is None or state.staged.head != event.head:
        return state, ()
    new = note(state, rules, "refused", state.staged, detail=event.reason)
    return replace(new, staged=None), ()


def acceptable(state: DeviceState, release: HeldRelease, now_s: int) -> bool:
    """Whether the machine lets a release in, whoever offers it (rules 2, 6, 7)."""
    floor = state.floor
    above_floor = floor is None or release.release >= floor.release or floor.head in state.recalled
    return (
        release.base == state.host.base
        and release.release > state.current.release
        and above_floor
        and release.head not in state.recalled
        and not state.is_quarantined(release.head, now_s)
        and all(slot is None or slot.manifest != release.manifest for slot in (state.trial, state.staged))
    )


def offered(state: DeviceState, event: ev.Offered, rules: Rules) -> Step:
    """Take an offer: it becomes the target, and is fetched."""
    if state.activity is not Phase.CHECKING:
        return state, ()
    if not acceptable(state, event.release, event.now_s):
        return replace(state, activity=Phase.IDLE), ()
    return replace(state, activity=Phase.DOWNLOADING, target=event.release), (Download(event.release),)


def downloaded(state: DeviceState, event: ev.Downloaded, rules: Rules) -> Step:
    """All files are there: verify. The try is counted first, since a hostile model may end the process."""
    target = state.target
    if state.activity is not Phase.DOWNLOADING or target is None or target.head != event.head:
        return state, ()
    checks = lower(state.checks, target.head, rules)
    return replace(state, activity=Phase.VERIFYING, checks=checks), (Verify(target),)


def download_failed(state: DeviceState, event: ev.DownloadFailed, rules: Rules) -> Step:
    """Forget the target; what was fetched of it stays for a resume. Also while verifying: a disk may fail then too."""
    target = state.target
    receiving = state.activity in (Phase.DOWNLOADING, Phase.VERIFYING)
    if not receiving or target is None or target.head != event.head:
        return state, ()
    new = note(state, rules, "refused", target, detail=event.reason) if event.reported else state
    return replace(new, activity=Phase.IDLE, target=None), ()


def verified(state: DeviceState, event: ev.Verified, rules: Rules) -> Step:
    """Stage the target. An open trial goes on; a staged head that nobody tried is replaced (rule 8)."""
    target = state.target
    if state.activity is not Phase.VERIFYING or target is None or target.head != event.head:
        return state, ()
    new = note(state, rules, "installed", target)
    return replace(new, activity=Phase.IDLE, target=None, staged=target, checks=None), ()


def verify_failed(state: DeviceState, event: ev.VerifyFailed, rules: Rules) -> Step:
    """The signed bytes cannot work here: report once, keep away for a while."""
    target = state.target
    if state.activity is not Phase.VERIFYING or target is None or target.head != event.head:
        return state, ()
    new = note(state, rules, "refused", target, detail=event.reason)
    new = quarantine(new, rules, target.head, event.now_s)
    return replace(new, activity=Phase.IDLE, target=None, checks=None), ()

"""The device machine: ``advance(state, event) -> (state, effects)``. Pure, total, and the same in Swift.

What always holds, whatever the order of events:

- exactly one head may run, at the least the embedded one; never one that is recalled, in quarantine or of another base;
- a state that differs on disk is saved before any other effect (``Save`` comes first);
- an event that does not fit the state changes nothing: late answers of work that was given up are harmless.

The machine reads no clock, no file and no random source; times come with events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from headway.contract.digests import Digest
from headway.device import events as ev
from headway.device import receive, restart, training, trial
from headway.device.effects import Collect, Effect, Leave, Save
from headway.device.slots import Step, note, quarantine
from headway.device.state import DeviceState, HeldRelease, Host, Identity, Rules

RULES = Rules()


def initial_state(identity: Identity, host: Host, embedded: HeldRelease) -> DeviceState:
    """The state of a device that has nothing but its app."""
    return DeviceState(identity=identity, host=host, embedded=embedded)


def advance(state: DeviceState, event: ev.Event, rules: Rules = RULES) -> tuple[DeviceState, tuple[Effect, ...]]:
    """What becomes of ``state`` at ``event``, and what to do, in this order."""
    new, effects = _step(state, event, rules)
    new, effects = _count_saves(state, new, effects, event, rules)
    removable = files(state) - files(new)
    if removable and not any(isinstance(e, Leave | Collect) for e in effects):
        effects = (*effects, Collect())
    if new.durable != state.durable:
        effects = (Save(), *effects)
    return new, effects


def files(state: DeviceState) -> frozenset[Digest]:
    """Names of the folders and files that slots need: manifests of releases, heads of generations."""
    return frozenset({r.manifest for r in state.releases()} | {g.head for g in state.personal_heads()})


def _count_saves(
    old: DeviceState, new: DeviceState, effects: tuple[Effect, ...], event: ev.Event, rules: Rules
) -> Step:
    """Rule 9. A launch is no progress: only coming to rest by work done resets the counter.

    The breaker opens at a launch, where loops close: within one process nothing repeats unless the app asks.
    """
    if new.durable == old.durable:
        return new, effects
    if not isinstance(event, ev.Launched):
        return replace(new, saves=0 if new.at_rest else new.saves + 1), effects
    new = replace(new, saves=new.saves + 1)
    if new.saves > rules.max_saves:
        return _break_loop(new, event.now_s, rules), (Collect(),)
    return new, effects


def _break_loop(state: DeviceState, now_s: int, rules: Rules) -> DeviceState:
    """Give everything up but the embedded head, what was ever confirmed, and the queue of outcomes."""
    suspects = [r for r in (state.trial, state.staged) if r is not None]
    state = note(state, rules, "rolled_back", suspects[0] if suspects else state.current, detail="loop")
    for suspect in suspects:
        state = quarantine(state, rules, suspect.head, now_s)
    return DeviceState(
        identity=state.identity,
        host=state.host,
        embedded=state.embedded,
        generations=state.generations,
        floors=state.floors,
        quarantine=state.quarantine,
        recalled=state.recalled,
        directive=state.directive,
        clock_floor_s=state.clock_floor_s,
        outcomes=state.outcomes,
        sequence=state.sequence,
    )


def _step(state: DeviceState, event: ev.Event, rules: Rules) -> Step:
    match event:
        case ev.Launched():
            return restart.launched(state, event, rules)
        case ev.Exiting():
            return trial.exiting(state, rules)
        case ev.CheckStarted():
            return receive.check_started(state)
        case ev.CheckEnded():
            return receive.check_ended(state)
        case ev.ChannelSeen():
            return receive.channel_seen(state, event, rules)
        case ev.Withdrawn():
            return receive.withdrawn(state, event, rules)
        case ev.Offered():
            return receive.offered(state, event, rules)
        case ev.Downloaded():
            return receive.downloaded(state, event, rules)
        case ev.DownloadFailed():
            return receive.download_failed(state, event, rules)
        case ev.Verified():
            return receive.verified(state, event, rules)
        case ev.VerifyFailed():
            return receive.verify_failed(state, event, rules)
        case _:
            return _step_running(state, event, rules)


def _step_running(state: DeviceState, event: ev.Running, rules: Rules) -> Step:
    match event:
        case ev.PredictAsked():
            return trial.predict_asked(state, rules)
        case ev.Predicted():
            return trial.predicted(state, event, rules)
        case ev.PredictFailed():
            return trial.predict_failed(state, event, rules)
        case ev.SlotBroken():
            return trial.slot_broken(state, event, rules)
        case ev.HealthPassed():
            return trial.health_passed(state, event, rules)
        case ev.HealthFailed():
            return trial.health_failed(state, event, rules)
        case ev.HealthLater():
            return trial.health_later(state, event, rules)
        case ev.ConfirmAsked():
            return trial.confirm_asked(state, rules)
        case ev.RollBackAsked():
            return trial.roll_back_asked(state, event, rules)
        case ev.Settled():
            return trial.settled(state)
        case _:
            return _step_training(state, event, rules)


def _step_training(state: DeviceState, event: ev.Training, rules: Rules) -> Step:
    match event:
        case ev.TrainingStarted():
            return training.training_started(state, event, rules)
        case ev.Trained():
            return training.trained(state, event)
        case ev.TrainingFailed():
            return training.training_failed(state, rules)
        case ev.GenerationAccepted():
            return training.generation_accepted(state, event, rules)
        case ev.GenerationRejected():
            return training.generation_rejected(state, event, rules)
        case ev.GenerationDropped():
            return trial.generation_dropped(state, event.reason, rules)
        case ev.PersonalForgotten():
            return training.personal_forgotten(state)
        case ev.RebaseStarted():
            return training.rebase_started(state, event, rules)
        case ev.Rebased():
            return training.rebased(state, event, rules)
        case ev.OutcomesSent():
            kept = tuple(o for o in state.outcomes if o.event not in event.events)
            return replace(state, outcomes=kept), ()
        case _:
            assert_never(event)

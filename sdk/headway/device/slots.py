"""Pure edits of a state's slots that several transitions share: report, quarantine, give up heads."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from headway.contract.digests import Digest
from headway.contract.outcome import Outcome
from headway.device.effects import Effect, Leave
from headway.device.state import Attempts, DeviceState, Generation, HeldRelease, Phase, Quarantine, Rules

Step = tuple[DeviceState, tuple[Effect, ...]]
"""A transition's result: the new state and what to do. ``Save`` is added by ``advance``, never here."""


def note(
    state: DeviceState,
    rules: Rules,
    kind: str,
    release: HeldRelease,
    *,
    detail: str | None = None,
    gain: str | None = None,
) -> DeviceState:
    """Queue an outcome about ``release``; past ``max_outcomes`` the oldest goes.

    A personal head is always reported under its release: its own digest would single out a person. The event key is
    a keyed hash of a counter: to anyone without the install id it looks random, so two events cannot be tied.
    """
    key = hashlib.sha256(f"{state.identity.install_id}\x00{state.identity.name}\x00{state.sequence}".encode())
    outcome = Outcome(
        event=key.hexdigest()[:32],
        kind=kind,
        channel=state.identity.channel,
        base=release.base,
        name=state.identity.name,
        release=release.release,
        head=release.head,
        detail=detail,
        gain=gain,
    )
    outcomes = (*state.outcomes, outcome)[-rules.max_outcomes :]
    return replace(state, outcomes=outcomes, sequence=state.sequence + 1)


def quarantine(state: DeviceState, rules: Rules, head: Digest, now_s: int) -> DeviceState:
    """Keep away from ``head`` here for a while (rule 6)."""
    others = tuple(q for q in state.quarantine if q.head != head or q.base != state.host.base)
    entry = Quarantine(head, state.host.base, state.host.os_build, now_s + rules.quarantine_s)
    return replace(state, quarantine=(*others, entry)[-64:])


def without(state: DeviceState, heads: Collection[Digest]) -> DeviceState:
    """Take ``heads`` out of every slot, with the generations that grew on them; ``previous`` moves up.

    The embedded head stays whatever it is: there is always a head to run (rule 1).
    """

    def kept(slot: HeldRelease | None) -> HeldRelease | None:
        return None if slot is None or slot.head in heads else slot

    stable, previous = kept(state.stable), kept(state.previous)
    if stable is None and previous is not None:
        stable, previous = previous, None
    trial, target = kept(state.trial), kept(state.target)
    receiving = state.activity in (Phase.DOWNLOADING, Phase.VERIFYING) and target is None
    return prune_personal(
        replace(
            state,
            stable=stable,
            previous=previous,
            trial=trial,
            staged=kept(state.staged),
            target=target,
            live=state.live if trial is not None else 0,
            activity=Phase.IDLE if receiving else state.activity,
            pending=None if state.pending in heads else state.pending,
            attempts=None if state.attempts is not None and state.attempts.head in heads else state.attempts,
        ),
        heads,
    )


def prune_personal(state: DeviceState, heads: Collection[Digest] = ()) -> DeviceState:
    """Drop generations that can never run again: of another base, grown on ``heads``, or on a release that is gone.

    A generation on a release that is gone stays while its rebase is due: it is what will be carried over.
    """
    standing = {r.head for r in (state.embedded, state.stable, state.previous) if r is not None}

    def kept(generation: Generation | None) -> Generation | None:
        if generation is None or generation.base != state.host.base:
            return None
        if {generation.head, generation.on, generation.derived_from} & set(heads):
            return None
        return generation if generation.on in standing or state.rebase_due is not None else None

    first, second, candidate = kept(state.personal), kept(state.personal_before), kept(state.candidate)
    if first is None:
        first, second = second, None
    pending = state.pending
    if pending is not None and pending not in held_heads(state, (first, second, candidate)):
        pending = None
    return replace(
        state,
        personal=first,
        personal_before=second,
        candidate=candidate,
        pending=pending,
        rebase_due=state.rebase_due if first is not None else None,
    )


def held_heads(state: DeviceState, generations: Collection[Generation | None]) -> frozenset[Digest]:
    """Digests of all heads in slots, with these generations instead of the state's own."""
    releases = {r.head for r in (state.embedded, *state.releases())}
    return frozenset(releases | {g.head for g in generations if g is not None})


def leave(old: DeviceState, new: DeviceState) -> Step:
    """Finish a roll back: if the running head changed, the old one is unloaded and its files removed."""
    gone = old.running.head
    if new.running.head == gone:
        return new, ()
    pending = None if new.pending == gone else new.pending
    return replace(new, leaving=gone, loaded=None, pending=pending), (Leave(gone),)


def lower(attempts: Attempts | None, head: Digest, rules: Rules) -> Attempts:
    """One try of ``head`` fewer: to be saved before the try is made."""
    left = attempts.left if attempts is not None and attempts.head == head else rules.attempts
    return Attempts(head, max(left - 1, 0))


def give_back(attempts: Attempts | None, rules: Rules) -> Attempts | None:
    """The try that ended without a crash does not count."""
    if attempts is None:
        return None
    return Attempts(attempts.head, min(attempts.left + 1, rules.attempts))

"""Rollouts: offer a release in stages, watch it, and let the one decision advance, hold or halt it.

Raising a share only ever adds devices. What an operator does and what ``decide`` says are logged alike, with all
inputs. A halted rollout never runs again: the way on is a new release.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from headway.contract.errors import JsonScalar, RefusedError
from headway.contract.versions import parse_name
from headway_server.delivery.channels import ChannelKey, changing, ensure
from headway_server.delivery.decide import Counts, Decision, Policy, RolloutState, Stage, decide
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.records import DecisionRecord, HeadRecord, JsonObject, RolloutRecord

UNDER_WAY = ("running", "held", "complete")
"""States in which the one decision may still change a rollout."""


@dataclass(frozen=True, slots=True)
class OfferRequest:
    """What to offer: a signed release, to whom, and how it shall grow. No stages: one, of ``permyriad``."""

    name: str
    release: int
    permyriad: int
    salt: str | None = None
    pins: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    policy: Policy = field(default_factory=Policy)


def offer(ports: Ports, actor: Actor, key: ChannelKey, request: OfferRequest) -> tuple[RolloutRecord, bool]:
    """Offer a release on a channel, or change how; the rollout and whether it is new.

    Repeating a request changes nothing. A share may only grow, and a halted release is never offered again.

    Raises:
        RefusedError: codes ``no_trust``, ``unknown_head``, ``not_signed``, ``recalled``, ``halted``, ``lowered``,
            ``bad_schedule``, ``malformed``.
    """
    key.checked()
    parse_name(request.name, what="head name")
    stages = _stages(request)
    with changing(ports, key) as tx:
        head = _offerable(tx, key, request)
        present = tx.rollouts.find(key.app, key.channel, key.base_id, request.name, request.release)
        if present is not None and present.state == "halted":
            raise _halted(present)
        fresh = present is None or present.state == "yanked"
        record = (
            _begin(ports, key, request, head, stages)
            if present is None or fresh
            else _change(ports, present, request, stages)
        )
        ensure(ports, tx, key)
        tx.rollouts.put(record)
        if record != present:
            _log(ports, tx, record, actor.name, "offer", "Offered by an operator.", {"permyriad": record.permyriad})
            subject = f"{key} {request.name}@{request.release}"
            audit.record(ports, tx, actor, key.app, "offer.put", subject, **_facts(record))
    return record, fresh


def yank(ports: Ports, actor: Actor, key: ChannelKey, name: str, release: int) -> RolloutRecord:
    """Stop offering a release; devices that have it keep it.

    Raises:
        RefusedError: codes ``no_trust``, ``unknown_rollout``.
    """
    key.checked()
    with changing(ports, key) as tx:
        present = tx.rollouts.find(key.app, key.channel, key.base_id, name, release)
        if present is None:
            raise unknown_rollout(f"{name}@{release} was never offered on {key}.")
        record = replace(present, state="yanked", held_by=None, updated_at=ports.clock())
        if present.state != "yanked":
            tx.rollouts.put(record)
            _log(ports, tx, record, actor.name, "yank", "Yanked by an operator.", {})
            audit.record(ports, tx, actor, key.app, "offer.yank", f"{key} {name}@{release}", **_facts(record))
    return record


def command(ports: Ports, actor: Actor, app: str, rollout: str, action: str) -> RolloutRecord:
    """What an operator orders: ``advance`` (also resumes), ``hold`` or ``halt``.

    Raises:
        RefusedError: codes ``unknown_rollout``, ``halted``, ``finished``.
    """
    key = _key(ports, app, rollout)
    with changing(ports, key) as tx:
        present = _present(tx, app, rollout)
        if present.state in ("halted", "yanked"):
            if action == "halt":
                return present
            raise _halted(present)
        record = _ordered(ports, present, action)
        if record != present:
            tx.rollouts.put(record)
            _log(ports, tx, record, actor.name, action, "Ordered by an operator.", {"stage": record.stage})
            audit.record(ports, tx, actor, app, f"rollout.{action}", rollout, **_facts(record))
    return record


def tick(ports: Ports, actor: Actor, app: str, rollout: str) -> tuple[RolloutRecord, Decision]:
    """Decide about one rollout now, log it, and do it.

    Raises:
        RefusedError: code ``unknown_rollout``.
    """
    key = _key(ports, app, rollout)
    with changing(ports, key) as tx:
        return judge(ports, tx, actor, _present(tx, app, rollout))


def judge(ports: Ports, tx: Transaction, actor: Actor, present: RolloutRecord) -> tuple[RolloutRecord, Decision]:
    """Decide about a rollout, log it, and do it, in the caller's transaction; the caller signs the channel."""
    decision = decide(_state(tx, present), counts_of(tx, present, ports.clock()), ports.clock())
    record = _decided(ports, present, decision)
    if record != present:
        tx.rollouts.put(record)
        facts = {**_facts(record), "reason": decision.reason}
        audit.record(ports, tx, actor, record.app, f"rollout.{decision.action}", record.id, **facts)
    _log(ports, tx, record, actor.name, decision.action, decision.reason, dict(decision.inputs))
    return record, decision


def tick_all(ports: Ports, actor: Actor, app: str) -> tuple[tuple[RolloutRecord, Decision], ...]:
    """Decide about every rollout of an app that may still change."""
    with ports.database.read() as tx:
        rollouts = [record for record in tx.rollouts.all(app) if record.state in UNDER_WAY]
    return tuple(tick(ports, actor, app, record.id) for record in rollouts)


def counts_of(tx: Transaction, rollout: RolloutRecord, now: int) -> Counts:
    """What devices reported of a rollout so far."""
    policy = Policy(**rollout.policy)
    counts = tx.outcomes.counts(rollout.app, rollout.id)
    due = tx.outcomes.counts(rollout.app, rollout.id, before=now - policy.silent_after_s)
    return Counts(
        installed=counts.get("installed", 0),
        installed_due=due.get("installed", 0),
        confirmed=counts.get("confirmed", 0),
        rolled_back=counts.get("rolled_back", 0),
    )


def _stages(request: OfferRequest) -> tuple[Stage, ...]:
    stages = request.stages or (Stage(request.permyriad, soak_s=0, min_confirmed=1),)
    shares = [stage.permyriad for stage in stages]
    if shares != sorted(set(shares)) or shares[0] != request.permyriad:
        raise RefusedError(
            "bad_schedule",
            "The shares of a schedule must grow from stage to stage, the first being the share offered now.",
            hint="For example permyriad 500 and the schedule 500, 2500, 10000, each with soak_s and min_confirmed.",
        )
    return tuple(stages)


def _offerable(tx: Transaction, key: ChannelKey, request: OfferRequest) -> HeadRecord:
    head = tx.releases.head(key.app, key.base_id, request.name, request.release)
    if head is None:
        raise RefusedError(
            "unknown_head",
            f"The registry has no {request.name}@{request.release} for {key.base_id}.",
            hint="Publish it first.",
            kind="not_found",
        )
    if head.state != "live":
        raise RefusedError(
            "not_signed",
            f"{request.name}@{request.release} is {head.state}, not live in signed metadata.",
            hint="Sign the role of its base with this release in it, or offer another release.",
            kind="conflict",
            state=head.state,
        )
    if any(recall.digest == head.head for recall in tx.channels.recalls(key.app, key.channel, key.base_id)):
        raise RefusedError(
            "recalled",
            f"{request.name}@{request.release} is recalled on this channel.",
            hint="Publish a corrected head and offer that.",
            kind="conflict",
        )
    return head


def _begin(
    ports: Ports, key: ChannelKey, request: OfferRequest, head: HeadRecord, stages: tuple[Stage, ...]
) -> RolloutRecord:
    now = ports.clock()
    return RolloutRecord(
        id=secrets.token_hex(8),
        app=key.app,
        channel=key.channel,
        base_id=key.base_id,
        name=request.name,
        release=request.release,
        head=head.head,
        state="running",
        held_by=None,
        # New for each rollout, so that the same devices are not always first.
        salt=request.salt if request.salt is not None else secrets.token_hex(8),
        permyriad=request.permyriad,
        pins=request.pins,
        excludes=request.excludes,
        schedule=_schedule(stages),
        policy=asdict(request.policy),
        stage=0,
        stage_started_at=now,
        created_at=now,
        updated_at=now,
    )


def _change(ports: Ports, present: RolloutRecord, request: OfferRequest, stages: tuple[Stage, ...]) -> RolloutRecord:
    if request.permyriad < present.permyriad and _schedule(stages) != present.schedule:
        raise RefusedError(
            "lowered",
            f"The offer stands at {present.permyriad / 100:.2f} %; a share only grows.",
            hint="Hold the rollout to keep it where it is, or recall the head to take it back.",
            kind="conflict",
            permyriad=present.permyriad,
        )
    changed = replace(
        present, pins=request.pins, excludes=request.excludes, policy=asdict(request.policy), schedule=_schedule(stages)
    )
    if _schedule(stages) != present.schedule:
        changed = replace(
            changed, stage=0, permyriad=request.permyriad, stage_started_at=ports.clock(), state="running", held_by=None
        )
    return present if changed == present else replace(changed, updated_at=ports.clock())


def _schedule(stages: Sequence[Stage]) -> tuple[dict[str, int], ...]:
    return tuple(asdict(stage) for stage in stages)


def _ordered(ports: Ports, present: RolloutRecord, action: str) -> RolloutRecord:
    now = ports.clock()
    if action == "hold":
        return (
            present
            if present.held_by == "operator"
            else replace(present, state="held", held_by="operator", updated_at=now)
        )
    if action == "halt":
        return replace(present, state="halted", held_by=None, updated_at=now)
    if present.state == "held":
        return replace(present, state="running", held_by=None, stage_started_at=now, updated_at=now)
    if present.stage + 1 >= len(present.schedule):
        raise RefusedError(
            "finished",
            "The rollout is in its last stage.",
            hint="Offer the release again with a longer schedule to go further.",
            kind="conflict",
        )
    return _advanced(present, now)


def _decided(ports: Ports, present: RolloutRecord, decision: Decision) -> RolloutRecord:
    now = ports.clock()
    match decision.action:
        case "advance":
            return _advanced(present, now)
        case "complete":
            return replace(present, state="complete", held_by=None, updated_at=now)
        case "hold":
            return replace(present, state="held", held_by="health", updated_at=now)
        case "halt":
            return replace(present, state="halted", held_by=None, updated_at=now)
        case "wait":
            return present


def _advanced(present: RolloutRecord, now: int) -> RolloutRecord:
    stage = present.stage + 1
    return replace(
        present,
        state="running",
        held_by=None,
        stage=stage,
        permyriad=int(present.schedule[stage]["permyriad"]),
        stage_started_at=now,
        updated_at=now,
    )


def _state(tx: Transaction, record: RolloutRecord) -> RolloutState:
    return RolloutState(
        state=record.state,
        held_by=record.held_by,
        stages=tuple(Stage(**stage) for stage in record.schedule),
        stage=record.stage,
        stage_started_at=record.stage_started_at,
        policy=Policy(**record.policy),
        release_state=_release_state(tx, record),
    )


def _release_state(tx: Transaction, record: RolloutRecord) -> str:
    head = tx.releases.head(record.app, record.base_id, record.name, record.release)
    state = "unlisted" if head is None else head.state
    recalls = tx.channels.recalls(record.app, record.channel, record.base_id)
    recalled = any(recall.digest == record.head for recall in recalls)
    return "recalled" if recalled and state != "revoked" else state


def _facts(record: RolloutRecord) -> dict[str, JsonScalar]:
    """What the audit log, and whoever is told of it, should know of a rollout."""
    names = ("id", "channel", "base_id", "name", "release", "head", "state", "stage", "permyriad")
    return {name if name != "id" else "rollout": getattr(record, name) for name in names}


def _log(
    ports: Ports,
    tx: Transaction,
    record: RolloutRecord,
    actor: str,
    action: str,
    reason: str,
    inputs: JsonObject,
) -> None:
    tx.rollouts.log(DecisionRecord(0, record.app, record.id, ports.clock(), action, actor, reason, inputs))


def _key(ports: Ports, app: str, rollout: str) -> ChannelKey:
    with ports.database.read() as tx:
        record = _present(tx, app, rollout)
    return ChannelKey(app, record.channel, record.base_id)


def _present(tx: Transaction, app: str, rollout: str) -> RolloutRecord:
    record = tx.rollouts.get(app, rollout)
    if record is None:
        raise unknown_rollout()
    return record


def unknown_rollout(why: str = "There is no such rollout.") -> RefusedError:
    """The error for a rollout that is not there, or not of this app."""
    return RefusedError("unknown_rollout", why, hint="See them with `headway rollout list`.", kind="not_found")


def _halted(record: RolloutRecord) -> RefusedError:
    return RefusedError(
        "halted",
        f"{record.name}@{record.release} is {record.state} on this channel.",
        hint="Correct the head, publish it as a new release and offer that.",
        kind="conflict",
        rollout=record.id,
    )

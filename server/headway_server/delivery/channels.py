"""Channels: change what one says, and sign and publish it, in one transaction.

What always holds: the document is made from the database each time; its epoch grows by one with every change; a
change that changes nothing signs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from headway.contract.channel import DIRECTIVES, ChannelDocument, Offer, Recall
from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway.contract.manifest import channel_path
from headway.contract.rollout import Rollout
from headway.contract.versions import parse_name
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.publication.mirror import mirror
from headway_server.publication.seal import no_trust, seal, sign_channels
from headway_server.records import ChannelRecord, RolloutRecord, TargetFile

MAX_OFFERS_PER_NAME = 3
_OFFER_STATE = {"running": "active", "complete": "active", "held": "held", "halted": "halted"}


@dataclass(frozen=True, slots=True)
class ChannelKey:
    """One channel of one app for one base."""

    app: str
    channel: str
    base_id: str

    def checked(self) -> ChannelKey:
        """This, if the names are well-formed; raises ``malformed``."""
        parse_name(self.channel, what="channel")
        parse_name(self.base_id, what="base id")
        return self

    def __str__(self) -> str:
        return f"{self.channel}/{self.base_id}"


@contextmanager
def changing(ports: Ports, key: ChannelKey) -> Iterator[Transaction]:
    """A transaction in which the channel may change; afterwards it is signed and public if it did."""
    with ports.database.write(key.app) as tx:
        if tx.roles.current(key.app, "channels") is None:
            raise no_trust(key.app)
        yield tx
        if sign_if_changed(ports, tx, key):
            seal(ports, tx, key.app)
    mirror(ports, key.app)


def sign_if_changed(ports: Ports, tx: Transaction, key: ChannelKey) -> bool:
    """Sign the channel's document under the next epoch, if it says something new; the caller seals then."""
    record = ensure(ports, tx, key)
    before = tx.roles.targets(key.app, channel_path(key.channel, key.base_id))
    same = replace(document_of(tx, key, record), epoch=max(1, record.epoch))
    if any(target.digest == digest_of(same.to_bytes()) for target in before):
        return False
    record = replace(record, epoch=record.epoch + 1, updated_at=ports.clock())
    tx.channels.put(record)
    document = document_of(tx, key, record)
    data, path = document.to_bytes(), channel_path(key.channel, key.base_id)
    tx.roles.add_target(TargetFile(key.app, path, digest_of(data), data, ports.clock()))
    sign_channels(ports, tx, key.app, [document])
    return True


def ensure(ports: Ports, tx: Transaction, key: ChannelKey) -> ChannelRecord:
    """The channel's record, made on first use."""
    found = tx.channels.get(key.app, key.channel, key.base_id)
    if found is not None:
        return found
    record = ChannelRecord(key.app, key.channel, key.base_id, 0, ports.settings.poll_after_s, {}, ports.clock())
    tx.channels.put(record)
    return record


def document_of(tx: Transaction, key: ChannelKey, record: ChannelRecord) -> ChannelDocument:
    """The channel document as the database has it now."""
    rollouts = offered(tx.rollouts.all(key.app, key.channel, key.base_id))
    recalls = tx.channels.recalls(key.app, key.channel, key.base_id)
    return ChannelDocument(
        app=key.app,
        channel=key.channel,
        base_id=key.base_id,
        epoch=record.epoch,
        poll_after_s=record.poll_after_s,
        offers=tuple(
            Offer(r.name, r.release, _OFFER_STATE[r.state], Rollout(r.salt, r.permyriad, r.pins, r.excludes))
            for r in rollouts
        ),
        recalls=tuple(Recall(r.digest, r.reason) for r in recalls),
        personalise={name: str(directive) for name, directive in record.personalise.items()},
    )


def offered(rollouts: tuple[RolloutRecord, ...]) -> tuple[RolloutRecord, ...]:
    """The rollouts that a channel offers: not yanked, and per name only the newest three releases."""
    newest = {(r.name, r.release): r for r in rollouts if r.state in _OFFER_STATE}
    kept: dict[str, int] = {}
    chosen = []
    for rollout in sorted(newest.values(), key=lambda r: (r.name, -r.release)):
        kept[rollout.name] = kept.get(rollout.name, 0) + 1
        if kept[rollout.name] <= MAX_OFFERS_PER_NAME:
            chosen.append(rollout)
    return tuple(chosen)


def personalise(ports: Ports, actor: Actor, key: ChannelKey, name: str, directive: str) -> None:
    """Say whether devices may train a head: ``allow``, ``hold`` or ``discard``.

    Raises:
        RefusedError: codes ``no_trust``, ``unknown_directive``, ``malformed``.
    """
    key.checked()
    parse_name(name, what="head name")
    if directive not in DIRECTIVES:
        raise RefusedError(
            "unknown_directive",
            f"{directive[:40]!r} is no directive.",
            hint=f"Choose among {', '.join(DIRECTIVES)}.",
        )
    with changing(ports, key) as tx:
        record = ensure(ports, tx, key)
        tx.channels.put(replace(record, personalise={**record.personalise, name: directive}))
        audit.record(ports, tx, actor, key.app, "channel.personalise", f"{key} {name}", directive=directive)


def set_poll_interval(ports: Ports, actor: Actor, key: ChannelKey, poll_after_s: int) -> None:
    """How often devices of the channel poll, in seconds (1 to 30 days).

    Raises:
        RefusedError: codes ``no_trust``, ``malformed``.
    """
    key.checked()
    with changing(ports, key) as tx:
        tx.channels.put(replace(ensure(ports, tx, key), poll_after_s=poll_after_s))
        audit.record(ports, tx, actor, key.app, "channel.poll", str(key), poll_after_s=poll_after_s)


def history(ports: Ports, key: ChannelKey) -> tuple[tuple[int, ChannelDocument], ...]:
    """Everything the channel ever said, as ``(when it was signed, document)``, oldest first."""
    with ports.database.read() as tx:
        kept = tx.roles.targets(key.app, channel_path(key.channel, key.base_id))
    said = [(target.created_at, ChannelDocument.from_bytes(target.data)) for target in kept]
    return tuple(sorted(said, key=lambda pair: pair[1].epoch))


def current(ports: Ports, key: ChannelKey) -> ChannelDocument:
    """What the channel says now.

    Raises:
        RefusedError: code ``unknown_channel``.
    """
    with ports.database.read() as tx:
        record = tx.channels.get(key.app, key.channel, key.base_id)
        if record is None or record.epoch == 0:
            raise RefusedError(
                "unknown_channel",
                f"There is no channel {key} in {key.app}.",
                hint="It comes into being with its first offer.",
                kind="not_found",
            )
        return document_of(tx, key, record)

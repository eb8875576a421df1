"""Aliases and labels: names that people and machines give to releases, with everything they ever were.

An alias (``stable``, ``candidate``) points to one release of a head or a base; a label is ``key=value`` on one release.
They are notes of the catalog: what a device gets is decided by signed channels alone, and never by one of these.
Every change is kept, so that "what did it point to on 3 May?" always has an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.errors import RefusedError, malformed
from headway.contract.versions import parse_name, parse_release, parse_version
from headway_server.catalog import apps
from headway_server.ports import Actor, Ports, Transaction
from headway_server.publication import audit
from headway_server.records import BaseRecord, HeadRecord, MarkRecord
from headway_server.repositories_marks import MarkKey

MOST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller believes to stand there; None: nothing. Another value is a conflict, and nothing is changed."""

    value: str | None


def point(
    ports: Ports, actor: Actor, key: MarkKey, release: str | None, *, expect: Expected | None = None, note: str = ""
) -> tuple[MarkRecord | None, bool]:
    """Let an alias point to a release, or to none; the newest change, and whether it is new.

    Raises:
        RefusedError: codes ``unknown_app``, ``malformed``, ``unknown_release``, ``revoked``, ``mark_changed``.
    """
    parse_name(key.key, what="alias")
    if key.key.isdigit():
        raise malformed("alias", "$", "a name that is not a number, since numbers name releases")
    with ports.database.write(key.app) as tx:
        _check_thing(tx, key)
        if release is not None and _state(tx, key, release) == "revoked":
            raise RefusedError(
                "revoked",
                f"{_subject(key)} cannot point to {release}: it is revoked.",
                hint="Point it to a release that is not.",
                kind="conflict",
            )
        return _change(ports, tx, actor, "alias", key, release, expect, note)


def label(
    ports: Ports, actor: Actor, key: MarkKey, value: str | None, *, expect: Expected | None = None, note: str = ""
) -> tuple[MarkRecord | None, bool]:
    """Set a label of a release, or remove it; the newest change, and whether it is new.

    Raises:
        RefusedError: codes ``unknown_app``, ``malformed``, ``unknown_release``, ``mark_changed``.
    """
    parse_name(key.key, what="label")
    if value is not None and not (0 < len(value) <= MOST_VALUE and value.isprintable()):
        raise malformed("label", "$.value", f"1 to {MOST_VALUE} printable characters")
    with ports.database.write(key.app) as tx:
        _check_thing(tx, key)
        _state(tx, key, key.release)
        return _change(ports, tx, actor, "label", key, value, expect, note)


def aliases(ports: Ports, key: MarkKey, *, at: int | None = None) -> tuple[MarkRecord, ...]:
    """The aliases that stand, or stood at ``at``; empty parts of ``key`` do not narrow. Raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, key.app)
        return tx.marks.all(
            key.app, labels=False, base_id=key.base_id or None, name=key.name or None, key=key.key or None, at=at
        )


def labels(ports: Ports, key: MarkKey, *, at: int | None = None) -> tuple[MarkRecord, ...]:
    """The labels that stand, or stood at ``at``; empty parts of ``key`` do not narrow. Raises ``unknown_app``."""
    with ports.database.read() as tx:
        apps.known(tx, key.app)
        return tx.marks.all(
            key.app,
            labels=True,
            base_id=key.base_id or None,
            name=key.name or None,
            release=key.release or None,
            key=key.key or None,
            at=at,
        )


def history(ports: Ports, key: MarkKey) -> tuple[MarkRecord, ...]:
    """Every change of one alias or label, oldest first.

    Raises:
        RefusedError: codes ``unknown_app``, ``unknown_mark``.
    """
    with ports.database.read() as tx:
        apps.known(tx, key.app)
        changes = tx.marks.history(key)
    if not changes:
        raise RefusedError(
            "unknown_mark",
            f"{_subject(key)} has never been set.",
            hint="List the aliases and labels of the app.",
            kind="not_found",
        )
    return changes


def _change(
    ports: Ports,
    tx: Transaction,
    actor: Actor,
    kind: str,
    key: MarkKey,
    value: str | None,
    expect: Expected | None,
    note: str,
) -> tuple[MarkRecord | None, bool]:
    before = tx.marks.current(key)
    now = None if before is None else before.value
    # First of all: a request that was sent again, because its answer was lost, has already had its way.
    if now == value:
        return before, False
    if expect is not None and expect.value != now:
        raise _conflict(key, now)
    at = ports.clock() if before is None else max(ports.clock(), before.at)
    seq = 1 if before is None else before.seq + 1
    record = MarkRecord(
        key.app, key.base_id, key.name, key.release, key.key, seq, value, actor.name, note[:MOST_VALUE], at
    )
    if not tx.marks.add(record):
        raise _conflict(key, now)
    action = f"{kind}.{'set' if value is not None else 'remove'}"
    facts = {"base_id": key.base_id, "name": key.name or None, kind: key.key, "value": value, "previous": now}
    audit.record(ports, tx, actor, key.app, action, _subject(key), **facts, note=record.note)
    return record, True


def _check_thing(tx: Transaction, key: MarkKey) -> None:
    apps.known(tx, key.app)
    parse_name(key.base_id, what="base id")
    if key.name:
        parse_name(key.name, what="head name")


def _state(tx: Transaction, key: MarkKey, release: str) -> str:
    """The state of the release that a mark is about."""
    record: HeadRecord | BaseRecord | None
    if key.name:
        record = tx.releases.head(key.app, key.base_id, key.name, parse_release(release))
    else:
        parse_version(release)
        record = tx.releases.base(key.app, key.base_id, release)
    if record is None:
        thing = f"{key.base_id}/{key.name}" if key.name else key.base_id
        raise RefusedError(
            "unknown_release",
            f"The registry has no {thing}@{release}.",
            hint="List the releases, or publish it first.",
            kind="not_found",
        )
    return record.state


def _subject(key: MarkKey) -> str:
    thing = f"{key.base_id}/{key.name}" if key.name else key.base_id
    return f"{thing}@{key.release} {key.key}" if key.release else f"{thing}@{key.key}"


def _conflict(key: MarkKey, now: str | None) -> RefusedError:
    return RefusedError(
        "mark_changed",
        f"{_subject(key)} is {now or 'not set'}, not what was expected.",
        hint="Look at its history, decide again, and send it with what stands there now.",
        kind="conflict",
        current=now,
    )

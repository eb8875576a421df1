"""The persisted form of a :class:`~headway.device.state.DeviceState`: canonical JSON under a digest line.

The digest tells a damaged record from a readable one. ``schema`` grows when an old reader would misunderstand; a
record of a newer schema is unreadable here, and the store then starts clean. An unknown phase is no such case: the
reader keeps what was confirmed and rolls the rest back (rule 10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import TypeVar

from headway.contract.digests import canonical_json, digest_of
from headway.contract.errors import DeviceStoreError, HeadwayError
from headway.contract.outcome import Outcome
from headway.contract.parsing import Fields, decode
from headway.device.slots import prune_personal
from headway.device.state import (
    ACTIVITIES,
    Attempts,
    DeviceState,
    Floor,
    Generation,
    HeldRelease,
    Host,
    Identity,
    Phase,
    Quarantine,
)

SCHEMA = 1
T = TypeVar("T")
_RELEASES = ("stable", "previous", "trial", "staged", "target")
_GENERATIONS = ("personal", "personal_before", "candidate")
_INTEGERS = ("live", "generations", "training_left", "training_after_s", "clock_floor_s", "sequence", "saves")


def to_bytes(state: DeviceState) -> bytes:
    """The record of ``state``; :func:`from_bytes` gives back ``state.durable``."""
    body = canonical_json(to_json(state.durable), document="device record")
    return digest_of(body).encode() + b"\n" + body + b"\n"


def from_bytes(data: bytes) -> DeviceState:
    """Read a record.

    Raises:
        DeviceStoreError: code ``record_unreadable``; damaged, or written by a newer version.
    """
    digest, _, body = data.partition(b"\n")
    body = body.removesuffix(b"\n")
    if digest != digest_of(body).encode():
        raise _unreadable("its digest does not fit")
    try:
        return from_json(decode(body, "device record"))
    except HeadwayError as error:
        raise _unreadable(error.message) from error


def _unreadable(why: str) -> DeviceStoreError:
    return DeviceStoreError(
        "record_unreadable",
        f"The device record cannot be read: {why}.",
        hint="Nothing to do: the record is put aside and the device starts clean with the embedded head.",
    )


def to_json(state: DeviceState) -> dict[str, object]:
    """The JSON object: what vectors and traces show."""
    value: dict[str, object] = {"schema": SCHEMA, "activity": int(state.activity)}
    value |= {name: _plain(getattr(state, name)) for name in ("identity", "host", "embedded", "attempts", "checks")}
    value |= {name: _plain(getattr(state, name)) for name in (*_RELEASES, *_GENERATIONS)}
    value |= {name: getattr(state, name) for name in _INTEGERS}
    value |= {name: getattr(state, name) for name in ("pending", "leaving", "rebase_due", "directive")}
    value |= {name: [_plain(item) for item in getattr(state, name)] for name in ("floors", "quarantine")}
    value["recalled"] = list(state.recalled)
    value["outcomes"] = [outcome.to_json() for outcome in state.outcomes]
    return value


def _plain(value: object) -> object:
    if value is None:
        return None
    return {field.name: getattr(value, field.name) for field in fields_of(value)}  # type: ignore[arg-type]


def from_json(record: Fields) -> DeviceState:
    """Read the JSON object.

    Raises:
        RefusedError: code ``malformed``.
    """
    record.schema(SCHEMA)
    activity = record.integer("activity")
    known = activity in {int(phase) for phase in ACTIVITIES}
    state = DeviceState(
        identity=_identity(record.nested("identity")),
        host=Host(record.nested("host").digest("base"), record.nested("host").text("os_build")),
        embedded=_release(record.nested("embedded")),
        activity=Phase(activity) if known else Phase.IDLE,
        attempts=_nested(record, "attempts", _attempts),
        checks=_nested(record, "checks", _attempts),
        pending=record.optional("pending", record.digest),
        leaving=record.optional("leaving", record.digest),
        rebase_due=record.optional("rebase_due", record.text),
        directive=record.text("directive"),
        floors=tuple(Floor(f.digest("base"), f.integer("release"), f.digest("head")) for f in record.objects("floors")),
        quarantine=tuple(
            Quarantine(q.digest("head"), q.digest("base"), q.text("os_build"), q.integer("until_s"))
            for q in record.objects("quarantine")
        ),
        recalled=tuple(Fields({"digest": item}, "recall").digest("digest") for item in record.items("recalled")),
        outcomes=tuple(Outcome.from_json(item) for item in record.items("outcomes")),
        stable=_nested(record, "stable", _release),
        previous=_nested(record, "previous", _release),
        trial=_nested(record, "trial", _release),
        staged=_nested(record, "staged", _release),
        target=_nested(record, "target", _release),
        personal=_nested(record, "personal", _generation),
        personal_before=_nested(record, "personal_before", _generation),
        candidate=_nested(record, "candidate", _generation),
        live=record.integer("live"),
        generations=record.integer("generations"),
        training_left=record.integer("training_left"),
        training_after_s=record.integer("training_after_s"),
        clock_floor_s=record.integer("clock_floor_s"),
        sequence=record.integer("sequence"),
        saves=record.integer("saves"),
    )
    return state if known else _rolled_back(state)


def _rolled_back(state: DeviceState) -> DeviceState:
    return prune_personal(replace(state, trial=None, staged=None, target=None, candidate=None, pending=None, live=0))


def _nested(record: Fields, name: str, read: Callable[[Fields], T]) -> T | None:
    return read(record.nested(name)) if record.has(name) else None


def _identity(value: Fields) -> Identity:
    return Identity(value.text("app"), value.text("channel"), value.text("name"), value.text("install_id"))


def _release(value: Fields) -> HeldRelease:
    return HeldRelease(
        release=value.integer("release"),
        head=value.digest("head"),
        base=value.digest("base"),
        manifest=value.digest("manifest"),
        labels=value.digest("labels"),
        rebase=value.text("rebase"),
    )


def _generation(value: Fields) -> Generation:
    return Generation(
        number=value.integer("number"),
        head=value.digest("head"),
        base=value.digest("base"),
        on=value.digest("on"),
        derived_from=value.digest("derived_from"),
        policy=value.text("policy"),
        samples=value.integer("samples"),
        steps=value.integer("steps"),
        delta_micro=value.integer("delta_micro"),
    )


def _attempts(value: Fields) -> Attempts:
    return Attempts(value.digest("head"), value.integer("left"))

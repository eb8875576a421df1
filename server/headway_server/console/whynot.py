"""The page "why not?": a device profile from a form, decided by the function that devices use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headway.contract.errors import RefusedError
from headway_server.delivery import channels, preview, reports
from headway_server.delivery.channels import ChannelKey
from headway_server.ports import Ports
from headway_server.records import ChannelRecord, JsonObject

DEFAULTS = {
    "channel": "", "name": "", "base": "", "os": "17.0", "app_build": "1", "install_id": "example", "groups": "",
    "current_release": "0", "floor_release": "", "failed": "",
}  # fmt: skip
_NUMBERS = ("app_build", "current_release", "floor_release")


@dataclass(frozen=True, slots=True)
class WhyNotView:
    """The page: the form as it was filled in, the heads that the channel offers, and the answer or what was wrong."""

    channels: tuple[ChannelRecord, ...]
    given: Mapping[str, str]
    offered: tuple[str, ...] = ()
    sentence: str = ""
    verdicts: tuple[JsonObject, ...] = field(default=())
    wrong: str = ""


def asked(ports: Ports, app: str, arguments: Mapping[str, str], language: str) -> WhyNotView:
    """Decide for the profile in ``arguments``; nothing of it is kept. Raises ``unknown_app``."""
    there = reports.channels(ports, app)
    given = {key: arguments.get(key, default).strip()[:200] for key, default in DEFAULTS.items()}
    if not there:
        return WhyNotView(there, given)
    chosen = next((c for c in there if f"{c.channel}/{c.base_id}" == given["channel"]), there[0])
    key = ChannelKey(app, chosen.channel, chosen.base_id)
    given["channel"] = str(key)
    try:
        names = sorted({offer.name for offer in channels.current(ports, key).offers})
        given["name"] = given["name"] or (names[0] if names else "")
        if not given["base"] or not given["name"]:
            return WhyNotView(there, given, tuple(names))
        (answer,) = preview.preview(ports, key, given["name"], [_profile(ports, key, given)])
    except RefusedError as error:
        return WhyNotView(there, given, wrong=error.message)
    verdicts = tuple({**verdict, "why": verdict["why"][language]} for verdict in answer["verdicts"])
    return WhyNotView(there, given, tuple(names), answer["sentence"][language], verdicts)


def _profile(ports: Ports, key: ChannelKey, given: Mapping[str, str]) -> JsonObject:
    with ports.database.read() as tx:
        heads = {head.release: head.head for head in tx.releases.heads(key.app, given["name"])}
    profile: dict[str, Any] = {"base": given["base"], "os": given["os"], "install_id": given["install_id"] or "example"}
    for name in _NUMBERS:
        text = given[name]
        profile[name] = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text or 0
    profile["floor_release"] = profile["floor_release"] or profile["current_release"]
    floor = heads.get(profile["floor_release"])
    failed = (int(text) for text in _words(given["failed"]) if text.isascii() and text.isdigit() and len(text) < 10)
    return {
        **profile,
        "groups": _words(given["groups"]),
        "quarantined": [heads[release] for release in failed if release in heads],
        **({} if floor is None else {"floor_head": floor}),
    }


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()

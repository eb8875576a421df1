"""Who would get what, of these device profiles, and why not: the decision that devices make, made here beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from headway.contract.channel import ChannelDocument
from headway.contract.compat import SENTENCES, HostProfile
from headway.contract.errors import RefusedError
from headway.contract.explain import Choice, DeviceProfile, explain
from headway.contract.parsing import Fields
from headway.contract.targets import HeadTarget
from headway.contract.versions import parse_version
from headway_server.delivery.channels import ChannelKey, current
from headway_server.ports import Ports
from headway_server.records import JsonObject

MOST_PROFILES = 1_000


def preview(ports: Ports, key: ChannelKey, name: str, profiles: Sequence[object]) -> tuple[JsonObject, ...]:
    """For each profile: the release it would hold (or null) and every reason against each candidate.

    A profile is ``{base, contract, os, app_build, install_id, groups?, current_release?, floor_release?}``. Nothing of
    it is kept.

    Raises:
        RefusedError: codes ``unknown_channel``, ``too_many_profiles``, ``malformed``.
    """
    if len(profiles) > MOST_PROFILES:
        raise RefusedError(
            "too_many_profiles",
            f"At most {MOST_PROFILES} profiles at a time.",
            hint="Ask again with the rest.",
            kind="too_large",
        )
    document = current(ports, key)
    with ports.database.read() as tx:
        records = tx.releases.heads(key.app, name)
    heads = [HeadTarget.from_json(r.custom) for r in records if r.base_id == key.base_id and r.state == "live"]
    return tuple(_rendered(_choose(name, key.app, item, document, heads)) for item in profiles)


def _choose(name: str, app: str, item: object, document: ChannelDocument, heads: Sequence[HeadTarget]) -> Choice:
    fields = Fields(item, "device profile")
    host = HostProfile(
        app=app,
        base=fields.digest("base"),
        contract=fields.digest("contract"),
        os=parse_version(fields.text("os", max_length=32), what="os"),
        app_build=fields.integer("app_build"),
    )
    profile = DeviceProfile(
        host=host,
        install_id=fields.text("install_id", max_length=128),
        groups=frozenset(fields.texts("groups", most=100) if fields.has("groups") else ()),
        current_release=fields.integer("current_release") if fields.has("current_release") else 0,
        floor_release=fields.integer("floor_release") if fields.has("floor_release") else 0,
    )
    return explain(name, profile, document, heads)


def _rendered(choice: Choice) -> JsonObject:
    return {
        "release": None if choice.chosen is None else choice.chosen.release,
        "reasons": [
            {"reason": str(reason), "en": SENTENCES[reason][0], "zh": SENTENCES[reason][1]} for reason in choice.reasons
        ],
        "verdicts": [
            {"release": v.release, "head": v.head, "reasons": [str(reason) for reason in v.reasons]}
            for v in choice.verdicts
        ],
    }

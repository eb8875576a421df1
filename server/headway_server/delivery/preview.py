"""Who would get what, of these device profiles, and why not: the decision that devices make, made here beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headway.contract.channel import ChannelDocument
from headway.contract.compat import SENTENCES, HostProfile
from headway.contract.digests import Digest, parse_digest
from headway.contract.errors import RefusedError
from headway.contract.explain import DeviceProfile, explain
from headway.contract.parsing import Fields
from headway.contract.targets import HeadTarget
from headway.contract.telling import LANGUAGES, Told, tell, tell_reasons
from headway.contract.versions import parse_version
from headway_server.delivery.channels import ChannelKey, current
from headway_server.ports import Ports
from headway_server.records import JsonObject

MOST_PROFILES = 1_000


def preview(ports: Ports, key: ChannelKey, name: str, profiles: Sequence[object]) -> tuple[JsonObject, ...]:
    """For each profile: the release it would hold (or null), one sentence, and every reason against each candidate.

    A profile is ``{base, os, app_build, install_id, contract?, groups?, current_release?, floor_release?, floor_head?,
    quarantined?, metadata_expired?, clock_behind?}``; without ``contract`` that of the registered base. Nothing of it
    is kept.

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
        records = tx.releases.heads(key.app, name, key.base_id)
        contracts = {base.package: base.contract for base in tx.releases.bases(key.app)}
    signed = [r for r in records if r.state in ("live", "revoked")]
    heads = [HeadTarget.from_json(record.custom) for record in signed]
    asked = [_profile(key.app, item, contracts) for item in profiles]
    return tuple(_rendered(name, profile, document, heads) for profile in asked)


def _profile(app: str, item: object, contracts: Mapping[Digest, Digest]) -> DeviceProfile:
    fields = Fields(item, "device profile")
    base = fields.digest("base")
    given = fields.has("contract") or base not in contracts
    host = HostProfile(
        app=app,
        base=base,
        contract=fields.digest("contract") if given else contracts[base],
        os=parse_version(fields.text("os", max_length=32), what="os"),
        app_build=fields.integer("app_build"),
    )
    quarantined = fields.texts("quarantined", most=100) if fields.has("quarantined") else ()
    return DeviceProfile(
        host=host,
        install_id=fields.text("install_id", max_length=128),
        groups=frozenset(fields.texts("groups", most=100) if fields.has("groups") else ()),
        current_release=fields.integer("current_release") if fields.has("current_release") else 0,
        floor_release=fields.integer("floor_release") if fields.has("floor_release") else 0,
        floor_head=fields.optional("floor_head", fields.digest),
        quarantined=frozenset(parse_digest(digest) for digest in quarantined),
        metadata_expired=fields.has("metadata_expired") and fields.boolean("metadata_expired"),
        clock_behind=fields.has("clock_behind") and fields.boolean("clock_behind"),
    )


def _rendered(name: str, profile: DeviceProfile, document: ChannelDocument, heads: Sequence[HeadTarget]) -> JsonObject:
    choice = explain(name, profile, document, heads)
    return {
        "release": None if choice.chosen is None else choice.chosen.release,
        "sentence": _both(tell(name, profile, choice, document, heads)),
        "reasons": [{"reason": str(reason), **_both(SENTENCES[reason])} for reason in choice.reasons],
        "verdicts": [
            {
                "release": v.release,
                "head": v.head,
                "reasons": [str(reason) for reason in v.reasons],
                "why": _both(tell_reasons(v.reasons)),
            }
            for v in choice.verdicts
        ],
    }


def _both(told: Told) -> JsonObject:
    return dict(zip(LANGUAGES, told, strict=True))

"""Which release should this device hold, and why not the others: one pure function for device, CLI and console."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from headway.contract.channel import ChannelDocument, Offer
from headway.contract.compat import HostProfile, Incompatible, Reason, judge
from headway.contract.digests import Digest
from headway.contract.rollout import in_rollout, is_excluded
from headway.contract.targets import HeadTarget


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """Everything about a device that a decision may depend on. It is evaluated where the device is.

    ``current_release`` is what it runs now (0: the embedded head). ``floor_release`` is the highest release it ever
    confirmed and ``floor_head`` that head's digest: an order off exactly that head (:func:`ordered_off`) lifts the
    floor.
    """

    host: HostProfile
    install_id: str
    groups: frozenset[str] = frozenset()
    current_release: int = 0
    floor_release: int = 0
    floor_head: Digest | None = None
    quarantined: frozenset[Digest] = frozenset()
    metadata_expired: bool = False
    clock_behind: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """One candidate release and every reason against it; no reason means it may be taken."""

    release: int
    head: Digest
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision for one head name.

    ``chosen`` is the release to hold, or None. ``verdicts`` cover every candidate, newest first. ``reasons`` sums up
    why the newest candidate was not chosen; empty when something newer than ``current_release`` was, or when there
    is nothing newer to choose. ``chosen is None`` always comes with a reason.
    """

    chosen: HeadTarget | None
    verdicts: tuple[Verdict, ...] = ()
    reasons: tuple[Reason, ...] = field(default=())


def ordered_off(channel: ChannelDocument | None, heads: Iterable[HeadTarget]) -> frozenset[Digest]:
    """Heads that a device must leave, also long after it confirmed them.

    ``heads`` are signed facts about what it holds and what it is offered. Two may order: the channel, by a recall, and
    the publisher who signed the release, by its status. Bytes that he revoked under one number and signed as live
    under another stay. What is merely absent orders nothing: old releases leave the metadata every day, and whoever
    withholds a file must not be able to change what devices run.
    """
    heads = tuple(heads)
    live = {head.head for head in heads if head.status == "live"}
    revoked = {head.head for head in heads if head.status == "revoked"} - live
    return frozenset(revoked) if channel is None else frozenset(revoked) | channel.recalled()


def explain(name: str, profile: DeviceProfile, channel: ChannelDocument, heads: Iterable[HeadTarget]) -> Choice:
    """Decide which release of ``name`` a device should hold.

    ``heads`` are verified (signed) facts; a release that the channel offers but nobody signed, or that was signed for
    another base id than the channel's, is simply not a candidate. The highest release with no reason against it wins.
    """
    heads = tuple(heads)
    offers = {offer.release: offer for offer in channel.offers if offer.name == name}
    candidates = sorted(
        (h for h in heads if h.name == name and h.base_id == channel.base_id and h.release in offers),
        key=lambda h: h.release,
        reverse=True,
    )
    recalled = channel.recalled()
    floor = 0 if profile.floor_head in ordered_off(channel, heads) else profile.floor_release
    verdicts = tuple(
        Verdict(h.release, h.head, _reasons(h, offers[h.release], profile, recalled, floor)) for h in candidates
    )
    chosen = next((h for h, v in zip(candidates, verdicts, strict=True) if not v.reasons), None)
    if chosen is not None and chosen.release > profile.current_release:
        return Choice(chosen, verdicts)
    if not verdicts:
        return Choice(None, (), (Reason.NO_COMPATIBLE_HEAD, *_staleness(profile)))
    return Choice(chosen, verdicts, verdicts[0].reasons)


def _staleness(profile: DeviceProfile) -> list[Reason]:
    stale = [Reason.EXPIRED_METADATA] if profile.metadata_expired else []
    return [*stale, Reason.CLOCK] if profile.clock_behind else stale


def _reasons(
    head: HeadTarget, offer: Offer, profile: DeviceProfile, recalled: Collection[Digest], floor: int
) -> tuple[Reason, ...]:
    reasons = _staleness(profile)
    verdict = judge(head, profile.host)
    if isinstance(verdict, Incompatible):
        reasons.extend(verdict.reasons)
    if head.head in recalled:
        reasons.append(Reason.RECALLED)
    if head.head in profile.quarantined:
        reasons.append(Reason.QUARANTINED_HERE)
    if head.release < floor:
        reasons.append(Reason.BELOW_FLOOR)
    reasons.extend(_rollout_reasons(head, offer, profile))
    order = list(Reason)
    return tuple(sorted(reasons, key=order.index))


def _rollout_reasons(head: HeadTarget, offer: Offer, profile: DeviceProfile) -> list[Reason]:
    # A device that already runs a release keeps it whatever its rollout does: only an order off takes it away.
    if head.release == profile.current_release:
        return []
    if offer.state == "halted":
        return [Reason.HALTED]
    if is_excluded(offer.rollout, profile.groups):
        return [Reason.EXCLUDED]
    if offer.state == "held" or not in_rollout(offer.rollout, profile.install_id, profile.groups):
        return [Reason.HELD_BY_ROLLOUT]
    return []

"""The channel document: what the online key may say.

It can only choose among heads that the publisher signed, narrow who gets them, order devices off one (recall), and
stop personalising. It cannot name a file or a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headway.contract.digests import Digest, canonical_json
from headway.contract.parsing import Fields, decode
from headway.contract.rollout import Rollout
from headway.contract.versions import MAX_RELEASE, parse_name

SCHEMA = 1
OFFER_STATES = ("active", "held", "halted")
DIRECTIVES = ("allow", "hold", "discard")


@dataclass(frozen=True, slots=True)
class Offer:
    """One head release offered to a share of devices.

    ``active`` offers it; ``held`` keeps it where it is and offers it to nobody new; ``halted`` says the same because
    the rollout's health stopped it. Ordering devices off a release is a :class:`Recall`, never a state.
    """

    name: str
    release: int
    state: str
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class Recall:
    """An order to leave a head, by the digest of its bytes, whoever holds it."""

    digest: Digest
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelDocument:
    """What one channel says to devices with one base. ``epoch`` grows by one at each change.

    ``personalise`` maps a head name to ``allow``, ``hold`` (train no more) or ``discard`` (also leave personal
    generations); a missing name means ``allow``.
    """

    app: str
    channel: str
    base_id: str
    epoch: int
    poll_after_s: int
    offers: tuple[Offer, ...]
    recalls: tuple[Recall, ...]
    personalise: Mapping[str, str]

    def directive(self, name: str) -> str:
        """What the channel says about personalising head ``name``."""
        return self.personalise.get(name, "allow")

    def recalled(self) -> frozenset[Digest]:
        """Digests of all recalled heads."""
        return frozenset(recall.digest for recall in self.recalls)

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_bytes`."""
        return {
            "schema": SCHEMA,
            "app": self.app,
            "channel": self.channel,
            "base_id": self.base_id,
            "epoch": self.epoch,
            "poll_after_s": self.poll_after_s,
            "offers": [
                {"name": o.name, "release": o.release, "state": o.state, "rollout": o.rollout.to_json()}
                for o in self.offers
            ],
            "recalls": [{"digest": r.digest, "reason": r.reason} for r in self.recalls],
            "personalise": dict(self.personalise),
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes: the content of the channel's file."""
        return canonical_json(self.to_json(), document="channel document")

    @classmethod
    def from_bytes(cls, data: bytes) -> ChannelDocument:
        """Read a channel document.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = decode(data, "channel document")
        fields.schema(SCHEMA)
        personalise = fields.nested("personalise")
        offers = tuple(_offer(offer) for offer in fields.objects("offers", most=1000))
        if len({(offer.name, offer.release) for offer in offers}) != len(offers):
            raise fields.wrong("offers", "a list that offers each release once")
        return cls(
            app=parse_name(fields.text("app"), what="app"),
            channel=parse_name(fields.text("channel"), what="channel"),
            base_id=parse_name(fields.text("base_id"), what="base id"),
            epoch=fields.integer("epoch", low=1),
            poll_after_s=fields.integer("poll_after_s", low=1, high=30 * 86_400),
            offers=offers,
            recalls=tuple(
                Recall(recall.digest("digest"), recall.text("reason", max_length=500))
                for recall in fields.objects("recalls", most=1000)
            ),
            personalise={
                parse_name(name, what="head name"): personalise.text(name, choices=DIRECTIVES)
                for name in personalise.names()
            },
        )


def _offer(fields: Fields) -> Offer:
    return Offer(
        name=parse_name(fields.text("name"), what="head name"),
        release=fields.integer("release", low=1, high=MAX_RELEASE),
        state=fields.text("state", choices=OFFER_STATES),
        rollout=Rollout.from_json(fields.nested("rollout")),
    )

"""The release manager's requests: what a channel offers, recalls and rollouts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headway.contract.channel import ChannelDocument
from headway.contract.digests import Digest
from headway.publisher.catalog import Catalog
from headway.publisher.http import ApiClient

Json = dict[str, Any]


class Delivery(Catalog):
    """Channels and rollouts of one app. Base of :class:`headway.publisher.registry.Registry`."""

    def __init__(self, api: ApiClient, prefix: str) -> None:
        super().__init__(api, prefix)
        self.__api = api
        self.__prefix = prefix

    def _path(self, *parts: str) -> str:
        return "/".join((self.__prefix, *parts))

    def _get(self, *parts: str) -> Json:
        return self.__api.send("GET", self._path(*parts)).json()

    def channel(self, channel: str, base_id: str) -> ChannelDocument:
        """What a channel says now to devices with a base."""
        value = self._get("channels", channel, base_id)
        return ChannelDocument.from_bytes(json.dumps(value).encode())

    def offer(
        self,
        channel: str,
        base_id: str,
        name: str,
        release: int,
        *,
        permyriad: int | None = None,
        salt: str | None = None,
        pins: Iterable[str] = (),
        excludes: Iterable[str] = (),
        schedule: Sequence[Mapping[str, int]] = (),
        policy: Mapping[str, int] | None = None,
    ) -> Json:
        """Offer a release to ``permyriad`` of 10,000 devices, then as ``schedule`` says; the rollout.

        ``schedule`` is a list of ``{"permyriad", "soak_s", "min_confirmed"}``. Offering the same again changes nothing.
        """
        body: Json = {"release": release, "pins": list(pins), "excludes": list(excludes)}
        optional = {"permyriad": permyriad, "salt": salt, "policy": None if policy is None else dict(policy)}
        body |= {key: value for key, value in optional.items() if value is not None}
        body["schedule"] = [dict(stage) for stage in schedule]
        return self.__api.send("PUT", self._path("channels", channel, base_id, "offers", name), body=body).json()

    def yank(self, channel: str, base_id: str, name: str, release: int) -> Json:
        """Stop offering a release; devices that have it keep it."""
        path = self._path("channels", channel, base_id, "offers", name, str(release))
        return self.__api.send("DELETE", path).json()

    def recall(self, channel: str, base_id: str, digest: Digest, reason: str) -> bool:
        """Order devices off a head by the digest of its bytes; False if it was recalled already."""
        path = self._path("channels", channel, base_id, "recalls")
        return self.__api.send("POST", path, body={"digest": digest, "reason": reason}).status == 201

    def personalise(self, channel: str, base_id: str, name: str, directive: str) -> None:
        """Say whether devices may train a head: ``allow``, ``hold`` or ``discard``."""
        path = self._path("channels", channel, base_id, "personalise", name)
        self.__api.send("PUT", path, body={"directive": directive})

    def set_poll_interval(self, channel: str, base_id: str, poll_after_s: int) -> None:
        """Say how often devices of a channel poll, in seconds."""
        self.__api.send("PUT", self._path("channels", channel, base_id), body={"poll_after_s": poll_after_s})

    def rollouts(self) -> list[Json]:
        """All rollouts with what devices reported of them."""
        return list(self._get("rollouts").get("rollouts", []))

    def rollout(self, rollout: str) -> Json:
        """One rollout."""
        return self._get("rollouts", rollout)

    def decisions(self, rollout: str) -> list[Json]:
        """Every decision about a rollout, oldest first, each with its inputs."""
        return list(self._get("rollouts", rollout, "decisions").get("decisions", []))

    def advance(self, rollout: str) -> Json:
        """Go on to the next stage, or resume a held rollout. Never repeated by itself: twice is two stages."""
        return self._command(rollout, "advance")

    def hold(self, rollout: str) -> Json:
        """Offer it to nobody new."""
        return self._command(rollout, "hold")

    def halt(self, rollout: str) -> Json:
        """Stop it for good."""
        return self._command(rollout, "halt")

    def tick(self, rollout: str) -> Json:
        """Let the registry decide about a rollout now; ``{"decision", "rollout"}``."""
        return self._command(rollout, "tick")

    def outcomes(self) -> list[Json]:
        """Counts of what devices reported."""
        return list(self._get("outcomes").get("outcomes", []))

    def _command(self, rollout: str, action: str) -> Json:
        path = self._path("rollouts", rollout, action)
        return self.__api.send("POST", path, repeatable=False).json()

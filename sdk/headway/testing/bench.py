"""A test bench: one app on a real registry, with the project's fixtures, and phones that follow it.

It is what the pytest fixtures hand out, and works without pytest too. Everything is real but time, the network's
faults, the disk (in memory) and the people.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from headway.contract.digests import Digest, digest_of
from headway.device.bundle import AppBundle, AppConfig, write_bundle
from headway.device.models import Runtime
from headway.fleet.conditions import Weather, conditions_named
from headway.fleet.corpus import Fixtures
from headway.fleet.encoder import Encoder
from headway.fleet.network import Line
from headway.fleet.phone import Installation, Phone
from headway.fleet.publishing import Established, HeadFolder, establish, publish_the_base, publish_the_head
from headway.fleet.rehearsal import BASE_ID
from headway.fleet.scenario import AppPolicy
from headway.fleet.users import User
from headway.fleet.world import DayAndNight, SimulatedClock
from headway.publisher.registry import Registry


@dataclass(slots=True)
class Bench:
    """One app: publish, offer and recall heads; build its bundle; make phones. ``heads`` are digests by release."""

    app: Established
    fixtures: Fixtures
    encoder: Encoder
    folder: Path
    head_name: str = "topic"
    channel: str = "stable"
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(1_800_000_000.0))
    power: DayAndNight = field(default_factory=DayAndNight)
    policy: AppPolicy = field(default_factory=AppPolicy)
    heads: dict[int, Digest] = field(default_factory=dict)
    _bundle: AppBundle | None = None

    @classmethod
    def create(cls, registry: Registry, fixtures: Fixtures, encoder: Encoder, folder: Path, *, now: float) -> Bench:
        """A new app with keys in ``folder``, trust and the base published.

        ``encoder`` runs the base once for everybody; ``now`` starts the simulated clock.
        """
        app = establish(registry, BASE_ID, folder / "keys")
        publish_the_base(app, fixtures.base)
        return cls(app, fixtures, encoder, folder, clock=SimulatedClock(now))

    @property
    def registry(self) -> Registry:
        """The publisher's client of this app."""
        return self.app.registry

    def publish(self, folder: Path, release: int, *, parent: int | None = None, rebase: str = "replay") -> Digest:
        """Prove, sign and publish a head release; the digest of its head."""
        head = HeadFolder(folder, release, self.heads.get(parent or 0), rebase)
        publish_the_head(self.app, self.head_name, head, [self.fixtures.base])
        self.heads[release] = digest_of((folder / "head.mlmodel").read_bytes())
        return self.heads[release]

    def offer(self, release: int, *, permyriad: int = 10_000) -> str:
        """Offer a release on the channel; the rollout's id."""
        offered = self.registry.offer(self.channel, BASE_ID, self.head_name, release, permyriad=permyriad, salt="bench")
        return str(offered["id"])

    def recall(self, release: int, reason: str = "test") -> None:
        """Order devices off a release."""
        self.registry.recall(self.channel, BASE_ID, self.heads[release], reason)

    def bundle(self, embedded: str = "topic-1") -> AppBundle:
        """The app as built with a fixture head inside (as release 1); built once."""
        if self._bundle is None:
            config = AppConfig.for_registry(
                self.registry.url, self.registry.app, self.channel, BASE_ID, 1, {self.head_name: 1}
            )
            heads = {self.head_name: self.fixtures.head(embedded)}
            self._bundle = write_bundle(self.folder / "app", config, self.app.root, self.fixtures.base, heads)
        return self._bundle

    def phone(self, name: str, user: User, *, network: str = "good") -> Phone:
        """A phone with this app, its own disk and line; equal names have equal luck."""
        shared = Installation(
            bundle=self.bundle(),
            runtime=Runtime(self.encoder.contract, lambda: self.encoder),
            clock=self.clock,
            power=self.power,
            head_name=self.head_name,
            poll_after_s=3600,
            policy=self.policy,
        )
        line = Line(httpx2.HTTPTransport(), Weather(conditions_named(network), name))
        return Phone(name, user, line, shared, seed=name)

    def live(self, phones: list[Phone], hours: float, *, texts: int = 8) -> None:
        """Let ``hours`` pass in steps of half an hour: phones poll when they are due, and their people use them."""
        end = self.clock.elapsed + hours * 3600
        while self.clock.elapsed < end:
            self.clock.advance_to(self.clock.elapsed + 1800)
            for phone in phones:
                phone.poll()
                phone.use(texts)

"""Killed at every point of a change: devices see one consistent set, and repeating the change finishes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import event

from headway.trust.bins import HeadRoles, arranged
from headway.trust.client import TrustedClient
from headway.trust.ports import Fetched
from headway.trust.repository import Holders
from headway.trust.roles import entries
from headway.trust.wire import add_signatures
from headway_server.app import make_ports
from headway_server.catalog import trust
from headway_server.catalog.signed_heads import update_heads
from headway_server.delivery import rollouts
from headway_server.delivery.channels import ChannelKey
from headway_server.delivery.rollouts import OfferRequest
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor, Ports
from headway_server.publication.mirror import mirror_all
from headway_server.settings import Settings
from headway_server.storage.filesystem import FilesystemStore

from . import mortal
from .conftest import Prepared, connect, start
from .mortal import Tripwire
from .world import FakeClock, PublisherWorld

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
ACTOR = Actor("test", "-")
Change = Callable[[Ports], object]


class MortalStore(FilesystemStore):
    """A real store with a tripwire before each write and in the middle of it."""

    def __init__(self, root: Path, wire: Tripwire) -> None:
        super().__init__(root)
        self.wire = wire

    def replace(self, path: str, data: bytes) -> None:
        self.wire()
        super().replace(path, data)

    def _write(self, target, chunks):  # type: ignore[no-untyped-def]
        def mortal():  # type: ignore[no-untyped-def]
            for chunk in chunks:
                yield chunk[: len(chunk) // 2]
                self.wire()
                yield chunk[len(chunk) // 2 :]

        super()._write(target, mortal())


def open_ports(folder: Path) -> Ports:
    """A server's ports over a folder that is migrated already: what a restarted process has."""
    return make_ports(Settings(data_dir=folder), clock=FakeClock(), examiner=AbsentExaminer())


def in_child(folder: Path, change: Change, at: int) -> int | None:
    """Run ``change`` on a folder in a process that dies at point ``at``; how many points there were if it lived."""

    def changed(wire: Tripwire) -> None:
        ports = open_ports(folder)
        event.listen(ports.database.engine, "commit", wire)  # type: ignore[attr-defined]
        change(replace(ports, store=MortalStore(folder / "public", wire)))

    return mortal.in_child(changed, at)


class FolderFetcher:
    """The public tree as any web server would serve it: files by path, nothing else."""

    def __init__(self, public: Path) -> None:
        self.public = public

    def fetch(self, url: str, *, max_bytes: int, etag: str | None = None) -> Fetched:
        file = self.public / url.removeprefix("http://registry.test/")
        return Fetched(200, file.read_bytes()) if file.is_file() else Fetched(404, b"")


@dataclass(frozen=True)
class Scene:
    """A prepared folder, its publisher, and the change under test."""

    folder: Path
    world: PublisherWorld
    change: Change


@pytest.fixture(params=["role", "split", "offer"])
def scene(request: pytest.FixtureRequest, prepared: dict[bool, Prepared], tmp_path: Path) -> Scene:
    folder = tmp_path / "start"
    shutil.copytree(prepared[True].folder, folder)
    clock = FakeClock()
    server = start(Settings(data_dir=folder), clock)
    world = PublisherWorld(connect(server), prepared[True].admin, "reader", clock)
    world.files, world.packages = prepared[True].world.files, dict(prepared[True].world.packages)
    draft = world.draft_head(2)
    assert world.register_head(draft).status_code == 201
    signed = world.head_role(draft)
    heads = entries(signed, "heads-kd")
    drafts = arranged(HeadRoles("kd", 1), heads, Holders((world.publisher.public,)), {"heads-kd": 2}, now=world.now)
    split = {role: add_signatures(data, role, [world.publisher]) for role, data in drafts.items()}
    server.ports.database.close()  # type: ignore[attr-defined]
    if request.param == "role":
        return Scene(folder, world, lambda ports: trust.update(ports, ACTOR, "reader", "heads-kd", signed))
    if request.param == "split":
        return Scene(folder, world, lambda ports: update_heads(ports, ACTOR, "reader", split))
    key, offer = ChannelKey("reader", "stable", "kd"), OfferRequest("topic", 1, 10_000, salt="s")
    return Scene(folder, world, lambda ports: rollouts.offer(ports, ACTOR, key, offer))


def seen_by_a_device(folder: Path, world: PublisherWorld, store: Path) -> tuple[list[int], int | None]:
    """Releases and the channel's epoch as a real client trusts them; raises if anything does not fit together."""
    assert world.files is not None
    root = "http://registry.test/apps/reader"
    device = TrustedClient(
        store, f"{root}/metadata", f"{root}/targets", world.files.root, FolderFetcher(folder / "public"),
        lambda: datetime.fromtimestamp(world.clock(), UTC),
    )  # fmt: skip
    device.refresh()
    channel = device.channel("stable", "kd")
    return [h.target.release for h in device.heads("kd")], None if channel is None else channel.document.epoch


def test_killed_at_every_point(scene: Scene, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(scene.folder, whole)
    points = list(mortal.points_of(lambda at: in_child(whole, scene.change, at), least=8))
    after = seen_by_a_device(whole, scene.world, tmp_path / "device-whole")
    before = seen_by_a_device(scene.folder, scene.world, tmp_path / "device-before")
    assert after != before
    for at, point in points:
        folder, device = tmp_path / f"killed-{at}", tmp_path / f"device-{at}"
        shutil.copytree(scene.folder, folder)
        assert in_child(folder, scene.change, at) is None
        assert seen_by_a_device(folder, scene.world, device) in (before, after), point
        # A restart heals the public tree; sending the change again finishes it, and no device ever goes back.
        ports = open_ports(folder)
        mirror_all(ports)
        assert seen_by_a_device(folder, scene.world, device) in (before, after)
        scene.change(ports)
        assert seen_by_a_device(folder, scene.world, device) == after
        ports.database.close()  # type: ignore[attr-defined]
        shutil.rmtree(folder)


def test_two_publishers_race(published: PublisherWorld) -> None:
    """Both sign version 3 on top of version 2: one is published, the other is told to sign again on top."""
    first, second = published.draft_head(2), published.draft_head(3)
    assert published.register_head(first).status_code == 201
    assert published.register_head(second).status_code == 201
    current = published.role("heads-kd")
    answers: list[httpx2.Response] = [
        published.post_role("heads-kd", published.head_role(draft, current)) for draft in (first, second)
    ]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json()["data"]["expected"] == 4
    assert published.post_role("heads-kd", published.head_role(second)).status_code == 200


def test_many_at_once(published: PublisherWorld) -> None:
    """Ten threads offer, report and publish at once: nothing fails but by losing the race for a role."""
    from concurrent.futures import ThreadPoolExecutor

    drafts = [published.draft_head(release) for release in range(2, 6)]
    for draft in drafts:
        assert published.register_head(draft).status_code == 201
    published.offer(1)

    def publish(draft) -> int:  # type: ignore[no-untyped-def]
        for _ in range(20):
            answer = published.post_role("heads-kd", published.head_role(draft))
            if answer.status_code != 409:
                return answer.status_code
        return 409

    def personalise(number: int) -> int:
        path = f"/channels/stable/kd/personalise/topic-{number}"
        return published.call("PUT", path, json={"directive": "hold"}).status_code

    def report(number: int) -> int:
        return published.report(published.event(published.draft_head(1), "confirmed", number)).status_code

    with ThreadPoolExecutor(10) as pool:
        jobs = [pool.submit(publish, d) for d in drafts[:2]]
        jobs += [pool.submit(personalise, n) for n in range(6)] + [pool.submit(report, n) for n in range(12)]
        done = [job.result() for job in jobs]
    assert sorted(set(done)) == [200, 202], done
    assert published.call("GET", "/channels/stable/kd").json()["epoch"] == 7
    assert published.call("GET", "/rollouts").json()["rollouts"][0]["counts"] == {"confirmed": 12}

"""Publishing from end to end: a real publisher, real signatures, and a real client that trusts the result."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from headway.contract.channel import ChannelDocument
from headway.trust.client import TrustedClient
from headway.trust.ports import Fetched

from .world import FakeClock, PublisherWorld


class HttpFetcher:
    """A device's fetcher over the in-process client."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client

    def fetch(self, url: str, *, max_bytes: int, etag: str | None = None) -> Fetched:
        headers = {} if etag is None else {"If-None-Match": etag}
        answer = self.client.get(url, headers=headers)
        return Fetched(answer.status_code, answer.content, {k.lower(): v for k, v in answer.headers.items()})


def device(world: PublisherWorld, folder: Path, clock: FakeClock) -> TrustedClient:
    assert world.files is not None
    root = f"http://registry.test/apps/{world.app}"
    return TrustedClient(
        folder,
        f"{root}/metadata",
        f"{root}/targets",
        world.files.root,
        HttpFetcher(world.client),
        lambda: datetime.fromtimestamp(clock(), UTC),
    )


def test_a_device_sees_what_was_published(published: PublisherWorld, tmp_path: Path, clock: FakeClock) -> None:
    assert published.offer(1).status_code == 201
    client = device(published, tmp_path / "device", clock)
    client.refresh()
    heads = client.heads("kd")
    assert [(h.target.name, h.target.release) for h in heads] == [("topic", 1)]
    channel: Any = client.channel("stable", "kd")
    document: ChannelDocument = channel.document
    assert [(o.name, o.release, o.state) for o in document.offers] == [("topic", 1, "active")]

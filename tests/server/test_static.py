"""The read path: static files with strong entity tags, 304, ranges and cache headers; the database is not asked."""

from __future__ import annotations

import json
import re

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway_server.app import Server

from .world import PublisherWorld, head_files

TIMESTAMP = "/apps/reader/metadata/timestamp.json"


def artifact(published: PublisherWorld) -> str:
    return f"/apps/reader/artifacts/{hex_of(digest_of(head_files('reader/topic/1')['head.mlmodel']))}"


def test_polling(published: PublisherWorld) -> None:
    client = published.client
    first = client.get(TIMESTAMP)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"] == "application/json"
    etag = first.headers["etag"]
    assert not etag.startswith("W/")
    again = client.get(TIMESTAMP, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    published.publish_head(2)
    changed = client.get(TIMESTAMP, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize("tags", ['"x", {}', "*", "W/{}"], ids=["list", "star", "weak"])
def test_unusual_conditions_are_understood_too(published: PublisherWorld, tags: str) -> None:
    etag = published.client.get(TIMESTAMP).headers["etag"]
    answer = published.client.get(TIMESTAMP, headers={"If-None-Match": tags.format(etag)})
    assert answer.status_code == 304


def test_head_requests(published: PublisherWorld) -> None:
    answer = published.client.head(TIMESTAMP)
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) == len(published.client.get(TIMESTAMP).content)


def test_versioned_metadata_is_immutable(published: PublisherWorld) -> None:
    snapshot = json.loads(published.client.get(TIMESTAMP).content)["signed"]["meta"]["snapshot.json"]
    path = f"/apps/reader/metadata/{snapshot['version']}.snapshot.json"
    answer = published.client.get(path)
    assert hex_of(digest_of(answer.content)) == snapshot["hashes"]["sha256"]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert published.client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_artifacts_carry_their_digest(published: PublisherWorld) -> None:
    path = artifact(published)
    answer = published.client.get(path)
    assert answer.content == head_files("reader/topic/1")["head.mlmodel"]
    assert answer.headers["etag"] == f'"{path.rsplit("/", 1)[1]}"'
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_large_artifact_in_ranges(published: PublisherWorld) -> None:
    data = bytes(range(256)) * 2000
    published.upload(data)
    path = f"/apps/reader/artifacts/{hex_of(digest_of(data))}"
    whole = published.client.get(path)
    assert whole.content == data
    part = published.client.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, data[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(data)}"
    rest = published.client.get(path, headers={"Range": f"bytes={len(data) - 7}-"})
    assert (rest.status_code, rest.content) == (206, data[-7:])
    resumed = {"Range": "bytes=5-9", "If-Range": whole.headers["etag"]}
    assert published.client.get(path, headers=resumed).status_code == 206
    stale = {"Range": "bytes=5-9", "If-Range": '"another"'}
    assert published.client.get(path, headers=stale).content == data
    beyond = published.client.get(path, headers={"Range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416


def test_only_public_files_are_reachable(server: Server, published: PublisherWorld) -> None:
    for path in (
        "/apps/reader/keys/timestamp.pem",
        "/apps/reader/metadata/../../../headway.db",
        "/apps/reader/metadata/%2e%2e/%2e%2e/%2e%2e/%2e%2e/headway.db",
        "/apps/../keys/reader/timestamp.pem",
        "/apps/reader/targets/%2e%2e/metadata/timestamp.json",
        "/apps/.incoming/metadata/timestamp.json",
        "/apps/reader/metadata//timestamp.json",
    ):
        assert published.client.get(path).status_code in (404, 308), path


def test_the_read_path_never_asks_the_database(server: Server, published: PublisherWorld) -> None:
    from sqlalchemy import event

    asked: list[str] = []
    engine = server.ports.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    client = published.client
    client.get(TIMESTAMP)
    client.get(TIMESTAMP, headers={"If-None-Match": client.get(TIMESTAMP).headers["etag"]})
    client.get(artifact(published))
    client.get("/apps/reader/metadata/1.root.json")
    client.get("/apps/nobody/metadata/timestamp.json")
    assert asked == []


def test_everything_signed_is_in_the_public_tree(published: PublisherWorld) -> None:
    """Walk from the timestamp as a client would: every file that signed metadata names is there, byte for byte."""
    published.offer(1)
    client = published.client
    stamp = json.loads(client.get(TIMESTAMP).content)["signed"]
    snapshot = client.get(f"/apps/reader/metadata/{stamp['meta']['snapshot.json']['version']}.snapshot.json")
    seen = 0
    for name, meta in snapshot.json()["signed"]["meta"].items():
        role = client.get(f"/apps/reader/metadata/{meta['version']}.{name}")
        assert hex_of(digest_of(role.content)) == meta["hashes"]["sha256"]
        for path, target in role.json()["signed"]["targets"].items():
            folder, _, file = path.rpartition("/")
            answer = client.get(f"/apps/reader/targets/{folder}/{target['hashes']['sha256']}.{file}")
            assert hex_of(digest_of(answer.content)) == target["hashes"]["sha256"]
            seen += 1
    assert seen == 3


def test_metrics_count_requests(published: PublisherWorld) -> None:
    published.client.get("/healthz")
    published.client.get(TIMESTAMP)
    text = published.client.get("/metrics").text
    assert re.search(r'headway_requests_total\{endpoint="devices.metadata",status="200"\} 1\.0', text)
    assert "headway_request_seconds_count" in text


def test_health(client: httpx2.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}

"""What ``benchmarks/registry.py`` fills a registry with: an app, a base, heads, and the reports of devices."""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2

from headway.contract.digests import digest_of
from headway.contract.features import FeatureContract
from headway.trust.keys import SigningKey
from headway.trust.online import OnlineKeys
from headway.trust.repository import Holders, TrustFiles, TrustPlan, create_trust

CONTRACT = FeatureContract("features", (512,), "float32", "bench/1", digest_of(b"vocabulary"), 64)
PACKAGE = digest_of(b"package")


def seed(port: int, token: str) -> str:
    """An app ``bench`` with trust and one 6 kB artifact; that artifact's address."""
    client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"})
    answer = client.post("/v1/apps", json={"app": "bench"}).raise_for_status()
    online = OnlineKeys.from_json(answer.json()["online_keys"])
    keys = tuple(SigningKey.generate() for _ in range(3))
    holders = Holders(tuple(key.public for key in keys), 2)
    one = Holders((keys[0].public,))
    files = create_trust(TrustPlan("bench", holders, holders, one, {"kd": one}, online), keys, now=datetime.now(UTC))
    client.post("/v1/apps/bench/trust", json=_trust(files)).raise_for_status()
    data = os.urandom(6_000)
    client.put(f"/v1/apps/bench/artifacts/{digest_of(data)}", content=data).raise_for_status()
    return f"/apps/bench/artifacts/{digest_of(data)[7:]}"


def _trust(files: TrustFiles) -> dict[str, Any]:
    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    delegated = {role: text(data) for role, data in files.delegated.items()}
    return {"root": text(files.root), "targets": text(files.targets), "delegated": delegated}


def add_base(url: str) -> None:
    """A base record without its model: the benchmark is about reports and polls, not about examining models."""
    from headway_server.db.engine import SqlDatabase
    from headway_server.records import BaseRecord

    base = BaseRecord(
        "bench", "kd", "1", PACKAGE, CONTRACT.digest, CONTRACT.to_json(), digest_of(b"m"), 1, {}, None, "benchmark",
        "registered", int(time.time()),
    )  # fmt: skip
    database = SqlDatabase(url)
    with database.write("bench") as tx:
        tx.releases.add_base(base)
    database.close()


def add_heads(url: str, total: int) -> None:
    """Put ``total`` head releases into a database that has none."""
    from sqlalchemy import insert

    from headway_server.db import tables
    from headway_server.db.engine import make_engine
    from headway_server.db.rows import values_of

    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(tables.heads), [values_of(_head(release)) for release in range(1, total + 1)])
    engine.dispose()


def _head(release: int) -> Any:
    from headway_server.records import HeadRecord

    digest = digest_of(str(release).encode())
    return HeadRecord(
        "bench", "kd", "topic", release, digest, None, CONTRACT.digest, digest, ("a", "b"), digest, 6_000, {}, None,
        "benchmark", "registered", int(time.time()),
    )  # fmt: skip


def reports() -> Callable[[], bytes]:
    """Makes reports of one device after the other, of one to three events each, about the head in the app's bundle."""
    chance = random.Random(20_260_301)
    numbers: Iterator[int] = itertools.count(int.from_bytes(os.urandom(7), "big"))
    about = {"schema": 1, "kind": "personalised", "channel": "stable", "base": PACKAGE, "name": "topic", "release": 0}
    event = json.dumps({**about, "head": digest_of(b"embedded"), "gain": "1-5", "event": "%s"}).encode()

    def report() -> bytes:
        # Random as a device's ids are: an index has no order to profit from.
        names = [b"%016x%016x" % (chance.getrandbits(64), next(numbers)) for _ in range(chance.randint(1, 3))]
        return b'{"app": "bench", "events": [%s]}' % b", ".join(event % name for name in names)

    return report


def counted(url: str) -> tuple[int, int]:
    """Events in the database, one by one and by its counters: both must be what was acknowledged."""
    from headway_server.db.engine import SqlDatabase

    database = SqlDatabase(url)
    with database.read() as tx:
        found = tx.outcomes.older_than("bench", 2**40), sum(row[5] for row in tx.outcomes.totals("bench"))
    database.close()
    return found

"""Values that the trust tests share: fixed keys, a fixed moment, well-formed facts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from headway.contract.digests import Digest, digest_of
from headway.contract.targets import BaseTarget, HeadTarget, ProvenBase
from headway.trust.keys import SigningKey
from headway.trust.online import OnlineKeys
from headway.trust.repository import Holders, TrustFiles, TrustPlan, create_trust

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BASE_ID = "kd"
APP = "reader"


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


ROOTS = tuple(key(f"root-{n}") for n in range(3))
TARGETS = tuple(key(f"targets-{n}") for n in range(3))
PUBLISHER = key("publisher")
CHANNELS, SNAPSHOT, TIMESTAMP = key("channels"), key("snapshot"), key("timestamp")
ONLINE = OnlineKeys(CHANNELS.public, SNAPSHOT.public, TIMESTAMP.public)
OFFLINE = (*ROOTS, *TARGETS, PUBLISHER)

PLAN = TrustPlan(
    app=APP,
    root=Holders(tuple(k.public for k in ROOTS), 2),
    targets=Holders(tuple(k.public for k in TARGETS), 2),
    bases=Holders((PUBLISHER.public,)),
    heads={BASE_ID: Holders((PUBLISHER.public,))},
    online=ONLINE,
)

BASE = BaseTarget(APP, BASE_ID, "1", digest_of(b"package"), digest_of(b"contract"), 100, "live")
HEAD = HeadTarget(
    app=APP,
    base_id=BASE_ID,
    name="topic",
    release=1,
    head=digest_of(b"head"),
    parent=None,
    bases=(ProvenBase(BASE.package, digest_of(b"proof")),),
    contract=BASE.contract,
    labels=digest_of(b"labels"),
    num_classes=3,
    min_os=(17, 0, 0),
    max_os=None,
    min_app_build=1,
    status="live",
    rebase="replay",
    bytes=10,
)


def head(release: int, name: str = "topic", **changes: object) -> HeadTarget:
    fields: dict[str, object] = {
        "release": release,
        "name": name,
        "head": Digest(digest_of(f"{name}{release}".encode())),
    }
    return replace(HEAD, **{**fields, **changes})  # type: ignore[arg-type]


def manifest(release: int, name: str = "topic") -> bytes:
    return f"manifest of {name}@{release}".encode()


def trust(now: datetime = NOW) -> TrustFiles:
    return create_trust(PLAN, OFFLINE, now=now)

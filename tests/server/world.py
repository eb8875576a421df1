"""A publisher with real keys against the real server: signs, uploads and registers as the SDK does, over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2

from headway.contract.digests import Digest, digest_of
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest, ManifestFile
from headway.contract.proof import Proof
from headway.contract.targets import BaseTarget, HeadTarget, ProvenBase
from headway.contract.tokenizer import Tokenizer
from headway.trust.dsse import Provenance, sign
from headway.trust.keys import SigningKey
from headway.trust.online import OnlineKeys
from headway.trust.repository import Holders, TrustFiles, TrustPlan, create_trust
from headway.trust.roles import TargetEntry, base_entry, head_entry, sign_bases, sign_heads
from headway.trust.simulator import seeded_key

START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
VOCABULARY = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n"
CONTRACT = FeatureContract("features", (8,), "float32", "kd/1", Tokenizer.from_bytes(VOCABULARY).digest, 32)
LABELS = ["film", "music", "travel"]


class FakeClock:
    """Whole seconds since 1970 that only move when told to."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: int) -> None:
        self.now += seconds


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def manifest_of(kind: str, app: str, name: str, version: str, files: Mapping[str, bytes]) -> Manifest:
    """The manifest of a release with these files."""
    entries = tuple(
        ManifestFile(path, digest_of(data), len(data), "application/octet-stream")
        for path, data in sorted(files.items())
    )
    return Manifest(kind, app, name, version, entries, {"made": "for a test"})


def base_files(marker: str = "1") -> dict[str, bytes]:
    return {
        "base.mlpackage/Manifest.json": b'{"marker":"%b"}' % marker.encode(),
        "base.mlpackage/Data/model.mlmodel": b"weights " + marker.encode(),
        "contract.json": CONTRACT.to_bytes(),
        "vocab.txt": VOCABULARY,
    }


def head_files(marker: str) -> dict[str, bytes]:
    return {
        "head.mlmodel": b"head " + marker.encode(),
        "golden.safetensors": b"golden " + marker.encode(),
        "labels.json": json.dumps(LABELS).encode(),
        "card.json": b"{}",
    }


def proof_of(head: Digest, base: Digest, golden: Digest, contract: Digest) -> Proof:
    return Proof(head, base, golden, contract, 16, 5, 5, 10_000, 9_500, True, "a test")


@dataclass(frozen=True, slots=True)
class HeadDraft:
    """Everything a publisher sends about a head; ``replace`` a part to make it wrong."""

    target: HeadTarget
    manifest: Manifest
    files: dict[str, bytes]
    proofs: tuple[Proof, ...]


class PublisherWorld:
    """One app's publisher and its HTTP client."""

    def __init__(
        self, client: httpx2.Client, token: str, app: str, clock: Callable[[], int], base_ids: tuple[str, ...] = ("kd",)
    ) -> None:
        self.client, self.app, self.clock, self.base_ids = client, app, clock, base_ids
        self.headers = {"Authorization": f"Bearer {token}"}
        self.root_keys = tuple(seeded_key(f"{app}/root/{n}") for n in range(3))
        self.targets_keys = tuple(seeded_key(f"{app}/targets/{n}") for n in range(3))
        self.publisher = seeded_key(f"{app}/publisher")
        self.files: TrustFiles | None = None
        self.packages: dict[str, Digest] = {}

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def url(self) -> str:
        return f"/v1/apps/{self.app}"

    def call(self, method: str, path: str, **kwargs: Any) -> httpx2.Response:
        """A request below the app's address."""
        headers = {**self.headers, **kwargs.pop("headers", {})}
        return self.client.request(method, self.url + path, headers=headers, **kwargs)

    def plan(self, online: OnlineKeys) -> TrustPlan:
        publisher = Holders((self.publisher.public,))
        return TrustPlan(
            self.app,
            Holders(tuple(k.public for k in self.root_keys), 2),
            Holders(tuple(k.public for k in self.targets_keys), 2),
            publisher,
            dict.fromkeys(self.base_ids, publisher),
            online,
        )

    @property
    def offline(self) -> tuple[SigningKey, ...]:
        return (*self.root_keys, *self.targets_keys, self.publisher)

    def create(self) -> OnlineKeys:
        answer = self.client.post("/v1/apps", json={"app": self.app}, headers=self.headers)
        assert answer.status_code in (200, 201), answer.text
        return OnlineKeys.from_json(answer.json()["online_keys"])

    def establish(self) -> httpx2.Response:
        """Create the app and send its first metadata."""
        self.files = create_trust(self.plan(self.create()), self.offline, now=self.now)
        return self.send_trust(self.files)

    def send_trust(self, files: TrustFiles) -> httpx2.Response:
        body = {
            "root": encoded(files.root),
            "targets": encoded(files.targets),
            "delegated": {role: encoded(data) for role, data in files.delegated.items()},
        }
        return self.call("POST", "/trust", json=body)

    def upload(self, data: bytes, digest: Digest | None = None) -> httpx2.Response:
        return self.call("PUT", f"/artifacts/{digest or digest_of(data)}", content=data)

    def role(self, role: str) -> bytes:
        answer = self.call("GET", f"/roles/{role}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def post_role(self, role: str, data: bytes) -> httpx2.Response:
        return self.call("POST", f"/roles/{role}", content=data)

    def register_base(self, version: str = "1", base_id: str = "kd", **changes: Any) -> httpx2.Response:
        files = base_files(f"{base_id}/{version}")
        for data in files.values():
            assert self.upload(data).status_code in (200, 201)
        manifest = manifest_of("base", self.app, base_id, version, files)
        self.packages[base_id] = manifest.package_digest("base.mlpackage")
        provenance = sign(Provenance.of_manifest(manifest, builder="test", materials={}), [self.publisher])
        body = {"base_id": base_id, "version": version, "manifest": encoded(manifest.to_bytes())}
        return self.call("POST", "/bases", json={**body, "provenance": provenance, **changes})

    def publish_base(self, version: str = "1", base_id: str = "kd") -> BaseTarget:
        """Register and sign a base."""
        answer = self.register_base(version, base_id)
        assert answer.status_code == 201, answer.text
        target = BaseTarget.from_json(answer.json()["custom"])
        manifest = manifest_of("base", self.app, base_id, version, base_files(f"{base_id}/{version}"))
        entry = base_entry(target, manifest.to_bytes())
        signed = sign_bases(self.role("bases"), [entry], [self.publisher], now=self.now)
        done = self.post_role("bases", signed)
        assert done.status_code == 200, done.text
        return target

    def draft_head(self, release: int, name: str = "topic", base_id: str = "kd", **changes: Any) -> HeadDraft:
        files = head_files(f"{self.app}/{name}/{release}")
        manifest = manifest_of("head", self.app, name, str(release), files)
        head, base = manifest.file("head.mlmodel").digest, self.packages[base_id]
        proof = proof_of(head, base, manifest.file("golden.safetensors").digest, CONTRACT.digest)
        target = HeadTarget(
            app=self.app,
            base_id=base_id,
            name=name,
            release=release,
            head=head,
            parent=None,
            bases=(ProvenBase(base, proof.digest),),
            contract=CONTRACT.digest,
            labels=manifest.file("labels.json").digest,
            num_classes=len(LABELS),
            min_os=(17, 0, 0),
            max_os=None,
            min_app_build=1,
            status="live",
            rebase="replay",
            bytes=manifest.total_bytes,
        )
        return HeadDraft(replace(target, **changes), manifest, files, (proof,))

    def register_head(self, draft: HeadDraft, *, upload: bool = True, **changes: Any) -> httpx2.Response:
        if upload:
            for data in draft.files.values():
                assert self.upload(data).status_code in (200, 201)
        provenance = sign(Provenance.of_manifest(draft.manifest, builder="test", materials={}), [self.publisher])
        body = {
            "base_id": draft.target.base_id,
            "name": draft.target.name,
            "release": draft.target.release,
            "manifest": encoded(draft.manifest.to_bytes()),
            "custom": draft.target.to_json(),
            "proof": [proof.to_json() for proof in draft.proofs],
            "provenance": provenance,
        }
        return self.call("POST", "/heads", json={**body, **changes})

    def head_role(self, draft: HeadDraft, current: bytes | None = None) -> bytes:
        role = f"heads-{draft.target.base_id}"
        entry: TargetEntry = head_entry(draft.target, draft.manifest.to_bytes())
        before = self.role(role) if current is None else current
        return sign_heads(before, draft.target.base_id, [entry], [self.publisher], now=self.now)

    def publish_head(self, release: int, name: str = "topic", base_id: str = "kd", **changes: Any) -> HeadDraft:
        """Register and sign a head release."""
        draft = self.draft_head(release, name, base_id, **changes)
        answer = self.register_head(draft)
        assert answer.status_code == 201, answer.text
        done = self.post_role(f"heads-{base_id}", self.head_role(draft))
        assert done.status_code == 200, done.text
        return draft

    def revoke(self, draft: HeadDraft) -> httpx2.Response:
        """Sign a head release as revoked."""
        return self.post_role(
            f"heads-{draft.target.base_id}",
            self.head_role(replace(draft, target=replace(draft.target, status="revoked"))),
        )

    def offer(self, release: int, name: str = "topic", channel: str = "stable", **body: Any) -> httpx2.Response:
        content = {"release": release, "permyriad": 10_000, **body}
        if "schedule" in body and "permyriad" not in body:
            content.pop("permyriad")
        return self.call("PUT", f"/channels/{channel}/kd/offers/{name}", json=content)

    def event(self, draft: HeadDraft, kind: str, number: int, **changes: Any) -> dict[str, Any]:
        """One outcome of a device."""
        value = {
            "schema": 1,
            "event": f"{number:032x}",
            "kind": kind,
            "channel": "stable",
            "base": self.packages[draft.target.base_id],
            "name": draft.target.name,
            "release": draft.target.release,
            "head": draft.target.head,
        }
        if kind in ("rolled_back", "refused", "recalled"):
            value["detail"] = "golden_mismatch"
        return {**value, **changes}

    def report(self, *events: dict[str, Any]) -> httpx2.Response:
        return self.client.post("/v1/outcomes", json={"app": self.app, "events": list(events)})

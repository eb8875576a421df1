"""A small real world for device tests: a tiny base that runs, heads that train, a registry that signs, a network.

Nothing is mocked: the base is an ML Program that ONNX Runtime executes, the heads are updatable networks, the
registry signs TUF metadata, and the device's own HTTP client talks to it through an in-process transport.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import httpx2
import numpy as np

from headway.contract.channel import ChannelDocument, Offer, Recall
from headway.contract.digests import Digest, digest_of
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest, ManifestFile
from headway.contract.rollout import EVERYONE, Rollout
from headway.contract.targets import HeadTarget, ProvenBase
from headway.contract.tokenizer import Tokenizer
from headway.coreml import HeadLayout, build_head, initial_weights
from headway.coreml.features import Features
from headway.coreml.golden import HeadGolden, write_golden
from headway.coreml.model import MLModel
from headway.device.bundle import AppBundle, AppConfig, write_bundle
from headway.device.client import Device, Settings
from headway.device.faulty import MemoryFileSystem
from headway.device.fetcher import FetchLimits, HttpFetcher
from headway.device.models import Runtime
from headway.device.personalise import PersonalisePolicy, interpolate
from headway.device.policy import HeavyWorkPolicy
from headway.device.ports import Conditions, FileSystem
from headway.trust.simulator import RepositorySimulator

from ..coreml.tiny_release import LABELS, LENGTH, OPTIONS, WIDTH, WORDS, write_base  # noqa: TID252 - tests are not an installed package

NAME, APP, BASE_ID, CHANNEL = "topic", "notes", "tiny", "stable"
START = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
DAY = 86_400
TEXTS = tuple(" ".join(WORDS[4 + (i // 13**k) % 13] for k in range(3)) for i in range(13**3))
"""Every text of three known words."""


@dataclass
class Clock:
    """A clock that tests move; it may also jump back."""

    at: float = START

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - START


class Luck:
    """Always the same chance."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)

    def token(self, length: int) -> bytes:
        return self._random.bytes(length)

    def uniform(self) -> float:
        return float(self._random.random())


@dataclass
class Phone:
    """A power port that tests set."""

    now: Conditions = field(default_factory=Conditions)

    def conditions(self) -> Conditions:
        return self.now


# Tests train hundreds of times: fewer rows and no rehearsal beyond one round, by the same code.
SETTINGS = Settings(
    work=HeavyWorkPolicy(min_samples=30, min_free_bytes=1),
    personalise=PersonalisePolicy(learning_rate=0.05, epochs=8, rehearsal=1.0, anchors=0.0),
)

Fault = Callable[[httpx2.Request, httpx2.Response], httpx2.Response]


class Line(httpx2.BaseTransport):
    """The simulated registry behind HTTP: entity tags, ranges, and a fault where a test puts one."""

    def __init__(self, registry: RepositorySimulator) -> None:
        self.registry = registry
        self.fault: Fault | None = None
        self.log: list[str] = []
        self.outcomes: list[dict] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.log.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
        response = self._answer(request)
        return response if self.fault is None else self.fault(request, response)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            import gzip

            self.outcomes += json.loads(gzip.decompress(request.read()))["events"]
            return httpx2.Response(202, stream=Pieces([b'{"accepted": 1}']))
        found = self.registry._answer(str(request.url), request.headers.get("if-none-match"))
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        if found.status == 200 and wanted is not None:
            start, size = int(wanted[1]), len(found.body)
            headers = {"content-range": f"bytes {start}-{size - 1}/{size}"}
            return httpx2.Response(206, headers=headers, stream=Pieces([found.body[start:]]))
        return httpx2.Response(found.status, headers=dict(found.headers), stream=Pieces([found.body]))


class Pieces(httpx2.SyncByteStream):
    """A body that comes in pieces, and may break off with an error."""

    def __init__(self, pieces: Iterator[bytes] | list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


@lru_cache
def base_release(seed: int = 0) -> Path:
    """A base release, made once per process."""
    return write_base(Path(mkdtemp(prefix="headway-base-")), seed)


@lru_cache
def runtime(seed: int = 0) -> Runtime:
    """Its runtime, shared by all devices of a process."""
    folder = base_release(seed)
    contract = FeatureContract.from_bytes((folder / "contract.json").read_bytes())
    tokenizer = Tokenizer.from_vocab(folder / "vocab.txt")
    return Runtime(contract, lambda: Features(folder / "base.mlpackage", tokenizer, contract, OPTIONS))


@lru_cache
def head_files(seed: int, base: int = 0, spoiled: str = "") -> dict[str, bytes]:
    """A head release; from 100 on, one near head 1. ``spoiled`` makes a bad one, in the way it names."""
    texts = TEXTS[:: len(TEXTS) // 24][:24]
    tokenizer = Tokenizer.from_vocab(base_release(base) / "vocab.txt")
    encoded = [tokenizer.encode(text, LENGTH) for text in texts]
    ids, mask = (
        np.array([e.input_ids for e in encoded], np.int32),
        np.array([e.attention_mask for e in encoded], np.int32),
    )
    features = runtime(base).features(texts)
    layout = HeadLayout(features=WIDTH, classes=len(LABELS))
    weights = initial_weights(layout, seed)
    if seed >= 100:  # the next release of head 1: near it
        weights = interpolate(initial_weights(layout, 1), weights, 0.1)
    data = build_head(layout, weights)
    probabilities = MLModel_of(data).predict({"features": features})["probabilities"].astype(np.float32)
    labels = probabilities.argmax(axis=1).astype(np.int32)
    if spoiled == "blind_to_a_class":
        labels = np.where(labels == 0, 1, np.where(labels == 1, 0, labels)).astype(np.int32)
    if spoiled == "other_golden":
        probabilities = np.roll(probabilities, 1, axis=0)
    if spoiled == "rule_broken":
        data = data[: len(data) // 2]
    golden = write_golden(HeadGolden(ids, mask, features, labels, probabilities))
    names = LABELS[:2] if spoiled == "label_missing" else LABELS
    return {
        "head.mlmodel": data,
        "labels.json": json.dumps(names).encode(),
        "golden.safetensors": golden,
        "card.json": b"{}",
    }


def MLModel_of(data: bytes) -> MLModel:
    from headway.device.models import _package

    return MLModel(_package(data))


@lru_cache
def habit() -> MLModel:
    """A user's own view of the topics: near the embedded head's, and not the same."""
    usual, other = MLModel_of(head_files(1)["head.mlmodel"]), MLModel_of(head_files(77)["head.mlmodel"])
    return usual.with_weights(interpolate(usual.weights, other.weights, 0.3))


def teacher(text: str) -> str:
    """What that user calls a text."""
    row = habit().predict({"features": runtime().features([text])})["probabilities"][0]
    return LABELS[int(row.argmax())]


class Registry(RepositorySimulator):
    """The simulated repository with releases made of real files."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(APP, [BASE_ID], now=lambda: datetime.fromtimestamp(clock.at, UTC))
        self.document = ChannelDocument(APP, CHANNEL, BASE_ID, 1, 3600, (), (), {})
        self.heads: dict[int, Digest] = {}

    def release(
        self, number: int, files: dict[str, bytes], base: int = 0, *, app: str = APP, **facts: object
    ) -> HeadTarget:
        """Sign and serve a head release; nobody is offered it yet."""
        listed = tuple(
            ManifestFile(path, self.put_artifact(data), len(data), "application/octet-stream")
            for path, data in sorted(files.items())
        )
        manifest = Manifest("head", app, NAME, str(number), listed, {})
        contract = FeatureContract.from_bytes((base_release(base) / "contract.json").read_bytes())
        target = HeadTarget(
            app=app,
            base_id=BASE_ID,
            name=NAME,
            release=number,
            head=digest_of(files["head.mlmodel"]),
            parent=None,
            bases=(ProvenBase(base_digest(base), digest_of(b"proof")),),
            contract=contract.digest,
            labels=digest_of(files["labels.json"]),
            num_classes=3,
            min_os=(17, 0, 0),
            max_os=None,
            min_app_build=1,
            status="live",
            rebase="replay",
            bytes=manifest.total_bytes,
        )
        target = replace(target, **facts)  # type: ignore[arg-type]
        self.put_head(target, manifest.to_bytes())
        self.heads[number] = target.head
        self.publish()
        return target

    def channel(self, **changes: object) -> None:
        """Change and sign the channel document."""
        self.document = replace(self.document, epoch=self.document.epoch + 1, **changes)  # type: ignore[arg-type]
        self.put_channel(self.document)
        self.publish()

    def offer(self, *numbers: int, state: str = "active", rollout: Rollout = EVERYONE) -> None:
        """Offer exactly these releases."""
        self.channel(offers=tuple(Offer(NAME, n, state, rollout) for n in numbers))

    def recall(self, *numbers: int) -> None:
        """Recall these releases."""
        self.channel(recalls=tuple(Recall(self.heads[n], "bad") for n in numbers))


@lru_cache
def base_digest(base: int = 0) -> Digest:
    from headway.device.bundle import package_digest

    return package_digest(base_release(base) / "base.mlpackage")


def make_bundle(registry: Registry, *, base: int = 0, release: int = 0, seed: int = 1, build: int = 1) -> AppBundle:
    """An app with an embedded head."""
    folder = Path(mkdtemp(prefix="headway-app-"))
    head = folder / "embedded"
    head.mkdir()
    for name, data in head_files(seed, base).items():
        (head / name).write_bytes(data)
    urls = (registry.metadata_url, registry.targets_url, registry.artifacts_url)
    config = AppConfig(APP, CHANNEL, BASE_ID, build, {NAME: release}, *urls, "https://registry.invalid/v1/outcomes")
    bundle = write_bundle(folder / "app", config, registry.root_bytes, base_release(base), {NAME: head})
    shutil.rmtree(head)
    return bundle


@dataclass
class World:
    """Registry, line, clock and one phone; ``device()`` starts a process on it."""

    clock: Clock = field(default_factory=Clock)
    files: FileSystem = field(default_factory=MemoryFileSystem)
    phone: Phone = field(default_factory=Phone)
    settings: Settings = field(default_factory=lambda: SETTINGS)
    base: int = 0

    def __post_init__(self) -> None:
        self.registry = Registry(self.clock)
        self.registry.channel()
        self.line = Line(self.registry)
        self.bundle = make_bundle(self.registry, base=self.base)

    def device(self, **changes: object) -> Device:
        """A process on the phone, launched."""
        device = Device(
            self.bundle,
            self.files,
            network=HttpFetcher(FetchLimits(deadline_s=300), transport=self.line),
            clock=self.clock,
            randomness=Luck(),
            power=self.phone,
            runtime=runtime(self.base),
            settings=replace(self.settings, **changes) if changes else self.settings,  # type: ignore[arg-type]
        )
        device.launch()
        return device

    def publish(self, number: int, seed: int, **facts: object) -> HeadTarget:
        """Sign a release of the head with ``seed`` and offer it to everyone."""
        target = self.registry.release(number, head_files(seed), **facts)  # type: ignore[arg-type]
        self.registry.offer(number)
        return target


def use(device: Device, times: int = 5) -> list:
    """Classify a few texts."""
    return [device.predict(text) for text in TEXTS[:times]]


def correct(device: Device, count: int = 60) -> None:
    """The user corrects labels, by a habit of their own."""
    for text in TEXTS[5 :: len(TEXTS) // count][:count]:
        assert device.add_correction(text, teacher(text)) is None

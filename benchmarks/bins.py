"""What a device downloads to learn what it may run, with the heads of its base in one role or in hash bins.

``python benchmarks/bins.py`` writes ``benchmarks/results/bins.md``. Real signed metadata and the real trusted client,
over files in memory; bytes do not depend on the machine. Every head has its own name, as in an app with one head per
topic or customer; the device runs one of them.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import bins_registry

from headway.contract.channel import ChannelDocument, Offer
from headway.contract.digests import Digest, digest_of
from headway.contract.rollout import Rollout
from headway.contract.targets import HeadTarget, ProvenBase
from headway.trust.bins import SPLIT_ABOVE, HeadRoles, arranged, bits_for
from headway.trust.client import TrustedClient
from headway.trust.ports import Fetched
from headway.trust.repository import Holders
from headway.trust.roles import TargetEntry, head_entry, heads_role
from headway.trust.simulator import RepositorySimulator
from headway.trust.storage import MemoryStorage
from headway.trust.wire import MAX_METADATA_BYTES, add_signatures

BASE_ID = "kdconv-mobilebert"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = 9
RESULTS = Path(__file__).parent / "results" / "bins.md"


def head(name: str, release: int) -> HeadTarget:
    """A release as it is published: proven on two bases."""
    said = f"{name}@{release}"
    bases = tuple(ProvenBase(digest_of(f"base {n}".encode()), digest_of(f"proof {said} {n}".encode())) for n in (1, 2))
    return HeadTarget(
        app="reader",
        base_id=BASE_ID,
        name=name,
        release=release,
        head=Digest(digest_of(said.encode())),
        parent=None,
        bases=bases,
        contract=digest_of(b"contract"),
        labels=digest_of(b"labels"),
        num_classes=3,
        min_os=(17, 0, 0),
        max_os=None,
        min_app_build=1,
        status="live",
        rebase="replay",
        bytes=48_211,
    )


def manifest(name: str, release: int) -> bytes:
    """Stands for a manifest: only its digest and length count here."""
    return f"manifest of {name}@{release}".encode()


class Counting:
    """The simulated registry as a fetcher that counts the bytes of one poll."""

    def __init__(self, repository: RepositorySimulator) -> None:
        self.repository = repository
        self.bytes = 0

    def fetch(self, url: str, *, max_bytes: int, etag: str | None = None) -> Fetched:
        """Fetch from the simulator."""
        answer = self.repository.fetch(url, max_bytes=max_bytes, etag=etag)
        self.bytes += len(answer.body) if answer.status == 200 else 0
        return answer


class Registry:
    """So many heads of one base, in one role or in bins; each of the devices runs one of the first."""

    def __init__(self, heads: int, bits: int) -> None:
        self.repository = RepositorySimulator("reader", (BASE_ID,), now=lambda: NOW)
        self.heads, self.epoch = heads, 0
        roles = HeadRoles(BASE_ID, bits)
        entries = [head_entry(head(f"head-{n}", 1), manifest(f"head-{n}", 1)) for n in range(heads)]
        self.repository.roles |= signed(self.repository, roles, entries)
        self.offer(1)
        self.repository.publish()
        self.storages = [MemoryStorage() for _ in range(DEVICES)]

    def offer(self, release: int) -> None:
        """The channel offers this release of every device's head."""
        self.epoch += 1
        offers = tuple(Offer(f"head-{n}", release, "active", Rollout("0" * 16, 10_000)) for n in range(DEVICES))
        self.repository.put_channel(ChannelDocument("reader", "stable", BASE_ID, self.epoch, 86_400, offers, (), {}))

    def put(self, name: str, release: int) -> None:
        """Publish a release."""
        self.repository.put_head(head(name, release), manifest(name, release))

    def polls(self, *held: int) -> tuple[int, float]:
        """One poll of each device that holds these releases of its head: medians of bytes and of ms of processor."""
        polls = [self._poll(number, held) for number in range(DEVICES)]
        return int(median(received for received, _ in polls)), median(spent for _, spent in polls)

    def _poll(self, device: int, held: tuple[int, ...]) -> tuple[int, float]:
        repository, counting = self.repository, Counting(self.repository)
        client = TrustedClient(
            None,
            repository.metadata_url,
            repository.targets_url,
            repository.root_bytes,
            counting,
            lambda: NOW,
            storage=self.storages[device],
        )
        start = time.process_time()
        client.refresh()
        channel = client.channel("stable", BASE_ID)
        assert channel is not None
        name = f"head-{device}"
        offered = (offer.release for offer in channel.document.offers if offer.name == name)
        wanted = dict.fromkeys((name, release) for release in (*offered, *held))
        assert len(client.releases(BASE_ID, wanted)) == len(wanted)
        return counting.bytes, (time.process_time() - start) * 1e3


@dataclass(frozen=True)
class Row:
    """Bytes of four polls of one device, and what stands behind them."""

    heads: int
    bins: int
    role: int
    snapshot: int
    first: int
    unchanged: int
    other: int
    own: int
    sent: int
    other_ms: float


def signed(repository: RepositorySimulator, roles: HeadRoles, entries: list[TargetEntry]) -> dict[str, bytes]:
    """The roles of heads, signed by the publisher."""
    key = repository.keys.publisher
    drafts = arranged(roles, entries, Holders((key.public,)), {roles.parent: 1}, now=NOW)
    return {role: add_signatures(draft, role, [key]) for role, draft in drafts.items()}


def measure(heads: int, bits: int) -> Row:
    """All polls of one device."""
    registry = Registry(heads, bits)
    repository = registry.repository
    first, _ = registry.polls()
    unchanged, _ = registry.polls(1)
    before = dict(repository.roles)
    registry.put(f"head-{heads // 2}", 2)
    sent = sum(len(data) for role, data in repository.roles.items() if before.get(role) != data)
    repository.publish()
    other, other_ms = registry.polls(1)
    for device in range(DEVICES):
        registry.put(f"head-{device}", 2)
    registry.offer(2)
    repository.publish()
    own, _ = registry.polls(1)
    listing = HeadRoles.of(BASE_ID, repository.roles[heads_role(BASE_ID)]).listing
    role = sum(len(repository.roles[name]) for name in listing) // len(listing)
    assert repository.snapshot is not None
    return Row(heads, len(listing), role, len(repository.snapshot), first, unchanged, other, own, sent, other_ms)


def flat_size(heads: int) -> int:
    """The size of one role with so many heads, also where no client takes it."""
    repository = RepositorySimulator("reader", (BASE_ID,), now=lambda: NOW)
    entries = [head_entry(head(f"head-{n}", 1), manifest(f"head-{n}", 1)) for n in range(heads)]
    draft = arranged(HeadRoles(BASE_ID), entries, Holders((repository.keys.publisher.public,)), {}, now=NOW)
    return len(draft[heads_role(BASE_ID)])


def render(
    rows: list[Row], refused: dict[int, int], per_head: float, per_bin: float, spent: list[bins_registry.Spent]
) -> str:
    """The page."""
    lines = [
        "# Hash bins: what a device downloads",
        "",
        "`python benchmarks/bins.py`. Bytes of bodies, not compressed, of a device that runs one head (the median of",
        f"{DEVICES}), without the files of a release itself. Every head has one live release under its own name,",
        "proven on two bases.",
        "",
        "- *first*: a device that was never there; *unchanged*: nothing is new; *another*: some other head of the base",
        "  was published; *own*: this device's head has a new release, offered on its channel; it holds the old one.",
        "- *sent*: signed metadata that a publisher uploads for one release.",
        "",
        "| heads | roles that list them | one role | snapshot | first | unchanged | another | own | sent "
        "| client, ms (another) |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        numbers = (row.role, row.snapshot, row.first, row.unchanged, row.other, row.own, row.sent)
        cells = " | ".join(f"{n:,}" for n in numbers)
        lines.append(f"| {row.heads:,} | {row.bins} | {cells} | {row.other_ms:.0f} |")
    for heads, size in refused.items():
        lines.append(f"| {heads:,} | 1 | {size:,} | refused: over {MAX_METADATA_BYTES:,} bytes | | | | | | |")
    lines += ["", f"A head takes {per_head:.0f} bytes of its role, a role {per_bin:.0f} bytes of the snapshot."]
    best = {row.heads: row for row in rows if row.bins > 1}
    flat = {row.heads: row for row in rows if row.bins == 1}
    for heads, row in best.items():
        if heads in flat:
            share = flat[heads].other / row.other
            lines.append(
                f"At {heads:,} heads the poll after another head's release is {share:.0f} times smaller in bins."
            )
    return "\n".join([*lines, "", *bins_registry.table(spent)])


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    rows, refused = [], {}
    arguments = parser.parse_args()
    for heads in (100, 500, 2_000, 10_000):
        size = flat_size(heads)
        if size > MAX_METADATA_BYTES:
            refused[heads] = size
        else:
            rows.append(measure(heads, 0))
        rows.extend(measure(heads, bits) for bits in ((4, 6) if heads <= SPLIT_ABOVE else (bits_for(heads),)))
    per_head = (flat_size(1_000) - flat_size(0)) / 1_000
    few, many = measure(10, 4), measure(10, 8)
    per_bin = (many.snapshot - few.snapshot) / (many.bins - few.bins)
    with TemporaryDirectory() as folder:
        spent = [
            bins_registry.measure(Path(folder) / f"{heads}-{bits}", BASE_ID, heads, bits, head, manifest)
            for heads, bits in ((500, 0), (500, 6), (2_000, 0), (2_000, 7), (10_000, 8))
        ]
    arguments.out.write_text(render(rows, refused, per_head, per_bin, spent))
    print(arguments.out.read_text())


if __name__ == "__main__":
    main()

"""The impact query as a page: if the app ships this base, which heads run on, which are lost, and where devices are."""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.compat import SENTENCES, Reason
from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway_server.catalog import impact, lineage
from headway_server.catalog.impact import HeadImpact
from headway_server.console.texts import LANGUAGES
from headway_server.ports import Ports
from headway_server.records import BaseRecord


@dataclass(frozen=True, slots=True)
class NameImpact:
    """One head name: the newest release that would run (None: lost), and why the newest of all would not."""

    base_id: str
    name: str
    runs: int | None
    newest: int
    why: str


@dataclass(frozen=True, slots=True)
class Share:
    """Confirmations reported so far from devices on one base, out of 10,000."""

    base: str
    permyriad: int
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class ImpactView:
    """The page; ``base`` None where the app has no base, or none was found by the digest that was asked for."""

    bases: tuple[BaseRecord, ...]
    base: BaseRecord | None
    names: tuple[NameImpact, ...] = ()
    shares: tuple[Share, ...] = ()

    @property
    def lost(self) -> int:
        """How many head names have no release that would run."""
        return sum(item.runs is None for item in self.names)

    @property
    def there(self) -> int:
        """The share of confirmations that came from the base itself, out of 10,000."""
        return sum(share.permyriad for share in self.shares if share.chosen)


def of_base(ports: Ports, app: str, digest: str, language: str) -> ImpactView:
    """What shipping a base means; the newest one if ``digest`` is empty. Raises ``unknown_app``."""
    bases = lineage.bases(ports, app)[::-1]
    base = next((b for b in bases if digest in ("", b.package)), None)
    if base is None:
        return ImpactView(bases, None)
    try:
        found = impact.of_base(ports, app, parse_digest(base.package))
    except RefusedError:
        return ImpactView(bases, None)
    names: dict[tuple[str, str], list[HeadImpact]] = {}
    for head in found.heads:
        names.setdefault((head.base_id, head.name), []).append(head)
    judged = [_judged(heads, language) for heads in names.values()]
    judged.sort(key=lambda item: (item.runs is not None, item.base_id, item.name))
    return ImpactView(bases, base, tuple(judged), _shares(bases, base, found.reports_by_base))


def _judged(heads: list[HeadImpact], language: str) -> NameImpact:
    newest = max(heads, key=lambda head: head.release)
    running = [head.release for head in heads if not head.reasons]
    sentences = (SENTENCES[Reason(reason)][LANGUAGES.index(language)] for reason in newest.reasons)
    return NameImpact(newest.base_id, newest.name, max(running, default=None), newest.release, " ".join(sentences))


def _shares(bases: tuple[BaseRecord, ...], chosen: BaseRecord, counts: dict[str, int]) -> tuple[Share, ...]:
    called = {str(base.package): f"{base.base_id}@{base.version}" for base in bases}
    total = sum(counts.values()) or 1
    shares = (
        Share(called.get(base, base[7:19]), round(count * 10_000 / total), count, base == chosen.package)
        for base, count in counts.items()
    )
    return tuple(sorted(shares, key=lambda share: -share.count))

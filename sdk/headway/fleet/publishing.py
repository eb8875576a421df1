"""The publisher's part of a rehearsal: keys, ceremony, base and heads, through the same functions a person's CLI uses.

Keys are generated in the run's folder and stay there. Nothing here knows what a release is good for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headway.contract.digests import Digest
from headway.publisher.describe import HeadOptions
from headway.publisher.gate import Waiver, open_metrics
from headway.publisher.publish import publish_base, publish_head
from headway.publisher.registry import Registry
from headway.trust.keys import KeyFolder, Signer
from headway.trust.repository import Holders, TrustPlan, create_trust

ROOT_KEYS = ("root-1", "root-2", "root-3")
PUBLISHER = "publisher"
BASE_VERSION = "1"
REHEARSAL = "A rehearsal: simulated devices only, nothing reaches a phone."


@dataclass(frozen=True, slots=True)
class Established:
    """An app with its trust. ``root`` are the bytes an app embeds; ``signers`` may sign bases and heads."""

    registry: Registry
    base_id: str
    root: bytes
    signers: tuple[Signer, ...]


def establish(registry: Registry, base_id: str, keys: Path) -> Established:
    """Create the app, hold the key ceremony (root and targets 2 of 3, one publisher key), send the first metadata."""
    folder = KeyFolder(keys)
    roots = tuple(folder.create(name) for name in ROOT_KEYS)
    publisher = folder.create(PUBLISHER)
    offline = Holders(tuple(key.public for key in roots), 2)
    held = Holders((publisher.public,))
    plan = TrustPlan(
        app=registry.app,
        root=offline,
        targets=offline,
        bases=held,
        heads={base_id: held},
        online=registry.create_app(),
    )
    files = create_trust(plan, (*roots, publisher), now=datetime.now(UTC))
    registry.establish(files)
    return Established(registry, base_id, files.root, (publisher,))


def publish_the_base(app: Established, folder: Path) -> None:
    """Prove, sign and publish the base.

    What its gate leaves open (a phone's latency, say) is waived by name, and the reason stands in the published card.
    """
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    publish_base(
        app.registry,
        folder,
        base_id=app.base_id,
        version=BASE_VERSION,
        signers=app.signers,
        waivers=[Waiver(metric, REHEARSAL) for metric in open_metrics(card)],
    )


@dataclass(frozen=True, slots=True)
class HeadFolder:
    """A release folder with the number it gets, its parent's digest and its rebase policy."""

    folder: Path
    release: int
    parent: Digest | None
    rebase: str


def publish_the_head(app: Established, name: str, head: HeadFolder, bases: Sequence[Path]) -> None:
    """Prove a head on ``bases``, sign and publish it."""
    publish_head(
        app.registry,
        head.folder,
        base_id=app.base_id,
        name=name,
        bases=bases,
        signers=app.signers,
        release=head.release,
        options=HeadOptions(parent=head.parent, rebase=head.rebase),
    )

"""The signed facts of a head or base: the ``custom`` object beside its manifest in TUF targets metadata.

A device decides everything from these: they are under the publisher's signature, unlike the channel document,
which only chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest
from headway.contract.parsing import Fields
from headway.contract.versions import MAX_RELEASE, OsVersion, parse_name, parse_version

SCHEMA = 1
STATUSES = ("live", "revoked")
REBASE_POLICIES = ("replay", "merge", "keep", "discard")


@dataclass(frozen=True, slots=True)
class ProvenBase:
    """The head→base edge: a base by digest, and the digest of the proof that this head works on it."""

    digest: Digest
    proof: Digest


@dataclass(frozen=True, slots=True)
class HeadTarget:
    """The signed facts of one head release.

    ``head`` is the digest of ``head.mlmodel``: recall, quarantine and lineage go by it, so the same bytes published
    under a new number are still the same head. ``bytes`` is the size of the whole release.
    """

    app: str
    base_id: str
    name: str
    release: int
    head: Digest
    parent: Digest | None
    bases: tuple[ProvenBase, ...]
    contract: Digest
    labels: Digest
    num_classes: int
    min_os: OsVersion
    max_os: OsVersion | None
    min_app_build: int
    status: str
    rebase: str
    bytes: int

    def to_json(self) -> dict[str, object]:
        """The ``custom`` object; inverse of :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "app": self.app,
            "base_id": self.base_id,
            "name": self.name,
            "release": self.release,
            "head": self.head,
            "parent": self.parent,
            "bases": [{"digest": b.digest, "proof": b.proof} for b in self.bases],
            "contract": self.contract,
            "labels": self.labels,
            "num_classes": self.num_classes,
            "min_os": _os_text(self.min_os),
            "max_os": None if self.max_os is None else _os_text(self.max_os),
            "min_app_build": self.min_app_build,
            "status": self.status,
            "rebase": self.rebase,
            "bytes": self.bytes,
        }

    @classmethod
    def from_json(cls, value: object) -> HeadTarget:
        """Read signed facts of a head.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = Fields(value, "head target")
        fields.schema(SCHEMA)
        max_os = fields.optional("max_os", fields.text)
        return cls(
            app=parse_name(fields.text("app"), what="app"),
            base_id=parse_name(fields.text("base_id"), what="base id"),
            name=parse_name(fields.text("name"), what="head name"),
            release=fields.integer("release", low=1, high=MAX_RELEASE),
            head=fields.digest("head"),
            parent=fields.optional("parent", fields.digest),
            bases=tuple(ProvenBase(b.digest("digest"), b.digest("proof")) for b in fields.objects("bases", most=64)),
            contract=fields.digest("contract"),
            labels=fields.digest("labels"),
            num_classes=fields.integer("num_classes", low=2, high=10_000),
            min_os=parse_version(fields.text("min_os"), what="min_os"),
            max_os=None if max_os is None else parse_version(max_os, what="max_os"),
            min_app_build=fields.integer("min_app_build"),
            status=fields.text("status", choices=STATUSES),
            rebase=fields.text("rebase", choices=REBASE_POLICIES),
            bytes=fields.integer("bytes"),
        )


@dataclass(frozen=True, slots=True)
class BaseTarget:
    """The signed facts of one base version. ``package`` is the tree digest of its ``.mlpackage``: *the* base digest."""

    app: str
    base_id: str
    version: str
    package: Digest
    contract: Digest
    bytes: int
    status: str

    def to_json(self) -> dict[str, object]:
        """The ``custom`` object; inverse of :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "app": self.app,
            "base_id": self.base_id,
            "version": self.version,
            "package": self.package,
            "contract": self.contract,
            "bytes": self.bytes,
            "status": self.status,
        }

    @classmethod
    def from_json(cls, value: object) -> BaseTarget:
        """Read signed facts of a base.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = Fields(value, "base target")
        fields.schema(SCHEMA)
        version = fields.text("version", max_length=32)
        parse_version(version, what="base version")
        return cls(
            app=parse_name(fields.text("app"), what="app"),
            base_id=parse_name(fields.text("base_id"), what="base id"),
            version=version,
            package=fields.digest("package"),
            contract=fields.digest("contract"),
            bytes=fields.integer("bytes"),
            status=fields.text("status", choices=STATUSES),
        )


def _os_text(version: OsVersion) -> str:
    return ".".join(str(part) for part in version)

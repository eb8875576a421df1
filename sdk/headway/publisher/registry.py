"""``Registry``: one app of one registry, as its publisher sees it. Each method is one request of the publisher API.

Values in, values out; nothing is printed and nothing is signed here. See :mod:`headway.publisher.publish` for the
steps that make up a publish.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from headway.contract.digests import Digest
from headway.contract.errors import RefusedError
from headway.contract.proof import Proof
from headway.contract.targets import HeadTarget
from headway.contract.versions import parse_name
from headway.publisher.delivery import Delivery
from headway.publisher.http import RETRIES, ApiClient, Retries
from headway.publisher.uploads import RESUMABLE_BYTES, Uploader
from headway.trust.online import OnlineKeys
from headway.trust.repository import TrustFiles
from headway.trust.wire import facts

Json = dict[str, Any]


RERUN_S = 600.0
"""How long running a proof again may take: the registry bounds it, and the model decides."""

ROLES_S = 300.0
"""How long the registry may take for many roles at once: ten thousand heads in all their bins."""


@dataclass(frozen=True, slots=True)
class PostedRole:
    """What the registry did with a signed role. ``waiting_for`` names roles that must follow before it goes out.

    ``heads`` is how many heads it counts in the roles of that base, 0 for other roles.
    """

    role: str
    version: int
    changed: bool
    waiting_for: tuple[str, ...]
    heads: int = 0


class Registry(Delivery):
    """A publisher's client. ``transport`` replaces the network, for example by an in-process WSGI application.

    Files of at least ``resumable_bytes`` are uploaded in parts (:mod:`headway.publisher.uploads`).

    Every method raises ``TransferError`` where the registry cannot be reached, and the registry's own refusal
    (``RefusedError``, ``UntrustedError``, ``IncompatibleError``) otherwise.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        app: str,
        transport: httpx2.BaseTransport | None = None,
        timeout_s: float = 30.0,
        retries: Retries = RETRIES,
        resumable_bytes: int = RESUMABLE_BYTES,
    ) -> None:
        self.app = parse_name(app, what="app")
        self.url = url.rstrip("/")
        self._api = ApiClient(url, token, transport=transport, timeout_s=timeout_s, retries=retries)
        self._uploader = Uploader(self._api, f"v1/apps/{self.app}", resumable_bytes=resumable_bytes)
        super().__init__(self._api, f"v1/apps/{self.app}")

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections."""
        self._uploader.close()
        self._api.close()

    @property
    def metadata_url(self) -> str:
        """Where devices read this app's signed metadata."""
        return f"{self.url}/apps/{self.app}/metadata"

    @property
    def targets_url(self) -> str:
        """Where devices read manifests and channel documents."""
        return f"{self.url}/apps/{self.app}/targets"

    @property
    def artifacts_url(self) -> str:
        """Where devices read the files of releases."""
        return f"{self.url}/apps/{self.app}/artifacts"

    def create_app(self) -> OnlineKeys:
        """Create the app, or find it; the public halves of its online keys. Needs the scope ``admin``."""
        answer = self._api.send("POST", "v1/apps", body={"app": self.app}).json()
        return OnlineKeys.from_json(answer.get("online_keys"))

    def knows_app(self) -> bool:
        """Whether the registry has this app, as far as the token may know of it."""
        try:
            self.role_versions()
        except RefusedError as error:
            if error.kind == "not_found":
                return False
            raise
        return True

    def replace_online_keys(self) -> OnlineKeys:
        """Let the registry make new online keys for this app; every call makes others. Needs the scope ``admin``.

        They sign nothing before a root and targets that name them are published.
        """
        answer = self._api.send("POST", self._path("online-keys"), repeatable=False).json()
        return OnlineKeys.from_json(answer.get("online_keys"))

    def establish(self, files: TrustFiles) -> bool:
        """Send the app's first metadata; False if exactly this was there."""
        body = {
            "root": _b64(files.root),
            "targets": _b64(files.targets),
            "delegated": {role: _b64(data) for role, data in files.delegated.items()},
        }
        return self._api.send("POST", self._path("trust"), body=body).status == 201

    def role(self, role: str) -> bytes:
        """The exact bytes of a role's newest version; ``RefusedError`` of kind ``not_found`` if there is none."""
        return self._api.send("GET", self._path("roles", role)).body

    def role_or_none(self, role: str) -> bytes | None:
        """The exact bytes of a role's newest version, or None if it has never been published."""
        try:
            return self.role(role)
        except RefusedError as error:
            if error.code == "unknown_role":
                return None
            raise

    def role_version(self, role: str) -> int:
        """The version of a role that is published now."""
        return facts(self.role(role), role).version

    def role_versions(self) -> dict[str, int]:
        """The number of the newest version of every role."""
        answer = self._api.send("GET", self._path("roles")).json()
        return {str(role): int(version) for role, version in (answer.get("roles") or {}).items()}

    def post_roles(self, roles: Mapping[str, bytes]) -> tuple[PostedRole, ...]:
        """Publish signed roles of one base's heads together or not at all; raises as :meth:`post_role`."""
        body = {"roles": {role: _b64(data) for role, data in roles.items()}}
        answer = self._api.send("POST", self._path("roles"), body=body, timeout_s=ROLES_S).json()
        return tuple(_posted(one) for one in answer.get("roles") or ())

    def post_role(self, role: str, data: bytes) -> PostedRole:
        """Publish a signed role. A lost race raises ``RefusedError`` with code ``version_conflict``."""
        headers = {"content-type": "application/json", "content-length": str(len(data))}
        answer = self._api.send("POST", self._path("roles", role), content=lambda: [data], headers=headers).json()
        return _posted({"role": role, **answer})

    def has_artifact(self, digest: Digest) -> bool:
        """Whether the registry has a file of this digest."""
        try:
            self._api.send("HEAD", self._path("artifacts", digest))
        except RefusedError as error:
            if error.kind == "not_found":
                return False
            raise
        return True

    def upload(self, digest: Digest, size: int, chunks: Callable[[], Iterable[bytes]]) -> bool:
        """Upload ``size`` bytes in one request; ``chunks`` is called once per attempt. False if they were there."""
        return self._uploader.put(digest, size, chunks)

    def upload_file(
        self, digest: Digest, size: int, source: Path, *, on_sent: Callable[[int], None] | None = None
    ) -> bool:
        """Upload the file at ``source``, from ``resumable_bytes`` on in parts; False if it was there.

        Cut off anywhere, also by the end of this process, the next call for the same bytes goes on where it ended.
        ``on_sent`` is called with how many bytes have arrived.
        """
        return self._uploader.send(digest, size, source, on_sent or (lambda _: None))

    def register_base(self, base_id: str, version: str, manifest: bytes, provenance: Mapping[str, object]) -> Json:
        """Register a base version whose files are uploaded; its record."""
        body = {
            "base_id": base_id,
            "version": version,
            "manifest": _b64(manifest),
            "provenance": dict(provenance),
        }
        return self._api.send("POST", self._path("bases"), body=body).json()

    def register_head(
        self, target: HeadTarget, manifest: bytes, proofs: Iterable[Proof], provenance: Mapping[str, object]
    ) -> Json:
        """Register a head release whose files are uploaded: the registry validates, judges and re-proves it."""
        body = {
            "base_id": target.base_id,
            "name": target.name,
            "release": target.release,
            "manifest": _b64(manifest),
            "custom": target.to_json(),
            "proof": [proof.to_json() for proof in proofs],
            "provenance": dict(provenance),
        }
        return self._api.send("POST", self._path("heads"), body=body).json()

    def bases(self) -> list[Json]:
        """All base versions."""
        return list(self._get("bases").get("bases", []))

    def heads(self, name: str | None = None) -> list[Json]:
        """All head releases, or those of one name."""
        answer = self._get("heads") if name is None else self._get("heads", name)
        return list(answer.get("heads", []))

    def lineage(self) -> Json:
        """The graph of bases and heads."""
        return self._get("lineage")

    def proofs(self) -> list[Json]:
        """Every head→base edge with its evidence."""
        return list(self._get("proofs").get("proofs", []))

    def head_release(self, name: str, release: int) -> list[Json]:
        """One head release on each base id that has it, with its ``gate``, ``proofs`` and ``proof_runs``."""
        return list(self._get("heads", name, str(release)).get("heads", []))

    def proof_runs(self) -> list[Json]:
        """Proofs that were run again on request, newest first."""
        return list(self._get("proofs", "runs").get("runs", []))

    def rerun_proof(self, base_id: str, name: str, release: int, base: str) -> Json:
        """Run one head's golden batch through one base again, on the registry; what came out. Sent once: each counts.

        Raises:
            RefusedError: codes ``unknown_edge``, ``busy``.
        """
        body = {"base_id": base_id, "name": name, "release": release, "base": base}
        path = self._path("proofs", "runs")
        return self._api.send("POST", path, body=body, repeatable=False, timeout_s=RERUN_S).json()

    def impact(self, base: str) -> Json:
        """If the app shipped the base of this digest: ``heads`` that run on it, names that are ``lost``, and shares of
        devices, estimated from what they confirmed.
        """
        return self._get(f"impact?base={base}")

    def audit(self, *, limit: int = 100) -> list[Json]:
        """What was changed, newest first."""
        return list(self._get(f"audit?limit={int(limit)}").get("events", []))

    def create_token(self, scopes: Iterable[str], *, note: str = "", expires_after_s: int | None = None) -> str:
        """Make a token of this app; its text is shown this once. Needs the scope ``admin``."""
        body = {"scopes": list(scopes), "note": note, "expires_after_s": expires_after_s}
        answer = self._api.send("POST", self._path("tokens"), body=body, repeatable=False).json()
        return str(answer["token"])


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _posted(answer: Json) -> PostedRole:
    return PostedRole(
        str(answer.get("role")),
        int(answer.get("version", 0)),
        answer.get("changed") is True,
        tuple(answer.get("waiting_for") or ()),
        int(answer.get("heads") or 0),
    )

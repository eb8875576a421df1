"""Receiving a release: refresh trust, let the contract choose, fetch what was chosen, check every byte of it.

Trust comes from signed metadata alone; the network only moves bytes. Artifacts are fetched into ``parts/<hex>`` and
resumed there across restarts; a part gets its name in a release folder only after its digest was checked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from headway.contract.channel import ChannelDocument
from headway.contract.compat import HostProfile, Reason
from headway.contract.digests import Digest, digest_of, hex_of
from headway.contract.errors import DeviceStoreError, RefusedError, TransferError
from headway.contract.explain import Choice, DeviceProfile, explain
from headway.contract.manifest import Manifest, ManifestFile
from headway.contract.versions import OsVersion
from headway.device.bundle import AppBundle
from headway.device.fetcher import ArtifactSource
from headway.device.files import parent
from headway.device.ports import FileSystem
from headway.device.state import DeviceState, HeldRelease
from headway.device.store import DeviceStore, stored
from headway.trust.verified import VerifiedHead, VerifiedManifest

MANIFEST_FILE = "manifest.json"
_MARGIN_BYTES = 1 << 20
_APPEND_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The phone: system version and build, and the groups that the app puts it in locally."""

    os: OsVersion = (17, 0, 0)
    os_build: str = "21A000"
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at verified metadata showed for one head."""

    choice: Choice
    offer: VerifiedHead | None
    withdrawn: str | None
    """A reason code why the staged release is no longer wanted, or None."""


def profile_of(state: DeviceState, bundle: AppBundle, info: DeviceInfo, now_s: int) -> DeviceProfile:
    """What ``explain`` needs to know about this device."""
    floor = state.floor
    running = state.trial or state.current
    return DeviceProfile(
        host=HostProfile(bundle.config.app, bundle.base, bundle.contract.digest, info.os, bundle.config.build),
        install_id=state.identity.install_id,
        groups=info.groups,
        current_release=running.release,
        floor_release=floor.release if floor is not None else 0,
        floor_head=floor.head if floor is not None else None,
        quarantined=frozenset(q.head for q in state.quarantine if state.is_quarantined(q.head, now_s)),
        clock_behind=now_s < state.clock_floor_s - 86_400,
    )


def look(
    name: str, state: DeviceState, profile: DeviceProfile, channel: ChannelDocument, heads: Collection[VerifiedHead]
) -> Look:
    """Let the contract choose, and find what was chosen among the verified heads."""
    choice = explain(name, profile, channel, (h.target for h in heads))
    chosen = choice.chosen
    offer = None
    if chosen is not None and chosen.release > state.current.release:
        offer = next(h for h in heads if h.target == chosen)
    return Look(choice, offer, _withdrawn(state, choice))


# A staged release is let go only for what says "do not try this", not for what says "not yet, not here".
_WITHDRAWING = (Reason.REVOKED, Reason.RECALLED, Reason.HALTED, Reason.CONTRACT_MISMATCH, Reason.BASE_NOT_PROVEN)


def _withdrawn(state: DeviceState, choice: Choice) -> str | None:
    if state.staged is None:
        return None
    verdict = next((v for v in choice.verdicts if v.head == state.staged.head), None)
    if verdict is None:
        return "not_offered"
    return next((str(reason) for reason in verdict.reasons if reason in _WITHDRAWING), None)


def held_release(head: VerifiedHead, base: Digest) -> HeldRelease:
    """A verified head as a slot holds it, on the base that is present."""
    facts = head.target
    return HeldRelease(facts.release, facts.head, base, head.digest, facts.labels, facts.rebase)


def held_numbers(state: DeviceState) -> frozenset[int]:
    """Releases whose standing with their publisher matters here: those in slots, and the floor."""
    floor = () if state.floor is None else (state.floor.release,)
    slots = (state.trial, state.staged, state.stable, state.previous)
    return frozenset({slot.release for slot in slots if slot is not None}.union(floor))


class Downloader:
    """Fetches the files of one release after another."""

    def __init__(self, files: FileSystem, source: ArtifactSource, artifacts_url: str) -> None:
        self._files = files
        self._source = source
        self._url = artifacts_url.rstrip("/") + "/"

    def fetch(self, store: DeviceStore, digest: Digest, verified: VerifiedManifest) -> None:
        """Bring every file of a release into its folder, each checked, then its manifest.

        Raises:
            TransferError: later, it may work; what came is kept for a resume.
            UntrustedError: code ``too_large``.
            DeviceStoreError: codes ``disk_full``, ``store_io``.
        """
        manifest = verified.manifest
        self._forget_other_parts(manifest)
        self._need_space(manifest)
        store.remove_release(digest)
        for file in manifest.files:
            self._fetch_part(file)
            self._place(file, f"{store.release_folder(digest)}/{file.path}")
        store.write_release_file(digest, MANIFEST_FILE, verified.data)

    def _need_space(self, manifest: Manifest) -> None:
        free = stored("measure", "the disk", self._files.free_bytes)
        if free < manifest.total_bytes + _MARGIN_BYTES:
            raise DeviceStoreError(
                "disk_full",
                f"The release needs {manifest.total_bytes} bytes and {free} are free.",
                hint="Free some space; the device tries again by itself.",
                free=free,
            )

    def _forget_other_parts(self, manifest: Manifest) -> None:
        wanted = {hex_of(file.digest) for file in manifest.files}
        for name in stored("list", "parts", lambda: self._files.names("parts")):
            if name not in wanted:
                stored("remove", name, lambda path=f"parts/{name}": self._files.remove(path))  # type: ignore[misc]

    def _fetch_part(self, file: ManifestFile) -> None:
        """Have ``parts/<hex>`` complete and right; a part that was resumed wrongly is fetched once more from 0."""
        path = f"parts/{hex_of(file.digest)}"
        resumed = self._transfer(file, path)
        if self._is(file, path):
            return
        if (stored("read", path, lambda: self._files.size(path)) or 0) < file.size:
            raise TransferError(
                "truncated",
                f"The transfer of {file.path} ended early.",
                hint="Nothing to do: the device goes on from there at its next poll.",
                path=file.path,
            )
        stored("remove", path, lambda: self._files.remove(path))
        if resumed:
            self._transfer(file, path)
            if self._is(file, path):
                return
            stored("remove", path, lambda: self._files.remove(path))
        raise TransferError(
            "wrong_content",
            f"What came for {file.path} is not the file that was signed.",
            hint="A captive portal or a damaged cache answers for the registry; the device tries again later.",
            path=file.path,
        )

    def _is(self, file: ManifestFile, path: str) -> bool:
        data = stored("read", path, lambda: self._files.read(path))
        return data is not None and len(data) == file.size and digest_of(data) == file.digest

    def _transfer(self, file: ManifestFile, path: str) -> bool:
        """Fetch what is missing of a part; whether anything was there before."""
        stored("make", "parts", lambda: self._files.make_folder("parts"))
        start = stored("read", path, lambda: self._files.size(path)) or 0
        if start > file.size:
            stored("remove", path, lambda: self._files.remove(path))
            start = 0
        if start == file.size and start > 0:
            return True
        buffer = bytearray()
        if file.size == 0:
            stored("write", path, lambda: self._files.write(path, b""))
            return False
        try:
            for offset, piece in self._source.stream(self._url + hex_of(file.digest), size=file.size, start=start):
                if offset == 0 and start > 0:
                    stored("remove", path, lambda: self._files.remove(path))
                    start = 0
                buffer += piece
                if len(buffer) >= _APPEND_BYTES:
                    self._flush(path, buffer)
        except TransferError:
            self._flush(path, buffer)
            raise
        self._flush(path, buffer)
        return start > 0

    def _flush(self, path: str, buffer: bytearray) -> None:
        if buffer:
            data = bytes(buffer)
            stored("write", path, lambda: self._files.append(path, data))
            buffer.clear()

    def _place(self, file: ManifestFile, target: str) -> None:
        path = f"parts/{hex_of(file.digest)}"

        def place() -> None:
            self._files.sync(path)
            self._files.make_folder(parent(target))
            self._files.rename(path, target)
            self._files.sync_folder(parent(target))

        stored("place", target, place)


def why_not_sound(store: DeviceStore, release: HeldRelease) -> str | None:
    """The first reason code why a release folder is not exactly its signed manifest, or None.

    That the manifest fits the signed facts was checked before it was fetched
    (:meth:`headway.trust.client.TrustedClient.head_manifest`).
    """
    data = store.release_file(release.manifest, MANIFEST_FILE)
    if data is None or digest_of(data) != release.manifest:
        return "manifest_damaged"
    try:
        manifest = Manifest.from_bytes(data)
    except RefusedError:
        return "manifest_damaged"
    if set(store.release_paths(release.manifest)) != {file.path for file in manifest.files} | {MANIFEST_FILE}:
        return "wrong_files"
    for file in manifest.files:
        content = store.release_file(release.manifest, file.path)
        if content is None or len(content) != file.size or digest_of(content) != file.digest:
            return "file_damaged"
    return None

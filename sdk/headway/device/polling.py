"""One poll: refresh trust once, then let every head see its channel and take what was chosen for it.

The schedule survives restarts. Metadata goes through the same file system as everything else, so it is as crash-safe.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.channel import ChannelDocument
from headway.contract.digests import canonical_json
from headway.contract.errors import DeviceStoreError, HeadwayError, RefusedError, TransferError, UntrustedError
from headway.contract.explain import ordered_off
from headway.contract.parsing import decode
from headway.device import events as ev
from headway.device.bundle import AppBundle
from headway.device.driver import HeadDriver
from headway.device.fetcher import ArtifactSource
from headway.device.files import write_atomic
from headway.device.policy import PollPolicy, Schedule, after_failure, after_success, first_poll, is_due
from headway.device.ports import Clock, FileSystem, Randomness, as_datetime
from headway.device.results import HeadPoll, PollResult, Problem
from headway.device.state import Phase
from headway.device.store import stored
from headway.device.updater import DeviceInfo, Downloader, Look, held_numbers, held_release, look, profile_of
from headway.trust.client import TrustedClient
from headway.trust.ports import Fetcher
from headway.trust.verified import VerifiedHead

_SCHEDULE = "poll.json"


class TrustFiles:
    """A :class:`headway.trust.ports.MetadataStorage` in a folder of the device's file system."""

    def __init__(self, files: FileSystem, folder: str = "trust") -> None:
        self._files = files
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """The bytes of ``name``, or None."""
        return stored("read", name, lambda: self._files.read(f"{self._folder}/{name}"))

    def write_atomic(self, name: str, data: bytes) -> None:
        """Write ``name`` durably."""
        stored("write", name, lambda: write_atomic(self._files, f"{self._folder}/{name}", data))

    def remove(self, name: str) -> None:
        """Delete ``name`` if it is there."""
        stored("remove", name, lambda: self._files.remove(f"{self._folder}/{name}"))


@dataclass(frozen=True, slots=True)
class Seen:
    """Verified metadata of the last good refresh of this process.

    The channel, and of our heads' releases those that it offers and those that this device holds.
    """

    channel: ChannelDocument | None
    heads: tuple[VerifiedHead, ...]


class Poller:
    """Polls for all heads of a device. ``network`` is both fetcher of metadata and source of artifacts."""

    def __init__(
        self,
        bundle: AppBundle,
        files: FileSystem,
        fetcher: Fetcher,
        source: ArtifactSource,
        clock: Clock,
        randomness: Randomness,
        policy: PollPolicy,
        info: DeviceInfo,
    ) -> None:
        self._bundle = bundle
        self._files = files
        self._fetcher = fetcher
        self._clock = clock
        self._randomness = randomness
        self._policy = policy
        self._info = info
        self._downloader = Downloader(files, source, bundle.config.artifacts_url)
        self._client: TrustedClient | None = None
        self.seen: Seen | None = None
        self.schedule = self._load_schedule()

    def poll(self, drivers: tuple[HeadDriver, ...], *, force: bool) -> PollResult:
        """Poll if it is due, or if ``force``."""
        now = int(self._clock.now())
        if not force and not is_due(self.schedule, now):
            return PollResult("not_due", wait_s=self.schedule.next_s - now)
        try:
            requests, received = self._refresh(drivers)
        except (UntrustedError, TransferError, DeviceStoreError) as error:
            self._failed(error, now)
            return PollResult("failed", problem=Problem.of(error))
        results = tuple(self._head(driver) for driver in drivers)
        transfer = next((r.problem for r in results if r.status == "failed"), None)
        if transfer is not None:
            self._keep(after_failure(self._policy, self.schedule, now, None, self._randomness.uniform()))
        else:
            wish = self.seen.channel.poll_after_s if self.seen is not None and self.seen.channel is not None else None
            self._keep(after_success(self._policy, wish, now, self._randomness.uniform()))
        return PollResult("done", results, requests=requests, received_bytes=received)

    def look(self, driver: HeadDriver) -> Look | None:
        """What the last verified metadata says about a head now; None before the first good refresh."""
        if self.seen is None or self.seen.channel is None:
            return None
        profile = profile_of(driver.state, self._bundle, self._info, int(self._clock.now()))
        return look(driver.name, driver.state, profile, self.seen.channel, self.seen.heads)

    def _refresh(self, drivers: tuple[HeadDriver, ...]) -> tuple[int, int]:
        config = self._bundle.config
        floor = max((d.state.clock_floor_s for d in drivers), default=0)
        if self._client is None:
            self._client = TrustedClient(
                None,
                config.metadata_url,
                config.targets_url,
                self._bundle.root_bytes,
                self._fetcher,
                lambda: as_datetime(self._clock.now()),
                storage=TrustFiles(self._files),
                clock_floor=as_datetime(floor),
            )
        refreshed = self._client.refresh()
        channel = self._client.channel(config.channel, config.base_id)
        document = channel.document if channel is not None else None
        names = {driver.name for driver in drivers}
        offers = () if document is None else document.offers
        wanted = {(offer.name, offer.release) for offer in offers if offer.name in names}
        wanted |= {(driver.name, release) for driver in drivers for release in held_numbers(driver.state)}
        self.seen = Seen(document, self._client.releases(config.base_id, sorted(wanted)))
        return refreshed.requests, refreshed.received_bytes

    def _head(self, driver: HeadDriver) -> HeadPoll:
        driver.feed(ev.CheckStarted())
        if driver.state.activity is not Phase.CHECKING:
            return HeadPoll(driver.name, "busy")
        seen = self.seen if self.seen is not None else Seen(None, ())
        channel, state = seen.channel, driver.state
        off = ordered_off(channel, (head.target for head in seen.heads))
        if channel is None:
            # No word from the channel: what it said last still stands, and the publisher's word counts without it.
            driver.feed(ev.ChannelSeen(off.union(state.recalled), state.directive, driver.now_s))
            driver.feed(ev.CheckEnded())
            return HeadPoll(driver.name, "kept", reasons=("no_compatible_head",))
        driver.feed(ev.ChannelSeen(off, channel.directive(driver.name), driver.now_s))
        found = self.look(driver)
        if found is not None and found.withdrawn is not None and driver.state.staged is not None:
            driver.feed(ev.Withdrawn(driver.state.staged.head, found.withdrawn))
        if found is None or found.offer is None:
            driver.feed(ev.CheckEnded())
            reasons = tuple(str(reason) for reason in found.choice.reasons) if found is not None else ()
            return HeadPoll(driver.name, "kept" if reasons else "unchanged", reasons=reasons)
        return self._take(driver, found.offer)

    def _take(self, driver: HeadDriver, offer: VerifiedHead) -> HeadPoll:
        release = held_release(offer, self._bundle.base)
        number = release.release
        slots = (driver.state.trial, driver.state.staged)
        if any(slot is not None and slot.manifest == release.manifest for slot in slots):
            driver.feed(ev.CheckEnded())
            return HeadPoll(driver.name, "unchanged", number)
        try:
            assert self._client is not None
            manifest = self._client.head_manifest(offer)
        except (UntrustedError, TransferError, RefusedError) as error:
            driver.feed(ev.CheckEnded())
            return HeadPoll(driver.name, "failed", number, problem=Problem.of(error))
        before = {o.event for o in driver.state.outcomes}
        driver.receive(release, manifest, self._downloader)
        if driver.state.staged == release:
            return HeadPoll(driver.name, "staged", number)
        new = [o for o in driver.state.outcomes if o.event not in before and o.kind == "refused"]
        return HeadPoll(driver.name, "failed", number, problem=_why(driver.problem, new[0].detail if new else None))

    # The schedule ---------------------------------------------------------------------------------------------

    def _failed(self, error: HeadwayError, now: int) -> None:
        wait = error.retry_after_s if isinstance(error, TransferError) else None
        self._keep(after_failure(self._policy, self.schedule, now, wait, self._randomness.uniform()))

    def _keep(self, schedule: Schedule) -> None:
        self.schedule = schedule
        body = canonical_json(schedule.to_json(), document="poll schedule")
        try:
            stored("save", _SCHEDULE, lambda: write_atomic(self._files, _SCHEDULE, body))
        except DeviceStoreError:
            # A lost schedule costs one poll at another time; the disk's state is reported by what needs it.
            return

    def _load_schedule(self) -> Schedule:
        try:
            data = stored("read", _SCHEDULE, lambda: self._files.read(_SCHEDULE))
            if data is not None:
                return Schedule.from_json(decode(data, "poll schedule"))
        except HeadwayError:
            pass
        return first_poll(self._policy, int(self._clock.now()), self._randomness.uniform())


def _why(problem: HeadwayError | None, detail: str | None) -> Problem:
    if problem is not None:
        return Problem.of(problem)
    if detail is None:
        return Problem("not_taken", "The offered release was not taken.", "Ask explain() for the reasons.")
    return Problem(
        detail,
        f"The offered release cannot work here: {detail.replace('_', ' ')}.",
        "Nothing was installed; it is kept away for a while, and the publisher is told.",
    )

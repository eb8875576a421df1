"""What bad input gets: one clear reason, nothing half-installed, and the old head still running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest

from headway.contract.channel import Offer
from headway.contract.digests import digest_of, hex_of
from headway.contract.rollout import EVERYONE, Rollout
from headway.device.client import Device
from headway.device.faulty import Fault, MemoryFileSystem
from headway.device.results import HeadPoll, PollResult, Prediction
from headway.trust.simulator import RepositorySimulator

from .world import APP, BASE_ID, DAY, NAME, Pieces, World, correct, head_files, use


def settled_device() -> tuple[World, Device]:
    """A device that has confirmed release 1 and is offered release 2."""
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device, 4)
    assert device.status().release == 1
    world.publish(2, seed=6)
    return world, device


def still_runs_release_1(world: World, device: Device) -> None:
    answer = device.predict("你好 film")
    assert isinstance(answer, Prediction)
    assert answer.release == 1
    state = device._drivers[NAME].state
    assert (state.staged, state.trial, state.target) == (None, None, None)
    names = world.files.names(f"heads/{NAME}/releases")
    assert names == (hex_of(state.stable.manifest) + "/",), "nothing half-installed"


def artifact(registry: RepositorySimulator, path: str, seed: int = 6) -> str:
    return f"{registry.artifacts_url}/{hex_of(digest_of(head_files(seed)[path]))}"


def answer_with(url: str, body: bytes, status: int = 200, **headers: str) -> Callable:
    """A network that answers one URL in its own way."""

    def fault(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if str(request.url) != url:
            return response
        return httpx2.Response(status, headers=headers, stream=Pieces([body]))

    return fault


PORTAL = b"<!doctype html><title>Wi-Fi</title><p>Please sign in</p>"


def wrong_signature(world: World) -> None:
    evil = RepositorySimulator(APP, [BASE_ID], now=world.registry.now, seed="evil")
    evil.publish()
    world.registry.files |= {u: b for u, b in evil.files.items() if "timestamp" in u or "snapshot" in u}


def expired(world: World) -> None:
    world.clock.at += 40 * DAY


def replayed(world: World) -> None:
    """The registry as it was before release 2, served again to a device that has seen release 2's metadata."""
    world.registry.files[f"{world.registry.metadata_url}/timestamp.json"] = world.before  # type: ignore[attr-defined]


def portal_for_metadata(world: World) -> None:
    world.line.fault = answer_with(f"{world.registry.metadata_url}/timestamp.json", PORTAL)


def truncated(world: World) -> None:
    whole = head_files(6)["head.mlmodel"]
    world.line.fault = answer_with(artifact(world.registry, "head.mlmodel"), whole[: len(whole) // 2])


def corrupted(world: World) -> None:
    whole = bytearray(head_files(6)["head.mlmodel"])
    whole[100] ^= 1
    world.line.fault = answer_with(artifact(world.registry, "head.mlmodel"), bytes(whole))


def portal_for_an_artifact(world: World) -> None:
    world.line.fault = answer_with(artifact(world.registry, "head.mlmodel"), PORTAL)


def endless(world: World) -> None:
    world.line.fault = answer_with(artifact(world.registry, "head.mlmodel"), PORTAL * 1000)


def missing_artifact(world: World) -> None:
    world.line.fault = answer_with(artifact(world.registry, "head.mlmodel"), b"not found", 404)


def no_network(world: World) -> None:
    def fault(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    world.line.fault = fault


def redirected(world: World) -> None:
    url = f"{world.registry.metadata_url}/timestamp.json"
    world.line.fault = answer_with(url, b"", 302, location="http://portal.invalid/")


def overloaded(world: World) -> None:
    url = f"{world.registry.metadata_url}/timestamp.json"
    world.line.fault = answer_with(url, b"", 429, **{"retry-after": "7200"})


def full_disk(world: World) -> None:
    assert isinstance(world.files, MemoryFileSystem)
    world.files.capacity = sum(len(f.data) for f in world.files.files.values()) + 2000


CASES = {
    "a wrong signature": (wrong_signature, "bad_signature"),
    "expired metadata": (expired, "expired_metadata"),
    "a captive portal instead of metadata": (portal_for_metadata, "malformed_metadata"),
    "a truncated file": (truncated, "truncated"),
    "a corrupted file of the right length": (corrupted, "wrong_content"),
    "a captive portal instead of an artifact": (portal_for_an_artifact, "truncated"),
    "more bytes than were signed": (endless, "too_large"),
    "a missing artifact": (missing_artifact, "unexpected_status"),
    "no network": (no_network, "unreachable"),
    "a redirect": (redirected, "redirected"),
    "an overloaded server": (overloaded, "rate_limited"),
    "a full disk": (full_disk, "disk_full"),
}


def problem_code(result: PollResult) -> str | None:
    head = result.head(NAME)
    problem = result.problem or (head.problem if head is not None else None)
    return None if problem is None else problem.code


@pytest.mark.parametrize("case", CASES, ids=[c.replace(" ", "-") for c in CASES])
def test_one_clear_reason_and_the_old_head_still_runs(case: str) -> None:
    spoil, code = CASES[case]
    world, device = settled_device()
    spoil(world)
    result = device.poll(force=True)
    assert problem_code(result) == code
    problem = result.problem or result.head(NAME).problem
    assert problem.message
    assert problem.hint
    still_runs_release_1(world, device)


@pytest.mark.parametrize(
    "case", ["a truncated file", "a corrupted file of the right length", "a full disk", "no network"]
)
def test_what_was_transient_heals_at_the_next_poll(case: str) -> None:
    world, device = settled_device()
    CASES[case][0](world)
    device.poll(force=True)
    world.line.fault = None
    world.files.capacity = 1 << 30
    assert device.poll(force=True).head(NAME).status == "staged"
    assert device.predict("你好").release == 2


def test_replayed_metadata() -> None:
    world, device = settled_device()
    old = {url: data for url, data in world.registry.files.items() if url.endswith("timestamp.json")}
    world.registry.offer(2, rollout=Rollout("s", 0))
    assert device.poll(force=True).status == "done"
    world.registry.files |= old
    assert problem_code(device.poll(force=True)) == "rollback"
    still_runs_release_1(world, device)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"bases": ()}, "base_not_proven"),
        ({"contract": digest_of(b"other")}, "contract_mismatch"),
        ({"min_os": (99, 0, 0)}, "os_too_old"),
        ({"max_os": (16, 0, 0), "min_os": (15, 0, 0)}, "os_too_new"),
        ({"min_app_build": 9}, "app_too_old"),
        ({"status": "revoked"}, "revoked"),
    ],
    ids=["base-of-another-digest", "other-contract", "old-system", "new-system", "old-app", "revoked"],
)
def test_what_signed_facts_forbid_is_never_fetched(facts: dict, reason: str) -> None:
    world, device = settled_device()
    world.registry.release(3, head_files(7), **facts)
    world.registry.offer(3)
    polled = device.poll(force=True).head(NAME)
    assert (polled.status, polled.reasons[0]) == ("kept", reason)
    assert device.explain().reasons[0] == reason
    assert not any(hex_of(digest_of(head_files(7)["head.mlmodel"])) in line for line in world.line.log)
    still_runs_release_1(world, device)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [("rule_broken", "model_unreadable"), ("label_missing", "head_shape")],
)
def test_signed_bytes_that_cannot_work_are_reported_once_and_kept_away(spoiled: str, reason: str) -> None:
    world, device = settled_device()
    world.registry.release(3, head_files(8, spoiled=spoiled))
    world.registry.offer(3)
    polled = device.poll(force=True).head(NAME)
    assert polled.status == "failed"
    assert "invalid" in polled.problem.code or polled.problem.code == reason
    assert device._drivers[NAME].state.outcomes[-1].kind == "refused"
    again = device.poll(force=True).head(NAME)
    assert again == HeadPoll(NAME, "kept", reasons=("quarantined_here",))
    still_runs_release_1(world, device)


def test_a_head_whose_golden_batch_belongs_to_another_head_fails_its_trial() -> None:
    world, device = settled_device()
    world.registry.release(3, head_files(8, spoiled="other_golden"))
    world.registry.offer(3)
    device.poll(force=True)
    use(device, 4)
    assert device._drivers[NAME].state.outcomes[-1].detail in ("golden_probabilities", "golden_agreement")
    still_runs_release_1(world, device)


def test_a_halted_rollout_takes_an_untried_release_back() -> None:
    world, device = settled_device()
    assert device.poll(force=True).head(NAME).status == "staged"
    world.registry.channel(offers=(Offer(NAME, 2, "halted", EVERYONE),))
    device.poll(force=True)
    assert device.status().staged is None
    assert device._drivers[NAME].state.outcomes[-1].detail == "halted"


def test_stop_personalising_is_obeyed() -> None:
    world, device = settled_device()
    correct(device, 150)
    world.registry.channel(personalise={NAME: "hold"}, offers=())
    device.poll(force=True)
    assert device.personalise().reason == "directive_hold"
    world.registry.channel(personalise={NAME: "discard"})
    device.poll(force=True)
    assert device.personalise().reason == "directive_discard"
    assert device.status().corrections == 150


def test_a_damaged_slot_gives_way_and_is_fetched_again() -> None:
    world, device = settled_device()
    device.close()
    state = device._drivers[NAME].state
    path = f"heads/{NAME}/releases/{hex_of(state.stable.manifest)}/head.mlmodel"
    world.files.files[path].data = b"\x00" * 10
    device = world.device()
    assert device.predict("你好").release == 0
    world.registry.offer(1)
    assert device.poll(force=True).head(NAME).status == "staged"
    assert device.predict("你好").release == 1


class Swapped(MemoryFileSystem):
    """Somebody puts another head into the file, right after it was read for the ``after``-th time."""

    after = 0

    def read(self, path: str) -> bytes | None:
        data = super().read(path)
        if path.endswith("/head.mlmodel"):
            self.after -= 1
            if self.after == 0:
                self.files[path].data = head_files(9)["head.mlmodel"]
        return data


@pytest.mark.parametrize("after", range(1, 7))
def test_a_file_that_is_swapped_after_it_was_verified_is_never_run(after: int) -> None:
    """Whichever look at the file was the last good one, while it is tried or later: what runs is what was signed."""
    world = World(files=Swapped())
    world.publish(1, seed=5)
    world.files.after = after  # type: ignore[attr-defined]
    signed = {digest_of(head_files(5)["head.mlmodel"])}
    for _ in range(3):
        device = world.device()
        signed.add(device._drivers[NAME].state.embedded.head)
        device.poll(force=True)
        use(device, 4)
        loaded = device._drivers[NAME].loaded
        assert loaded is not None
        assert loaded.digest in signed
        device.close()
    assert world.files.after <= 0, "it was swapped"  # type: ignore[attr-defined]


def test_an_unreadable_record_is_put_aside_and_the_device_starts_clean() -> None:
    world, device = settled_device()
    device.close()
    world.files.files[f"heads/{NAME}/record.json"].data = b"{half"
    device = Device(world.bundle, world.files, runtime=device._runtime, clock=world.clock)
    launched = device.launch()
    assert (launched.status, launched.problem.code) == ("clean_start", "record_unreadable")
    assert world.files.read(f"heads/{NAME}/record.unreadable-0") == b"{half"
    assert device.predict("你好").release == 0


def test_a_second_process_runs_the_embedded_head_and_saves_nothing() -> None:
    world, device = settled_device()
    before = {path: file.data for path, file in world.files.files.items()}
    second = Device(world.bundle, world.files, runtime=device._runtime, clock=world.clock)
    assert second.launch().status == "busy"
    assert second.predict("你好").release == 0
    assert second.poll(force=True).status == "read_only"
    second.close()
    assert {path: file.data for path, file in world.files.files.items()} == before
    still_runs_release_1(world, device)


def test_a_disk_that_is_full_from_any_change_on_never_takes_the_head_away() -> None:
    """The disk fills up at change n of a whole update; the app must get an answer, and heal with space."""
    world = World()
    world.publish(1, seed=5)

    def update() -> Device:
        device = world.device()
        device.poll(force=True)
        assert all(isinstance(answer, Prediction) for answer in use(device, 4))
        device.close()
        return device

    update()
    for at in range(world.files.changes):
        world.files = MemoryFileSystem(fault=Fault(at, "full"))
        update()
        world.files.fault = None
        assert update().status().release == 1, f"full from change {at}, then not"


def test_the_registry_can_ask_for_quiet() -> None:
    world, device = settled_device()
    overloaded(world)
    device.poll(force=True)
    world.line.fault = None
    assert device.poll().status == "not_due"
    assert device.poll().wait_s >= 7200
    device.close()
    device = world.device()
    assert device.poll().wait_s >= 7200, "the wait survives a restart"
    world.clock.at += 7300
    assert device.poll().status == "done"


def test_a_clock_that_went_back_accepts_nothing_new_and_runs_on() -> None:
    world, device = settled_device()
    device.poll(force=True)
    use(device, 4)
    world.publish(3, seed=7)
    world.clock.at -= 3 * DAY
    polled = device.poll(force=True).head(NAME)
    assert polled.reasons == ("clock",)
    assert device.predict("你好").release == 2


def test_predicting_without_anything_but_the_app_needs_no_network() -> None:
    world = World()
    no_network(world)
    device = world.device()
    assert device.poll(force=True).problem.code == "unreachable"
    assert device.predict("你好").release == 0
    assert replace(device.status(), head=digest_of(b"")).release == 0

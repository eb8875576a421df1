"""Orders off: a recall by the channel and a revocation by the publisher reach confirmed releases; silence does not."""

from __future__ import annotations

from headway.contract.manifest import channel_path
from headway.contract.targets import HeadTarget
from headway.device.client import Device
from headway.trust.online import CHANNELS
from headway.trust.roles import edit, heads_role, sign_heads
from headway.trust.wire import add_signatures

from .world import BASE_ID, CHANNEL, NAME, Registry, World, correct, head_files, use


def confirmed(world: World, *numbers: int) -> tuple[Device, dict[int, HeadTarget]]:
    """A device that confirmed these releases, one after the other; the heads with seed 4 + number."""
    device, signed = world.device(), {}
    for number in numbers:
        signed[number] = world.publish(number, seed=4 + number)
        assert device.poll(force=True).head(NAME).status == "staged"
        use(device)
    return device, signed


def drop(registry: Registry, target: HeadTarget) -> None:
    """Take a release out of the signed metadata, as newer ones push out an old one."""
    role, signers = heads_role(BASE_ID), [registry.keys.publisher]
    gone = [f"heads/{BASE_ID}/{target.name}/{target.release}/manifest.json"]
    registry.roles[role] = sign_heads(registry.roles[role], BASE_ID, [], signers, now=registry.now(), drop=gone)
    registry.publish()


def silence(registry: Registry) -> None:
    """The channel says nothing any more about the base."""
    draft = edit(registry.roles[CHANNELS], CHANNELS, drop=[channel_path(CHANNEL, BASE_ID)], now=registry.now())
    registry.roles[CHANNELS] = add_signatures(draft, CHANNELS, [registry.keys.channels])
    registry.publish()


def outcomes(device: Device) -> list[tuple[str, int, str | None]]:
    return [(o.kind, o.release, o.detail) for o in device._drivers[NAME].state.outcomes]


def test_a_release_that_its_publisher_revoked_leaves_the_device_that_confirmed_it() -> None:
    world = World()
    device, _ = confirmed(world, 1, 2)
    world.registry.release(2, head_files(6), status="revoked")
    device.poll(force=True)
    assert device.status().release == 1
    assert outcomes(device)[-1] == ("recalled", 2, "stable")
    assert use(device)[0].release == 1
    device.close()
    device = world.device()
    assert device.status().release == 1
    assert device.poll(force=True).head(NAME).reasons == ("revoked",)


def test_the_publishers_word_counts_where_the_channel_says_nothing() -> None:
    world = World()
    device, _ = confirmed(world, 1, 2)
    world.registry.recall(1)
    device.poll(force=True)
    silence(world.registry)
    world.registry.release(2, head_files(6), status="revoked")
    polled = device.poll(force=True).head(NAME)
    assert polled.reasons == ("no_compatible_head",)
    assert device.status().release == 0
    assert [o[:2] for o in outcomes(device) if o[0] == "recalled"] == [("recalled", 1), ("recalled", 2)]
    # What the channel recalled while it still spoke is not forgotten.
    assert len(device._drivers[NAME].state.recalled) == 2


def test_what_leaves_the_metadata_stays_on_the_device() -> None:
    world = World()
    device, signed = confirmed(world, 1)
    drop(world.registry, signed[1])
    world.registry.offer()
    device.poll(force=True)
    assert device.status().release == 1
    assert use(device)[0].release == 1


def test_bytes_revoked_under_one_number_and_live_under_another_stay() -> None:
    world = World()
    device, _ = confirmed(world, 1, 2)
    world.registry.release(2, head_files(6), status="revoked")
    world.registry.release(3, head_files(6))
    world.registry.offer(3)
    device.poll(force=True)
    use(device)
    assert device.status().release == 3
    assert [o[0] for o in outcomes(device)[-2:]] == ["installed", "confirmed"]


def test_after_a_revocation_an_older_release_may_be_taken_again() -> None:
    world = World()
    device, _ = confirmed(world, 1, 2, 3)
    for number in (2, 3):
        world.registry.release(number, head_files(4 + number), status="revoked")
    device.poll(force=True)
    assert device.status().release == 0  # 3 and the one before it are gone, 1 was not kept
    world.registry.offer(1)
    assert device.poll(force=True).head(NAME).status == "staged"
    assert use(device)[-1].release == 1


def test_a_revocation_during_a_trial_ends_it_and_its_personal_heads() -> None:
    world = World()
    device, _ = confirmed(world, 1)
    correct(device, 200)
    assert device.personalise().status == "accepted"
    world.publish(2, seed=6)
    device.poll(force=True)
    assert use(device, 1)[0].trial
    world.registry.release(2, head_files(6), status="revoked")
    device.poll(force=True)
    answer = use(device, 1)[0]
    assert (answer.release, answer.generation, answer.trial) == (1, 1, False)
    world.registry.release(1, head_files(5), status="revoked")
    device.poll(force=True)
    answer = use(device, 1)[0]
    assert (answer.release, answer.generation) == (0, 0)


def test_the_embedded_head_stays_whatever_is_ordered() -> None:
    world = World()
    device = world.device()
    embedded = device.status().head
    target = world.registry.release(1, head_files(5))
    world.registry.release(1, head_files(1), status="revoked", head=embedded, labels=target.labels)
    device.poll(force=True)
    assert device.status().head == embedded
    assert use(device, 1)[0].release == 0


def test_expired_metadata_orders_nothing() -> None:
    world = World()
    device, _ = confirmed(world, 1)
    world.registry.release(1, head_files(5), status="revoked")
    world.clock.at += 400 * 86_400
    assert device.poll(force=True).status == "failed"
    assert device.status().release == 1
    assert use(device)[0].release == 1

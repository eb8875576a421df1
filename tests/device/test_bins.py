"""A device whose base's heads are split into hash bins and put back while it goes on from release to release."""

from __future__ import annotations

import pytest

from headway.device.client import Device

from .world import BASE_ID, NAME, World, head_files, use


def split(world: World, bits: int) -> None:
    world.registry.split(BASE_ID, bits)
    world.registry.publish()


def follows(world: World, device: Device, number: int) -> None:
    """The device takes the next release and confirms it."""
    world.publish(number, seed=4 + number)
    assert device.poll(force=True).head(NAME).status == "staged"
    use(device)
    assert device.status().release == number


@pytest.mark.parametrize("restart", [False, True], ids=["goes on", "starts anew"])
def test_a_device_goes_on_over_every_split(restart: bool) -> None:
    world = World()
    device = world.device()
    follows(world, device, 1)
    for number, bits in ((2, 3), (3, 5), (4, 0), (5, 2)):
        split(world, bits)
        if restart:
            device.close()
            device = world.device()
        polled = device.poll(force=True)
        assert polled.status == "done"
        assert polled.head(NAME).reasons == ()
        assert device.status().release == number - 1
        follows(world, device, number)


def test_a_poll_asks_for_the_bins_of_its_own_releases_alone() -> None:
    world = World()
    for number in (1, 2, 3):
        world.registry.release(number, head_files(4 + number), name="other")
    device = world.device()
    follows(world, device, 1)
    split(world, 8)
    world.line.log.clear()
    device.poll(force=True)
    home = world.registry.head_roles(BASE_ID).home(f"heads/{BASE_ID}/{NAME}/1/manifest.json")
    assert [request for request in world.line.log if "bins-" in request] == [f"GET 1.{home}.json"]


def test_a_revocation_in_a_bin_takes_the_release_off() -> None:
    world = World()
    device = world.device()
    follows(world, device, 1)
    split(world, 4)
    follows(world, device, 2)
    world.registry.release(2, head_files(6), status="revoked")
    device.poll(force=True)
    assert device.status().release == 1


def test_a_bin_that_is_missing_fails_the_poll_and_changes_nothing() -> None:
    world = World()
    device = world.device()
    follows(world, device, 1)
    split(world, 2)
    bins = [url for url in world.registry.files if "bins-" in url]
    held = {url: world.registry.files.pop(url) for url in bins}
    polled = device.poll(force=True)
    assert (polled.status, polled.problem.code) == ("failed", "not_served")
    assert device.status().release == 1
    world.registry.files |= held
    assert device.poll(force=True).status == "done"
    follows(world, device, 2)

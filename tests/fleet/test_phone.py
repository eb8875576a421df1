"""Phones: what the app around the device decides, and what survives when its process or disk fails."""

from __future__ import annotations

from collections.abc import Callable

from headway.device.faulty import Fault
from headway.device.results import Prediction
from headway.fleet.corpus import read_utterances
from headway.fleet.phone import Answers, Phone, app_agrees
from headway.fleet.workshop import FitPlan, fit_release
from headway.testing.bench import Bench

LABELS = ("film", "music", "travel")


def test_the_app_waits_until_it_has_seen_enough() -> None:
    assert app_agrees(Answers(0, 15), Answers(90, 100)) is None
    assert app_agrees(Answers(0, 16), Answers(90, 100)) is False


def test_the_app_forgives_what_chance_or_a_lost_personal_head_explains() -> None:
    assert app_agrees(Answers(16, 16), Answers(90, 100)) is True
    assert app_agrees(Answers(12, 16), Answers(90, 100)) is True


def test_the_app_has_no_opinion_without_a_past() -> None:
    assert app_agrees(Answers(0, 16), Answers()) is True


def test_a_user_who_always_corrects_vetoes_nothing() -> None:
    assert app_agrees(Answers(0, 16), Answers(3, 100)) is True


def kinds(phone: Phone) -> list[str]:
    return [event.kind for event in phone.events]


def test_bad_networks_and_failing_disks_only_delay(registry: Bench, device: Callable[..., Phone]) -> None:
    """All kinds of networks, and processes killed at all sorts of writes: everybody ends with one sound, new head."""
    registry.publish(registry.fixtures.head("topic-2"), 2)
    registry.offer(2)
    networks = ["refused", "truncated", "corrupted", "server_error", "captive_portal", "slow"]
    weathered = [device(network, network=network) for network in networks]
    killed = []
    for number, moment in enumerate(["before", "middle", "after"] * 2):
        phone = device(f"killed-{number}")
        phone.break_disk(Fault(4 * number + 1, moment, "torn" if moment == "middle" else "synced"))
        killed.append(phone)
    full = device("full")
    full.break_disk(Fault(2, "full"))
    phones = [*weathered, *killed, full]
    registry.live(phones, hours=5, texts=2)
    assert full.release == 1
    assert isinstance(full.device.predict("你好"), Prediction)
    full.mend_disk()
    registry.live(phones, hours=16, texts=2)
    for phone in phones:
        assert phone.is_sound(), phone.name
        assert phone.release == 2, phone.name
        assert "confirmed" in kinds(phone)
    met = {kind for phone in weathered for kind in phone.line.met}
    assert len(met) >= 3
    assert "captive_portal" in met
    assert all(kinds(phone).count("killed") == 1 for phone in killed)
    assert full.faults == {"disk_full": 1}


def test_a_release_with_swapped_labels_passes_every_check_but_the_person(
    registry: Bench, device: Callable[..., Phone]
) -> None:
    """The publisher's proof and the device's golden batch agree with the mistake; only people can tell."""
    train = read_utterances(registry.fixtures.split("train"))
    plan = FitPlan(rows=300, golden=32, epochs=30, swap=("film", "music"))
    bad = fit_release(registry.folder / "bad", train, LABELS, plan, registry.encoder)
    phones = [device(f"d{n:02d}") for n in range(1, 7)]
    registry.live(phones, hours=4)
    registry.publish(bad, 2)
    registry.offer(2)
    registry.live(phones, hours=14)
    assert all("tried" in kinds(phone) for phone in phones)
    backs = [event for phone in phones for event in phone.events if event.kind == "rolled_back"]
    assert len(backs) >= 3
    assert {event.code for event in backs} == {"app_veto"}
    assert all(event.release == 1 for event in backs)
    registry.recall(2)
    registry.live(phones, hours=4)
    assert {phone.release for phone in phones} == {1}
    assert all(phone.is_sound() for phone in phones)

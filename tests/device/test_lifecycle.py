"""A device's whole life against a registry that signs: stage, try, confirm, roll back, recall, personalise, rebase."""

from __future__ import annotations

from headway.device.results import Prediction
from headway.device.state import Phase

from .world import NAME, TEXTS, World, correct, head_files, make_bundle, use


def kinds(device) -> list[str]:
    return [o.kind for o in device._drivers[NAME].state.outcomes]


def test_a_fresh_device_runs_the_embedded_head() -> None:
    device = World().device()
    answer = device.predict("你好 film")
    assert isinstance(answer, Prediction)
    assert (answer.release, answer.generation, answer.trial) == (0, 0, False)
    assert abs(sum(answer.probabilities.values()) - 1) < 1e-5


def test_a_release_is_staged_tried_at_the_first_prediction_and_confirmed() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    polled = device.poll(force=True)
    assert polled.status == "done", polled.problem
    assert polled.head(NAME).status == "staged"
    assert device.status().phase is Phase.STAGED
    first = device.predict("a good road")
    assert first.release == 1
    assert first.trial
    use(device, 3)
    assert device.status().phase is Phase.CONFIRMED
    assert device.status().floor == 1
    assert kinds(device) == ["installed", "confirmed"]
    assert device.poll(force=True).head(NAME).status == "unchanged"


def test_a_release_that_misses_a_class_is_rolled_back_and_kept_away() -> None:
    world = World()
    world.registry.release(1, head_files(5, spoiled="blind_to_a_class"))
    world.registry.offer(1)
    device = world.device()
    device.poll(force=True)
    answers = use(device, 6)
    assert answers[0].release == 1
    assert answers[-1].release == 0
    assert kinds(device) == ["installed", "rolled_back"]
    assert device._drivers[NAME].state.outcomes[-1].detail == "class_floor"
    assert device.poll(force=True).head(NAME).reasons == ("quarantined_here",)


def test_a_recall_takes_a_confirmed_release_off() -> None:
    world = World()
    device = world.device()
    for number in (1, 2):
        world.publish(number, seed=4 + number)
        device.poll(force=True)
        use(device)
    assert device.status().release == 2
    world.registry.recall(2)
    device.poll(force=True)
    assert device.status().release == 1
    assert kinds(device)[-1] == "recalled"
    assert use(device)[0].release == 1


def test_corrections_personalise_the_head_and_a_generation_can_be_dropped() -> None:
    world = World()
    device = world.device()
    correct(device, 200)
    result = device.personalise()
    assert result.status == "accepted", result
    assert result.figures["holdout_accuracy_after"] > result.figures["holdout_accuracy_before"]
    assert device.predict("a good road").generation == 1
    device.drop_generation()
    assert device.predict("a good road").generation == 0
    assert kinds(device) == ["personalised", "rolled_back"]


def test_a_personal_head_is_carried_over_to_a_new_release() -> None:
    world = World()
    device = world.device()
    correct(device, 200)
    assert device.personalise().status == "accepted"
    world.publish(1, seed=100, rebase="merge")
    device.poll(force=True)
    use(device)
    assert device.status().rebase_due == "merge"
    assert device.status().generation == 0
    result = device.rebase()
    assert result.status == "accepted", result
    assert device.predict("a good road").generation == 2
    assert kinds(device)[-1] == "rebased"


def test_everything_survives_a_restart() -> None:
    world = World()
    device = world.device()
    correct(device, 200)
    device.personalise()
    world.publish(1, seed=5)
    device.poll(force=True)
    before = device._drivers[NAME].state
    device.close()
    again = world.device()
    after = again._drivers[NAME].state
    assert after.durable == before.durable
    assert again.status().corrections == 200
    assert again.predict("a good road").release == 1


def test_outcomes_are_sent_once() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device)
    assert device.flush_outcomes().sent == 2
    assert [o["kind"] for o in world.line.outcomes] == ["installed", "confirmed"]
    assert device.flush_outcomes().sent == 0


def test_corrections_of_one_class_never_make_the_head_blind_to_the_others() -> None:
    world = World()
    device = world.device()
    for text in TEXTS[::20]:
        device.add_correction(text, "film")
    result = device.personalise()
    assert (result.status, result.reason) in (("rejected", "forgets"), ("failed", "forgets")), result
    assert len({device.predict(text).label for text in TEXTS[:200]}) > 1
    assert device.status().generation == 0


def test_corrections_with_labels_that_the_head_does_not_know_wait_for_one_that_does() -> None:
    world = World()
    device = world.device()
    for text in TEXTS[::20]:
        device.add_correction(text, "sport")
    assert device.personalise().reason == "too_few_samples"
    assert device.status().corrections == len(TEXTS[::20])


def test_the_user_may_be_forgotten() -> None:
    world = World()
    device = world.device()
    correct(device, 200)
    device.personalise()
    device.predict("a good road")
    assert device.forget_me() is None
    assert (device.status().corrections, device.status().generation) == (0, 0)
    left = [path for path in world.files.files if "samples" in path or "features" in path or "personal/" in path]
    assert left == []
    assert device.predict("a good road").generation == 0


def test_an_app_update_with_another_base_starts_from_its_embedded_head_and_keeps_the_corrections() -> None:
    world = World()
    world.publish(1, seed=5)
    device = world.device()
    device.poll(force=True)
    use(device)
    correct(device, 60)
    device.close()
    world.base, world.bundle = 1, make_bundle(world.registry, base=1)
    device = world.device()
    assert device.predict("a good road").release == 0
    assert device.status().corrections == 60
    assert device.poll(force=True).head(NAME).reasons == ("base_not_proven", "contract_mismatch")
    assert kinds(device)[-1] == "refused"

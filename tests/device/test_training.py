"""Training and rebasing as functions of arrays, through the real update task on a real head file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headway.contract.errors import HeadwayError
from headway.coreml import HeadLayout, build_head, initial_weights
from headway.device.personalise import (
    LabelledRows,
    Material,
    PersonalisePolicy,
    choose_alpha,
    halves,
    interpolate,
    measure_rows,
    train,
    training_set,
)
from headway.device.rebase import ALPHAS, Labelled, can_keep, match_labels, merged

from .world import LABELS, MLModel_of, head_files

WIDTH = 16
QUICK = PersonalisePolicy(epochs=6, learning_rate=0.1, rehearsal=1.0, anchors=1.0, golden_loss_rise=9.0)


def rows(count: int, seed: int, shift: int = 0) -> LabelledRows:
    """Rows whose label is the largest of their first three features, shifted by a habit."""
    features = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return LabelledRows(features, ((features[:, :3].argmax(axis=1) + shift) % 3).astype(np.int32))


MATERIAL = Material(rows(40, 1), rows(20, 2), rows(12, 3), rows(12, 4))
HEAD = MLModel_of(head_files(1)["head.mlmodel"])


def test_training_learns_what_the_user_says() -> None:
    result = train(HEAD, MATERIAL, QUICK)
    fresh = rows(200, 9)
    assert measure_rows(result.model, fresh).accuracy > measure_rows(HEAD, fresh).accuracy + 0.1
    assert result.steps > 0
    assert result.delta_norm > 0


def test_training_twice_gives_the_same_bytes() -> None:
    assert train(HEAD, MATERIAL, QUICK).model.spec_bytes == train(HEAD, MATERIAL, QUICK).model.spec_bytes


def test_the_training_set_is_whole_batches_of_weighted_parts() -> None:
    policy = replace(QUICK, rehearsal=2.0, anchors=1.0, noise=0.0)
    data = training_set(HEAD, MATERIAL, policy)
    assert len(data) % policy.mini_batch_size == 0
    assert len(data) - policy.mini_batch_size < 40 + 80 + 40 <= len(data)
    own = {row.tobytes() for row in MATERIAL.train.features}
    assert own <= {row.tobytes() for row in data.features}
    assert np.isfinite(training_set(HEAD, MATERIAL, replace(policy, noise=0.5)).features).all()


def test_no_golden_batch_means_no_rehearsal() -> None:
    empty = MATERIAL.rehearse.rows(np.zeros(0, np.intp))
    data = training_set(HEAD, replace(MATERIAL, rehearse=empty), replace(QUICK, anchors=0.0))
    assert len(data) == 40


def test_golden_halves_do_not_meet() -> None:
    even, odd = halves(MATERIAL.rehearse)
    assert len(even) + len(odd) == 12
    assert not {r.tobytes() for r in even.features} & {r.tobytes() for r in odd.features}


def test_alpha_is_the_best_step_that_does_not_forget() -> None:
    after = train(HEAD, MATERIAL, replace(QUICK, alphas=(1.0,))).model.weights
    alpha, weights = choose_alpha(HEAD, after, MATERIAL, QUICK)
    losses = {
        a: measure_rows(HEAD.with_weights(interpolate(HEAD.weights, after, a)), MATERIAL.tune).loss
        for a in QUICK.alphas
    }
    assert losses[alpha] == min(losses.values())
    assert np.allclose(weights["dense_0.weights"], interpolate(HEAD.weights, after, alpha)["dense_0.weights"])
    with pytest.raises(HeadwayError, match="forgets"):
        choose_alpha(HEAD, after, MATERIAL, replace(QUICK, golden_loss_rise=-9.0))


def test_interpolation_ends_are_before_and_after() -> None:
    before, after = {"w": np.zeros(3, np.float32)}, {"w": np.ones(3, np.float32)}
    assert interpolate(before, after, 0.0)["w"].tolist() == [0, 0, 0]
    assert interpolate(before, after, 1.0)["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("part", ["train", "tune"])
def test_too_few_samples_are_refused(part: str) -> None:
    with pytest.raises(HeadwayError) as caught:
        train(HEAD, replace(MATERIAL, **{part: rows(1, 5)}), QUICK)
    assert caught.value.code == "too_few_samples"


def test_cancelling_ends_training_without_a_candidate() -> None:
    with pytest.raises(HeadwayError) as caught:
        train(HEAD, MATERIAL, QUICK, cancelled=lambda: True)
    assert caught.value.code == "cancelled"


def test_a_rate_outside_the_heads_range_is_the_tasks_own_error() -> None:
    with pytest.raises(HeadwayError) as caught:
        train(HEAD, MATERIAL, replace(QUICK, learning_rate=5.0))
    assert caught.value.code == "mlmodel_parameters"


def test_measuring_a_head_that_gives_nan_gives_infinite_loss() -> None:
    broken = HEAD.with_weights({k: np.full_like(v, np.nan) for k, v in HEAD.weights.items()})
    assert measure_rows(broken, MATERIAL.tune).loss == np.inf


# Rebase -------------------------------------------------------------------------------------------------------

OLD, NEW = Labelled(HEAD, LABELS), Labelled(MLModel_of(head_files(100)["head.mlmodel"]), LABELS)


def moved(by: float) -> Labelled:
    return Labelled(HEAD.with_weights({k: v + np.float32(by) for k, v in HEAD.weights.items()}), LABELS)


def test_merge_adds_the_personal_change_to_the_new_release() -> None:
    found = dict(merged(NEW, moved(0.5), OLD))
    assert tuple(found) == ALPHAS
    for alpha, model in found.items():
        for key, value in NEW.model.weights.items():
            assert np.allclose(model.weights[key], value + alpha * 0.5, atol=1e-6)


def test_merge_matches_rows_by_label_name() -> None:
    layout = HeadLayout(features=WIDTH, classes=4)
    labels = ("sport", "travel", "film", "music")
    wider = Labelled(MLModel_of(build_head(layout, initial_weights(layout, 3))), labels)
    change = HEAD.with_weights(
        {k: v + np.arange(3, dtype=np.float32).reshape(-1, *[1] * (v.ndim - 1)) for k, v in HEAD.weights.items()}
    )
    _, model = list(merged(wider, Labelled(change, LABELS), OLD))[-1]
    difference = model.weights["dense_0.biases"] - wider.model.weights["dense_0.biases"]
    by_label = dict(zip(labels, difference.tolist(), strict=True))
    assert by_label == pytest.approx({"sport": 0, "film": 0, "music": 1, "travel": 2}, abs=1e-6)


def test_merge_gives_nothing_where_layers_do_not_fit() -> None:
    layout = HeadLayout(features=WIDTH, classes=3, hidden=(5,))
    other = Labelled(MLModel_of(build_head(layout, initial_weights(layout, 3))), LABELS)
    assert list(merged(other, moved(0.5), OLD)) == []
    assert list(merged(NEW, other, OLD)) == []


def test_keep_needs_the_same_question() -> None:
    assert can_keep(moved(0.1), NEW)
    assert not can_keep(moved(0.1), Labelled(NEW.model, (LABELS[1], LABELS[0], LABELS[2])))


def test_a_removed_label_is_dropped_from_the_change() -> None:
    change = {k: np.ones_like(v) for k, v in HEAD.weights.items()}
    two = HeadLayout(features=WIDTH, classes=2)
    release = Labelled(MLModel_of(build_head(two, initial_weights(two, 1))), ("music", "film"))
    matched = match_labels(change, LABELS, release)
    assert matched["dense_0.weights"].shape == (2, WIDTH)

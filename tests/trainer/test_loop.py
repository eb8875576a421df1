"""The training loop: an interrupted run ends where an uninterrupted one does; the best round is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")

from headway.contract.errors import RefusedError
from headway_trainer import checkpoint
from headway_trainer.average import Average
from headway_trainer.loop import Outcome, Plan, train
from headway_trainer.optimiser import Schedule


class Interrupted(Exception):
    pass


class Bench:
    """A regression with dropout, so that random numbers matter; may be told to break down at a step."""

    def __init__(self, folder: Path, scores: list[float] | None = None) -> None:
        torch.manual_seed(5)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self.x = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
        self.path, self.steps, self.scores = folder / "model.pt", 0, list(scores or [])
        rounds = [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]], [[0, 5, 9], [1, 2, 3]]]
        self.plan = Plan("bench", rounds, Schedule(0.05), seed=1)

    def run(self, break_at: int | None = None, patience: int | None = None, average: float = 0.0) -> Outcome:
        def loss_of(rows: list[int]) -> tuple[torch.Tensor, int]:
            self.steps += 1
            if self.steps == break_at:
                raise Interrupted
            return (self.model(self.x[rows]) - 1).square().mean(), 3

        plan = Plan(self.plan.name, self.plan.rounds, self.plan.schedule, self.plan.seed, patience, average)
        score = (lambda: self.scores.pop(0)) if self.scores else None
        return train(plan, self.model, loss_of, self.path, score)

    def weights(self) -> list[float]:
        return [value for p in self.model.parameters() for value in p.flatten().tolist()]


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = Bench(tmp_path / "a")
    whole.run()
    with pytest.raises(Interrupted):
        Bench(tmp_path / "b").run(break_at=4)
    again = Bench(tmp_path / "b")
    again.run()
    assert again.steps == 4, "the round that was done is not done again"
    assert again.weights() == whole.weights()


def test_the_average_is_scored_and_kept_and_survives_a_resume(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    whole = Bench(tmp_path / "a")
    whole.run(average=0.9)
    with pytest.raises(Interrupted):
        Bench(tmp_path / "b").run(break_at=4, average=0.9)
    again = Bench(tmp_path / "b")
    again.run(average=0.9)
    plain = Bench(tmp_path)
    plain.run()
    assert again.weights() == whole.weights()
    assert whole.weights() != plain.weights()


def test_an_average_lags_behind() -> None:
    layer = torch.nn.Linear(1, 1)
    average = Average(layer, decay=0.5)
    start = layer.weight.item()
    with torch.no_grad():
        layer.weight += 1
    average.update(layer)
    with average.applied(layer):
        inside = layer.weight.item()
    assert start < inside < start + 1
    assert layer.weight.item() == pytest.approx(start + 1)


def test_best_round_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, scores=[0.2, 0.9, 0.5])
    outcome = bench.run()
    assert outcome.best == 0.9
    kept = checkpoint.load(bench.path)
    assert kept is not None
    assert torch.equal(kept["model"]["0.weight"], bench.model[0].weight)


def test_patience_ends_early(tmp_path: Path) -> None:
    bench = Bench(tmp_path, scores=[0.9, 0.5, 0.6])
    assert bench.run(patience=1).scores == [0.9, 0.5]


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.x = bench.x * float("nan")
    with pytest.raises(RefusedError) as caught:
        bench.run()
    assert caught.value.code == "train.diverged"


def test_a_failed_save_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    checkpoint.save(path, {"round": 1})
    with pytest.raises(Exception, match=r"pickle|lambda|local"):
        checkpoint.save(path, {"round": lambda: 2})
    assert checkpoint.load(path) == {"round": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["model.pt"]

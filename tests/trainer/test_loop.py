"""The training loop: an interrupted run ends where an uninterrupted one does; the best round is kept."""

from __future__ import annotations

import io
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")

from headway.contract.errors import RefusedError
from headway_trainer.files import write_text
from headway_trainer.learning import checkpoint
from headway_trainer.learning.average import Average
from headway_trainer.learning.loop import Outcome, Plan, train
from headway_trainer.learning.optimiser import Schedule
from headway_trainer.progress import Progress, duration


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
        self.save_every_s = 300.0

    def run(self, break_at: int | None = None, patience: int | None = None, average: float = 0.0) -> Outcome:
        def loss_of(rows: list[int]) -> tuple[torch.Tensor, int]:
            self.steps += 1
            if self.steps == break_at:
                raise Interrupted
            return (self.model(self.x[rows]) - 1).square().mean(), 3

        kept = self.plan
        plan = Plan(kept.name, kept.rounds, kept.schedule, kept.seed, patience, average, self.save_every_s)
        score = (lambda: self.scores.pop(0)) if self.scores else None
        return train(plan, self.model, loss_of, self.path, score)

    def weights(self) -> list[float]:
        return [value for p in self.model.parameters() for value in p.flatten().tolist()]


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = Bench(tmp_path / "a")
    outcome = whole.run()
    with pytest.raises(Interrupted):
        Bench(tmp_path / "b").run(break_at=4)
    again = Bench(tmp_path / "b")
    assert again.run() == outcome
    assert again.steps == 4, "the round that was done is not done again"
    assert again.weights() == whole.weights()


def test_what_comes_after_training_may_fail_and_costs_no_training(tmp_path: Path) -> None:
    whole = Bench(tmp_path)
    outcome = whole.run()
    again = Bench(tmp_path)
    assert again.run() == outcome, "also its curve, whose points are means of all steps before"
    assert again.steps == 0
    assert again.weights() == whole.weights()


def test_no_rounds_leave_the_module_as_it_came(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [0.5])
    before = bench.weights()
    bench.plan = Plan("bench", [], Schedule(0.05), seed=1)
    assert bench.run().facts() == {"scores": [], "best": None, "curve": []}
    assert bench.weights() == before
    kept = checkpoint.load(bench.path)
    assert kept is not None
    assert all(torch.equal(kept["model"][name], value) for name, value in bench.model.state_dict().items())


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


def test_a_checkpoint_within_a_round_goes_on_at_the_next_batch(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = Bench(tmp_path / "a")
    whole.run(average=0.9)
    broken = Bench(tmp_path / "b")
    broken.save_every_s = 0.0
    with pytest.raises(Interrupted):
        broken.run(break_at=4, average=0.9)
    again = Bench(tmp_path / "b")
    again.run(average=0.9)
    assert again.steps == 3, "the batch of the second round that was done is not done again"
    assert again.weights() == whole.weights()


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_and_loses_nothing(tmp_path: Path, poison: float) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(Interrupted):
        bench.run(break_at=4)
    before = (tmp_path / "model.latest.pt").read_bytes()
    ill = Bench(tmp_path)
    ill.x = ill.x * poison
    with pytest.raises(RefusedError, match="at step 3") as caught:
        ill.run()
    assert caught.value.code == "train.diverged"
    assert "--resume" in caught.value.hint
    assert (tmp_path / "model.latest.pt").read_bytes() == before
    assert all(value == value for value in ill.weights()), "no weight was touched"


def test_a_gradient_that_is_no_number_stops(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    start = bench.weights()

    def loss_of(rows: list[int]) -> tuple[torch.Tensor, int]:
        # The square root of zero is a fine loss with an infinite slope.
        return (bench.model[0].weight * 0).sum().abs().sqrt(), 3

    with pytest.raises(RefusedError, match="gradient"):
        train(bench.plan, bench.model, loss_of, bench.path)
    assert bench.weights() == start


@contextmanager
def nearly_full_disk(most_bytes: int) -> Iterator[None]:
    """Let no file grow beyond `most_bytes`: the kernel refuses writes as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = Bench(tmp_path / "a")
    whole.run()
    with pytest.raises(Interrupted):
        Bench(tmp_path / "b").run(break_at=4)
    before = (tmp_path / "b/model.latest.pt").read_bytes()
    with nearly_full_disk(1000), pytest.raises(RefusedError, match="disk is full") as caught:
        Bench(tmp_path / "b").run()
    assert caught.value.code == "train.disk"
    assert (tmp_path / "b/model.latest.pt").read_bytes() == before
    assert not list((tmp_path / "b").glob("*.partial"))
    again = Bench(tmp_path / "b")
    again.run()
    assert again.weights() == whole.weights()


def test_facts_on_a_full_disk_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_text(path, "old\n")
    with nearly_full_disk(1000), pytest.raises(RefusedError, match="disk is full"):
        write_text(path, "x" * 5000)
    assert path.read_text("utf-8") == "old\n"
    assert [found.name for found in tmp_path.iterdir()] == ["facts.json"]


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="no whole checkpoint") as caught:
        checkpoint.load(path)
    assert caught.value.code == "train.checkpoint"


def test_the_curve_depends_on_steps_and_not_on_time() -> None:
    said = io.StringIO()
    progress = Progress("bench", 1000, stream=said)
    for step in range(1000):
        progress.advance(1000.0 - step, 5)
    assert [at for at, _ in progress.curve] == list(range(5, 1001, 5))
    assert said.getvalue().count("\n") == 1, "one line at the end: it took less than the interval"
    assert re.search(r"bench 1000/1000 loss \d+\.\d+ \d+ tokens/s ETA 0 s", said.getvalue())


def test_on_a_terminal_one_line_renews_itself() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    progress = Progress("bench", 3, every_s=0.0, stream=said)
    for _ in range(3):
        progress.advance(1.0, 5)
    assert said.getvalue().count("\r") == 3
    assert said.getvalue().count("\n") == 1


def test_a_pass_without_a_loss_shows_none() -> None:
    said = io.StringIO()
    progress = Progress("answers", 2, stream=said)
    progress.advance(None, 5)
    progress.advance(None, 5)
    assert "loss" not in said.getvalue()
    assert progress.curve == []


def test_the_time_left_follows_the_tokens_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 10.0, 1000.0])
    monkeypatch.setattr("headway_trainer.progress.time.monotonic", lambda: next(now))
    said = io.StringIO()
    progress = Progress("features", 2, every_s=0.0, stream=said, tokens=1000)
    progress.advance(None, 10)
    assert "1/2 1 tokens/s ETA 16 min" in said.getvalue(), "one step of two, but one token of a hundred"
    progress.advance(None, 990)
    assert "2/2 1 tokens/s ETA 0 s" in said.getvalue()


@pytest.mark.parametrize(("seconds", "said"), [(44.6, "45 s"), (700, "12 min"), (11100, "3 h 05 min")])
def test_durations_for_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_failed_save_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    checkpoint.save(path, {"round": 1})
    with pytest.raises(Exception, match=r"pickle|lambda|local"):
        checkpoint.save(path, {"round": lambda: 2})
    assert checkpoint.load(path) == {"round": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["model.pt"]

"""Two processes under torchrun do the arithmetic of one: same global batch, averaged gradients, one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")

pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.coreml.proof import prove
from headway_trainer.config import read_config
from headway_trainer.learning import distributed
from headway_trainer.run import Places, Run

WORKER = """
import sys
from pathlib import Path
from tests_trainer_bench import trained
trained(Path(sys.argv[1]), sys.argv[2] == "staged")
"""
BENCH = """
import json
from pathlib import Path

import torch

from headway_trainer.learning import distributed
from headway_trainer.learning.loop import Plan, train
from headway_trainer.learning.optimiser import Schedule, Stage
from headway_trainer.processes import rank


def trained(folder: Path, staged: bool) -> None:
    torch.manual_seed(5)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1), torch.nn.Linear(1, 1))
    x = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
    # Shares of 2 and 1 rows, and a batch with fewer rows than processes. The last layer takes no part.
    rounds = [[[0, 1, 2], [3, 4, 5]], [[6], [9, 10, 11, 7]], [[0, 5, 9], [1, 2, 3]]]

    def loss_of(rows):
        return (model[:3](x[list(rows)]) - 1).square().mean(), len(rows)

    # The first layer, then the one after the Tanh while the first is frozen.
    stages = [Stage(2, lambda name: float(name[0] == "0")), Stage(4, lambda name: float(name[0] == "2"))]
    plan = Plan("bench", rounds, Schedule(0.05), 1, None, 0.9, stages=stages if staged else ())
    with distributed.together():
        outcome = train(plan, model, [loss_of] * 2 if staged else loss_of, folder / "model.pt",
                        lambda: float(model[0].weight.sum()))
    weights = [value for p in model.parameters() for value in p.flatten().tolist()]
    (folder / f"rank{rank()}.json").write_text(json.dumps({"weights": weights, "scores": outcome.scores}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "staged"])
def test_two_processes_end_where_one_does(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tests_trainer_bench.py").write_text(BENCH, "utf-8")
    (tmp_path / "worker.py").write_text(WORKER, "utf-8")
    paths = [str(tmp_path), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    found = {}
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command = [sys.executable, *launcher, str(tmp_path / "worker.py"), str(folder), kind]
        subprocess.run(command, env=environment, check=True, timeout=240, capture_output=True)
        found[count] = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(count)]
        assert sorted(path.name for path in folder.iterdir()) == [
            "model.latest.pt",
            "model.pt",
            *(f"rank{rank}.json" for rank in range(count)),
        ]
    (one,), (first, second) = found[1], found[2]
    assert first == second
    assert first["weights"] == pytest.approx(one["weights"], abs=1e-6)
    assert first["scores"] == pytest.approx(one["scores"], abs=1e-6)


APART = """
import json
import sys
from pathlib import Path

import torch

from headway_trainer.learning import distributed
from headway_trainer.learning.loop import Plan, train
from headway_trainer.learning.optimiser import Schedule
from headway_trainer.processes import rank

folder, stop_after, batches = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
torch.manual_seed(5)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
x = torch.randn(12, 4, generator=torch.Generator().manual_seed(1))
made = 0


def loss_of(rows):
    global made
    made += 1
    if made == stop_after:
        sys.exit(3)
    return (model(x[list(rows)]) - 1).square().mean(), len(rows)


rounds = [distributed.own_batches(of_round) for of_round in batches]
plan = Plan("apart", rounds, Schedule(0.05), 1, None, 0.9, exchange="weights")
with distributed.together():
    outcome = train(plan, model, loss_of, folder / "model.pt", lambda: 0.0)
weights = [value for p in model.parameters() for value in p.flatten().tolist()]
(folder / f"rank{rank()}.json").write_text(json.dumps({"weights": weights, "steps": made}))
"""


def _apart(folder: Path, batches: list[list[list[int]]], processes: int, stop_after: int = 0) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    (folder / "apart.py").write_text(APART, "utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *launcher, str(folder / "apart.py"), str(folder), str(stop_after), json.dumps(batches)]
    done = subprocess.run(command, env=environment, check=False, timeout=240, capture_output=True, text=True)
    assert (done.returncode != 0) == bool(stop_after), done.stderr
    return [] if stop_after else [json.loads((folder / f"rank{n}.json").read_text()) for n in range(processes)]


@pytest.mark.slow
def test_processes_that_go_their_own_way_meet_in_the_middle(tmp_path: Path) -> None:
    first, second = [[0, 1, 2], [6]], [[3, 4, 5], [9, 10, 11, 7]]
    mixed = [batch for pair in zip(first, second, strict=True) for batch in pair]
    alone = [_apart(tmp_path / name, [of], 1)[0]["weights"] for name, of in (("first", first), ("second", second))]
    both = _apart(tmp_path / "both", [[*mixed, [8]]], 2)
    assert both[0] == both[1]
    assert both[0]["steps"] == 2, "a batch that does not go round is nobody's"
    assert both[0]["weights"] == pytest.approx([(a + b) / 2 for a, b in zip(*alone, strict=True)], abs=1e-6)


@pytest.mark.slow
def test_processes_that_go_their_own_way_can_be_stopped_and_go_on(tmp_path: Path) -> None:
    rounds = [[[0, 1, 2], [3, 4, 5]], [[6], [9, 10, 11, 7]], [[0, 5, 9], [1, 2, 3]]]
    whole = _apart(tmp_path / "whole", rounds, 2)
    _apart(tmp_path / "stopped", rounds, 2, stop_after=2)
    resumed = _apart(tmp_path / "stopped", rounds, 2)
    assert [of["steps"] for of in resumed] == [2, 2], "the first round was kept"
    assert resumed[0]["weights"] == whole[0]["weights"]


PASSES = """
import json
import sys
from pathlib import Path

from headway_trainer.data.examples import Examples
from headway_trainer.learning import distributed
from headway_trainer.learning.answers import ask
from headway_trainer.learning.finetune import correct
from headway_trainer.models.teacher import Teacher
from headway_trainer.processes import rank

import torch

source, tokens, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
generator = torch.Generator().manual_seed(1)
torch.manual_seed(1)
ids = [torch.randint(1, tokens, (2 + row % 9,), generator=generator).tolist() for row in range(41)]
teacher = Teacher(source, 3, tokens, 0.1)
with distributed.together():
    answers = ask(teacher, ids, 0, 1, 1, False, asked=range(3, 40))
    found = correct(teacher, Examples(ids, [row % 3 for row in range(41)]), 0, slice(0, 3))
told = [None if value != value else round(value, 6) for row in answers.logits.tolist() for value in row]
(out / f"rank{rank()}.json").write_text(json.dumps({"logits": told, "correct": found.correct, "rows": found.rows}))
"""


@pytest.mark.slow
def test_two_processes_share_what_is_only_read(workshop: Any, tmp_path: Path) -> None:
    (tmp_path / "passes.py").write_text(PASSES, "utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    tokens = len((workshop.config.parent / "vocab.txt").read_text("utf-8").split("\n")) - 1
    found = []
    for count in (1, 2):
        (folder := tmp_path / str(count)).mkdir()
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command = [sys.executable, *launcher, str(tmp_path / "passes.py"), str(workshop.teacher), str(tokens)]
        subprocess.run([*command, str(folder)], env=environment, check=True, timeout=240, capture_output=True)
        found += [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(count)]
    one, first, second = found
    assert first == second
    assert (first["correct"], first["rows"]) == (one["correct"], 41)
    asked = slice(9, 120)
    assert first["logits"][asked] == pytest.approx(one["logits"][asked], abs=1e-5)
    assert set(first["logits"][:9] + first["logits"][120:]) == {None}, "rows that nobody asked about"


def test_a_share_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert distributed.share([1, 2, 3]) == ([1, 2, 3], 1.0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert distributed.share([1, 2, 3]) == ([2], 2 / 3)
    assert distributed.share([7]) == ([7], 0.0), "it takes part and weighs nothing"


def test_whole_batches_are_dealt_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [[1], [2], [3], [4], [5]]
    assert distributed.own_batches(batches) == batches
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert distributed.own_batches(batches) == [[2], [4]]
    assert distributed.own_batches([[7]]) == [[7]], "nobody stands idle, or the others would wait for ever"
    assert distributed.own_batches([]) == []


def test_only_the_first_process_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from headway_trainer.files import write_text
    from headway_trainer.learning import checkpoint

    monkeypatch.setenv("RANK", "1")
    checkpoint.save(tmp_path / "model.pt", {"a": 1})
    write_text(tmp_path / "facts.json", "{}")
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_process_makes_the_folder_its_own(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    Run(read_config(workshop.config), places)
    assert not (tmp_path / "run").exists(), "the first process would take it for another run's"
    monkeypatch.setenv("RANK", "0")
    Run(read_config(workshop.config), places)
    assert (tmp_path / "run/config.json").exists()


@pytest.mark.slow
def test_two_processes_make_a_release(workshop: Any, tmp_path: Path) -> None:
    """As docs/training.md has it: the dashes keep torchrun from taking --run for an option of its own."""
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "headway_trainer", "--"]
    given = [str(workshop.config), "--teacher", str(workshop.teacher), "--corpora", str(workshop.corpora)]
    done = subprocess.run(
        [sys.executable, "-m", *command, *given, "--run", str(tmp_path / "run")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("Release: ") == 1, "one process speaks"
    facts = json.loads((tmp_path / "run/facts.json").read_text("utf-8"))
    assert all(step["processes"] == 2 for step in facts["steps"].values())
    assert facts["steps"]["export-base"]["label_agreement_with_qat"] == 1.0
    prove_release(tmp_path / "run/release")


def prove_release(release: Path) -> None:
    head = release / "heads/topic-1"
    files = (head / "head.mlmodel", head / "golden.safetensors", head / "labels.json")
    prove(release / "base/base.mlpackage", *files)

"""A whole run with its models on a GPU that is pretended: nothing computes with tensors of two places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway_trainer.config import read_config
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run
from headway_trainer.steps import lexicon as lexicon_step

from .pretended_gpu import CPU, GPU, WrongPlaceError, pretended_gpu


def test_what_cuda_would_refuse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretended_gpu(monkeypatch.setattr) as mode:
        here, there = torch.ones(3), torch.ones(3).to(GPU)
        layer = torch.nn.Linear(3, 2).to(GPU)
        assert there.device == layer.weight.device == layer(there).device == (there * 2).device == GPU
        assert here.device == there.cpu().device == CPU
        assert (there + torch.tensor(2.0)).device == torch.zeros(2, device=GPU).device == GPU
        assert torch.zeros_like(there).device == there[torch.tensor([0])].device == GPU
        torch.autograd.backward(layer(there).sum())
        assert layer.weight.grad.device == GPU
        here[:2] = there[:2]
        for wrong in (
            lambda: here + there,
            lambda: layer(here),
            lambda: torch.cat([here, there]),
            lambda: here[torch.tensor([0]).to(GPU)],
            lambda: here.__setitem__(torch.tensor([0]), there[:1]),
            lambda: there.numpy(),
        ):
            with pytest.raises(WrongPlaceError):
                wrong()
        assert mode.operations > 0


def test_a_run_on_a_gpu_keeps_everything_in_its_place(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = workshop.config.read_text("utf-8")
    text = text.replace("[general]\nsteps = 6", '[general]\nsteps = 6\nmasked_weight = 1.0\ntransfer = "progressive"')
    (tmp_path / "run.toml").write_text(text + '\n[compress]\nplans = ["8"]\nrows = 4\n\n[half]\nrows = 4\n', "utf-8")
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    with pretended_gpu(monkeypatch.setattr) as mode:
        run = Run(read_config(tmp_path / "run.toml"), places)
        assert run.new_student().classifier.weight.device == GPU
        facts = run_steps(run)
    assert mode.operations > 10_000
    assert facts["export-base"]["label_agreement_with_qat"] == 1.0


def test_a_lexicon_lives_on_the_cpu_whatever_models_train_on(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
    with pretended_gpu(monkeypatch.setattr):
        run = Run(read_config(workshop.config), places)
        assert run_steps(run, ["lexicon"])["lexicon"]["rows"] > 0
        whole = lexicon_step.carried(run)
        assert whole is not None
        monkeypatch.setattr(lexicon_step, "CPU", None)
        with pytest.raises(WrongPlaceError):
            lexicon_step.values(run, whole, run.sets[0], "dev")

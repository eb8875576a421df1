"""General distillation: hidden tokens to guess, layers one after the other, bfloat16; and all of it resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")

from headway.contract.errors import RefusedError
from headway.contract.tokenizer import Tokenizer
from headway_trainer.config import read_config
from headway_trainer.data.batches import Batch, collate, epoch_batches
from headway_trainer.learning import checkpoint, distributed, optimiser
from headway_trainer.learning.cloze import Cloze, WordHead, guessed
from headway_trainer.learning.distil_general import GeneralConfig, GeneralInputs, distil_general
from headway_trainer.learning.matching import Matching, attention_loss, guidance
from headway_trainer.learning.optimiser import Schedule, Stage
from headway_trainer.learning.transfer import parts
from headway_trainer.models.student import Student
from headway_trainer.models.teacher import Teacher
from headway_trainer.run import Places, Run

SEED = 3


class Interrupted(Exception):
    pass


@dataclass
class Bench:
    """Teacher, fresh student and the tokenised training rows of the workshop."""

    run: Run
    teacher: Teacher
    student: Student
    inputs: GeneralInputs

    def distil(self, path: Path, config: GeneralConfig) -> dict[str, Any]:
        return distil_general(self.teacher, self.student, self.inputs, config, SEED, path)[1]

    def weights(self) -> dict[str, Any]:
        return {name: value.clone() for name, value in self.student.state_dict().items()}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a student is slower on several, above all where others use them too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def bench(workshop: Any, tmp_path: Path) -> Callable[[], Bench]:
    def made() -> Bench:
        places = Places(workshop.config.parent, tmp_path / "run", str(workshop.teacher), workshop.corpora)
        run = Run(read_config(workshop.config), places)
        ids = {split: run.examples(run.sets[0], split).ids for split in ("train", "dev")}
        cloze = Cloze.of(run.tokenizer, run.mask_id, 0.15)
        inputs = GeneralInputs(ids["train"], ids["dev"], run.tokenizer.pad_id, cloze)
        return Bench(run, run.new_teacher(), run.new_student(), inputs)

    return made


CONFIG = GeneralConfig(steps=6, round_steps=2, batch_size=16, schedule=Schedule(learning_rate=1e-2))


def equal(one: dict[str, Any], other: dict[str, Any], names: Callable[[str], bool] = lambda _: True) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items() if names(name))


def batch(rows: int, length: int, padded: int) -> Batch:
    ids = torch.randint(5, 40, (rows, length))
    mask = torch.ones_like(ids)
    mask[:, length - padded :] = 0
    return Batch(torch.arange(rows), ids.masked_fill(mask == 0, 0), mask)


def test_tokens_are_hidden_by_berts_rule() -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(0x4E00 + i) for i in range(35)), "[unused1]", "["]
    cloze = Cloze.of(Tokenizer.from_vocab(vocabulary), 4, 0.15)
    assert cloze.ordinary.tolist() == [*range(5, 40), 41]
    torch.manual_seed(1)
    rows = batch(2000, 22, padded=4)
    read, chosen = cloze.hide(rows)
    inside = rows.attention_mask.bool()
    assert not chosen[:, 0].any()
    assert not chosen[:, 17:].any(), "neither the mark at the end nor padding"
    assert int(chosen.sum()) / (2000 * 16) == pytest.approx(0.15, abs=0.01)
    assert torch.equal(read[~chosen], rows.input_ids[~chosen])
    fate = read[chosen], rows.input_ids[chosen]
    masked, same = (fate[0] == 4).float().mean().item(), (fate[0] == fate[1]).float().mean().item()
    assert masked == pytest.approx(0.8, abs=0.02)
    assert same == pytest.approx(0.1 + 0.1 / 36, abs=0.02)
    assert int(read[inside].min()) > 3
    torch.manual_seed(1)
    again = cloze.hide(batch(2000, 22, padded=4))
    assert torch.equal(again[0], read)
    assert torch.equal(again[1], chosen)


def test_a_batch_in_which_nothing_is_hidden_costs_nothing(bench: Callable[[], Bench]) -> None:
    made = bench()
    rows = collate([[2, 7, 3], [2, 3]], [0, 1], 0)
    words = WordHead(made.student, replace(made.inputs.cloze, share=0.0))
    read, chosen = words.cloze.hide(rows)
    out = made.student(read, rows.attention_mask)
    assert words.loss(made.student, out.hidden[-1], rows, chosen).item() == 0


def test_a_student_learns_to_guess_and_padding_is_no_word(bench: Callable[[], Bench], tmp_path: Path) -> None:
    made = bench()
    pad = made.student.backbone.embeddings.word_embeddings.weight[0].detach().clone()
    words = WordHead(made.student, made.inputs.cloze)
    before = guessed(made.student, words, made.inputs.ids, 0, SEED)
    config = replace(CONFIG, steps=60, round_steps=60, hidden_weight=0.0, attention_weight=0.0, masked_weight=1.0)
    made.inputs = replace(made.inputs, dev=made.inputs.ids)
    facts = made.distil(tmp_path / "model.pt", config)
    after = facts["masked"]["dev"]
    assert after["tokens"] == before["tokens"]
    assert after["loss"] < before["loss"] - 0.3
    assert facts["curve"][-1][1] < facts["curve"][0][1] - 0.3
    schedule = Schedule(learning_rate=1.0).weight_decay * 60 * 1e-2
    moved = made.student.backbone.embeddings.word_embeddings.weight[0].detach() - pad
    assert float(moved.abs().max()) <= schedule * float(pad.abs().max()), "weight decay alone moves the row of padding"
    assert guessed(made.student, words, made.inputs.ids, 0, SEED)["tokens"] == before["tokens"]


def test_without_options_it_is_states_and_attention_of_all_layers(bench: Callable[[], Bench], tmp_path: Path) -> None:
    whole, plain = bench(), bench()
    whole.distil(tmp_path / "model.pt", CONFIG)
    shape = plain.student.config
    matching = Matching(shape.layers, shape.hidden, int(plain.teacher.encoder.config.hidden_size))
    module = torch.nn.ModuleList([plain.student, matching]).train()
    tuner, scheduler = optimiser.build(module.named_parameters(), CONFIG.schedule, [Stage(6)])
    ids = plain.inputs.ids
    batches = [rows for epoch in range(2) for rows in epoch_batches([len(row) for row in ids], 16, SEED, epoch)]
    plain.teacher.eval()
    for number, rows in enumerate(batches[:6]):
        if number % 2 == 0:
            torch.manual_seed(SEED * 1000 + number // 2)
        read = collate(ids, rows, plain.inputs.pad_id)
        with torch.no_grad():
            told = plain.teacher(read.input_ids, read.attention_mask, details=True)
        guide = guidance(told, shape.layers, shape.heads)
        out = plain.student(read.input_ids, read.attention_mask)
        loss = matching.hidden_loss(out, guide, read.attention_mask) + attention_loss(out, guide, read.attention_mask)
        optimiser.step(tuner, scheduler, loss, CONFIG.schedule)
    assert equal(whole.weights(), plain.weights())


def below(name: str) -> bool:
    return name.startswith(("backbone.embeddings.", "backbone.encoder.layer.0."))


def above(name: str) -> bool:
    return name.startswith("backbone.encoder.layer.1.")


def break_down_at(made: Bench, call: int) -> None:
    """Have the teacher stop the run at its n-th batch."""
    seen = []

    def count(*_: Any) -> None:
        seen.append(1)
        if len(seen) == call:
            raise Interrupted

    made.teacher.register_forward_hook(count)


@pytest.mark.parametrize("options", [{}, {"lower_rate": 0.1}, {"masked_weight": 0.5}], ids=str)
def test_layers_learn_one_after_the_other_and_an_interrupted_stage_goes_on(
    bench: Callable[[], Bench], tmp_path: Path, options: dict[str, Any]
) -> None:
    config = replace(CONFIG, steps=12, round_steps=3, transfer="progressive", **options)
    whole, broken, resumed = bench(), bench(), bench()
    start = whole.weights()
    facts = whole.distil(tmp_path / "model.pt", config)
    first = 12 // len(facts["stages"])
    break_down_at(broken, first + (2 if first < 6 else 1))
    (tmp_path / "b").mkdir()
    with pytest.raises(Interrupted):
        broken.distil(tmp_path / "b/model.pt", config)
    name = "model-with-words" if options.get("masked_weight") else "model"
    held = checkpoint.load(tmp_path / f"b/{name}.latest.pt")
    assert held is not None
    after_first = {key[2:]: value for key, value in held["model"].items() if key.startswith("0.")}
    assert equal(after_first, start, above), "the layer above did not learn yet"
    assert not equal(after_first, start, below)
    again = resumed.distil(tmp_path / "b/model.pt", config)
    assert equal(resumed.weights(), whole.weights())
    assert again == facts
    assert all(parameter.requires_grad for parameter in whole.student.parameters())
    assert not equal(whole.weights(), start, above)
    assert equal(whole.weights(), after_first, below) == (not options), "frozen, unless told to go on slowly"
    layers = [stage["layers"] for stage in facts["stages"]]
    assert layers == [[1, 1], [2, 2], *([[1, 2]] if options.get("masked_weight") else [])]
    assert {stage["steps"] for stage in facts["stages"]} == {first}
    kept = checkpoint.load(tmp_path / "model.pt")
    assert kept is not None
    assert {key.split(".")[0] for key in kept["model"]} == {"0", "1"}, "the head for words stays behind"


@given(st.integers(1, 24), st.integers(1, 3000), st.booleans())
def test_stages_have_equal_lengths(followed: int, steps: int, closing: bool) -> None:
    found = parts("progressive", followed, steps, closing=closing)
    assert sum(part.steps for part in found) == steps
    assert max(part.steps for part in found) - min(part.steps for part in found) <= 1
    layers = [part for part in found if not part.whole]
    assert [number for part in layers for number in part.compared] == list(range(followed + 1))
    assert [part.layers(2) for part in layers] == [(2 * i + 1, 2 * i + 2) for i in range(followed)]
    assert len(found) == followed + closing


def test_every_stage_has_its_own_schedule() -> None:
    weights = {name: torch.nn.Parameter(torch.ones(1)) for name in ("low", "high")}
    rates: list[Callable[[str], float]] = [
        lambda name: float(name == "low"),
        lambda name: 1.0 if name == "high" else 0.1,
    ]
    tuner, scheduler = optimiser.build(
        weights.items(), Schedule(learning_rate=1.0, warmup=0.25), [Stage(8, rates[0]), Stage(4, rates[1])]
    )
    found: list[tuple[float, float]] = []
    for _ in range(12):
        by_name = {id(p): group["lr"] for group in tuner.param_groups for p in group["params"]}
        found.append((by_name[id(weights["low"])], by_name[id(weights["high"])]))
        tuner.step()
        scheduler.step()
    first = [0.5, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert [high for _, high in found[:8]] == [0] * 8
    assert [low for low, _ in found[:8]] == pytest.approx(first)
    second = [1, 1, 2 / 3, 1 / 3]
    assert [high for _, high in found[8:]] == pytest.approx(second)
    assert [10 * low for low, _ in found[8:]] == pytest.approx(second)


def test_bfloat16_is_near_float32_and_leaves_float32(bench: Callable[[], Bench], tmp_path: Path) -> None:
    full, short = bench(), bench()
    config = replace(CONFIG, masked_weight=0.5)
    exact = full.distil(tmp_path / "full.pt", config)["curve"]
    rounded = short.distil(tmp_path / "short.pt", replace(config, precision="bfloat16"))["curve"]
    assert exact != rounded
    assert [loss for _, loss in rounded] == pytest.approx([loss for _, loss in exact], rel=0.01)
    assert {parameter.dtype for parameter in short.student.parameters()} == {torch.float32}


def test_a_gpu_that_cannot_is_named(
    bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = bench()
    monkeypatch.setattr(distributed, "device", lambda: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(RefusedError, match="bfloat16") as caught:
        made.distil(tmp_path / "model.pt", replace(CONFIG, precision="bfloat16"))
    assert caught.value.code == "train.precision"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("masked_weight = -1", "masked_weight"),
        ("masked_weight = 1.0\nmasked = 1.0", "masked: it must be above 0"),
        ('transfer = "progressive"\nlower_rate = 2.0', "lower_rate"),
        ("hidden_weight = 0.0\nattention_weight = 0.0", "nothing to learn"),
        ('transfer = "progressive"\nhidden_weight = 0.0\nattention_weight = 0.0\nmasked_weight = 1.0', "transfer"),
        ('transfer = "backwards"', "joint, progressive"),
        ('precision = "float16"', "float32, bfloat16"),
    ],
)
def test_options_that_cannot_be_are_named(workshop: Any, tmp_path: Path, keys: str, said: str) -> None:
    text = workshop.config.read_text("utf-8").replace("[general]\n", f"[general]\n{keys}\n")
    (tmp_path / "run.toml").write_text(text, "utf-8")
    with pytest.raises(RefusedError, match=said) as caught:
        read_config(tmp_path / "run.toml")
    assert caught.value.code == "train.config"


def test_more_stages_than_steps_are_refused(workshop: Any, tmp_path: Path) -> None:
    text = workshop.config.read_text("utf-8").replace(
        "[general]\nsteps = 6", '[general]\nsteps = 1\ntransfer = "progressive"'
    )
    (tmp_path / "run.toml").write_text(text, "utf-8")
    with pytest.raises(RefusedError, match="need 2 or more"):
        read_config(tmp_path / "run.toml")

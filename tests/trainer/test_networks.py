"""The student is transformers' MobileBERT, deaf to padding; distillation losses are what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")

from headway.contract.errors import RefusedError
from headway_trainer.learning import qat
from headway_trainer.learning.distil_task import soft_loss
from headway_trainer.learning.matching import Guidance, Matching, attention_loss, guidance, points
from headway_trainer.models.student import (
    PAD_EMBEDDING,
    Student,
    StudentConfig,
    StudentOutput,
    exact,
    initialise_embeddings,
    pool,
)
from headway_trainer.models.teacher import TeacherOutput

TINY = StudentConfig(
    layers=2, hidden=32, bottleneck=16, embedding=8, intermediate=16, heads=2, feedforwards=2, max_length=12
)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student(TINY, classes=3, vocabulary_size=50, pad_id=0).eval()


def test_forward_equals_mobilebert(student: Student) -> None:
    ids = torch.randint(1, 50, (3, 9))
    with torch.no_grad():
        ours = student(ids, torch.ones_like(ids)).hidden[-1]
        theirs = student.backbone(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "both", "mean_max"])
def test_padding_changes_no_feature(pooling: str) -> None:
    torch.manual_seed(0)
    config = StudentConfig(**{**{f: getattr(TINY, f) for f in TINY.__slots__}, "pooling": pooling})
    student = Student(config, 3, 50, 0).eval()
    with torch.no_grad():
        # A palette rounds the row of [PAD] to its nearest entry, which need not be small.
        student.backbone.embeddings.word_embeddings.weight[0] = 1.0
    ids = torch.randint(1, 50, (2, 7))
    padded = torch.cat([ids, torch.zeros((2, 5), dtype=ids.dtype)], dim=1)
    mask = torch.cat([torch.ones_like(ids), torch.zeros((2, 5), dtype=ids.dtype)], dim=1)
    with torch.no_grad():
        short, long = student(ids, torch.ones_like(ids)).features, student(padded, mask).features
    assert short.shape == (2, config.feature_dimension)
    torch.testing.assert_close(short, long, atol=1e-6, rtol=0)


def test_padding_is_not_read_where_every_score_is_far_below_zero() -> None:
    torch.manual_seed(0)
    student = Student(TINY, 3, 50, 0).eval()
    ids = torch.full((1, 7), 9)
    with torch.no_grad():
        embeddings = student.backbone.embeddings
        # The keys of the text point far away from its queries; those of padding, which stands nowhere, are nothing.
        for table in (embeddings.position_embeddings, embeddings.token_type_embeddings):
            table.weight.zero_()
        attention = student.backbone.encoder.layer[0].attention.self
        attention.key.weight.copy_(-1e15 * attention.query.weight)
    padded = torch.cat([ids, torch.zeros((1, 5), dtype=ids.dtype)], dim=1)
    mask = (padded != 0).long()
    with torch.no_grad():
        short, long = student(ids, torch.ones_like(ids)), student(padded, mask)
    assert float(long.attentions[0][:, :, :7, 7:].max()) == 0, "read by no token of the text"
    torch.testing.assert_close(short.features, long.features, atol=1e-4, rtol=1e-5)


def test_a_student_in_float64_has_the_weights_of_the_grid() -> None:
    student = Student(replace(TINY, embedding=32, hidden=128), 3, 50, 0)
    qat.attach(student)
    latent = student.backbone.embeddings.embedding_transformation.parametrizations.weight.original
    double = exact(student)
    found = double.backbone.embeddings.embedding_transformation.weight
    assert found.dtype == torch.float64
    assert torch.equal(found, qat.on_grid(latent).double()), "rounded once, in float32"
    ids = torch.randint(1, 50, (3, 9))
    mask = torch.ones_like(ids)
    mask[:, 7:] = 0
    with torch.no_grad():
        single, other = student.eval()(ids, mask).features, double(ids, mask).features
    torch.testing.assert_close(single, other.float(), atol=1e-5, rtol=1e-5)
    qat.detach(student)
    assert torch.equal(student.backbone.embeddings.embedding_transformation.weight, latent), "the student is left alone"


def test_pooling() -> None:
    states = torch.tensor([[[1.0], [3.0], [100.0]]])
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    assert pool(states, mask, "mean").item() == 2
    assert pool(states, mask, "cls").item() == 1
    assert pool(states, mask, "both").tolist() == [[1, 2]]
    assert pool(states, mask, "mean_max").tolist() == [[2, 3]]


def test_embeddings_start_as_the_teachers(student: Student) -> None:
    table = torch.randn(50, 8) @ torch.randn(8, 24)
    kept = initialise_embeddings(student, table, torch.ones(50), pad_id=0)
    assert kept == pytest.approx(1.0), "eight directions hold a table of rank eight"
    words = student.backbone.embeddings.word_embeddings.weight.detach()
    middle = student.backbone.embeddings.embedding_transformation.weight.detach()[:24, 8:16]
    rebuilt, wanted = (words @ middle.T)[1:], (table - table.mean(0))[1:]
    torch.testing.assert_close(rebuilt / rebuilt.std(), wanted / wanted.std(), atol=1e-3, rtol=1e-3)
    assert bool((words[0] == PAD_EMBEDDING).all())


def told(layers: int, heads: int) -> TeacherOutput:
    attention = torch.softmax(torch.randn(2, heads, 5, 5), dim=-1)
    return TeacherOutput(torch.zeros(2, 3), (torch.randn(2, 5, 24),) * (layers + 1), (attention,) * layers)


def test_guidance_groups_heads_into_distributions() -> None:
    out = told(layers=4, heads=6)
    guide = guidance(out, layers=2, heads=2)
    assert guide.hidden.shape == (2, 3, 5, 24)
    torch.testing.assert_close(guide.attentions.sum(-1), torch.ones(2, 2, 2, 5))
    torch.testing.assert_close(guide.attentions[:, 0, 0], out.attentions[1][:, :3].mean(1))


def test_guidance_refuses_what_does_not_divide() -> None:
    with pytest.raises(RefusedError, match="cannot guide"):
        guidance(told(layers=3, heads=6), layers=2, heads=2)


def test_matching_losses_are_zero_for_the_teacher_itself() -> None:
    mask = torch.tensor([[1, 1, 1, 0]])
    hidden = tuple(torch.randn(1, 4, 6) for _ in range(2))
    attention = (torch.softmax(torch.randn(1, 2, 4, 4), dim=-1),)
    out = StudentOutput(torch.empty(0), torch.empty(0), hidden, attention)
    guide = Guidance(torch.stack(hidden, dim=1), torch.stack(attention, dim=1))
    matching = Matching(layers=1, student_width=6, teacher_width=6)
    assert matching.hidden_loss(out, guide, mask).item() == pytest.approx(0, abs=1e-9)
    assert attention_loss(out, guide, mask).item() == pytest.approx(0, abs=1e-6)


def test_soft_loss_is_the_definition() -> None:
    wanted, found, temperature = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 2.0
    p = [math.exp(1) / (math.exp(1) + 1), 1 / (math.exp(1) + 1)]
    q = [1 / (1 + math.exp(0.5)), math.exp(0.5) / (1 + math.exp(0.5))]
    expected = temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert soft_loss(found, wanted, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_a_student_may_be_deeper_than_its_teacher() -> None:
    guide = guidance(told(layers=4, heads=2), layers=6, heads=2)
    assert guide.hidden.shape[1] == 3, "the embedding, and layers 3 and 6 after the teacher's 2 and 4"
    mask = torch.ones(2, 5, dtype=torch.long)
    hidden = [torch.randn(2, 5, 24) for _ in range(7)]
    for student, teacher in ((0, 0), (3, 1), (6, 2)):
        hidden[student] = guide.hidden[:, teacher]
    attentions = [torch.softmax(torch.randn(2, 2, 5, 5), dim=-1) for _ in range(6)]
    attentions[2], attentions[5] = guide.attentions[:, 0], guide.attentions[:, 1]
    out = StudentOutput(torch.empty(0), torch.empty(0), tuple(hidden), tuple(attentions))
    assert Matching(points(6, 4), 24, 24).hidden_loss(out, guide, mask).item() == pytest.approx(0, abs=1e-9)
    assert attention_loss(out, guide, mask).item() == pytest.approx(0, abs=1e-6)

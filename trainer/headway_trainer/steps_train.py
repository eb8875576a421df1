"""The training steps: from texts to a student whose weights lie on Core ML's int8 grid."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import nn

from headway_trainer import checkpoint, qat
from headway_trainer.answers import Answers, ask
from headway_trainer.data.corpora import segments
from headway_trainer.data.examples import UNLABELLED, Examples, joined, pieces
from headway_trainer.distil_general import distil_general
from headway_trainer.distil_task import TaskConfig, TaskInputs, correct, distil_task
from headway_trainer.evaluate import accuracy
from headway_trainer.finetune import correct as teacher_correct
from headway_trainer.finetune import finetune
from headway_trainer.finetune import logits as teacher_logits
from headway_trainer.matching import Matching
from headway_trainer.models.ngram import cross_fitted, fitted_on, mixed
from headway_trainer.models.student import Student, initialise_embeddings
from headway_trainer.run import Run


def prepare(run: Run) -> dict[str, Any]:
    """Read every text once, and count: rows, tokens, lengths, unknown tokens, digests."""
    splits = {}
    for name, rows in run.splits.items():
        ids = run.tokenised(rows.texts)
        lengths = sorted(map(len, ids))
        splits[name] = {
            "digest": rows.digest,
            "rows": len(ids),
            "labels": {label: rows.labels.count(label) for label in run.config.data.labels},
            "tokens": sum(lengths),
            "length_p50_p99_max": [lengths[len(lengths) // 2], lengths[len(lengths) * 99 // 100], lengths[-1]],
            "cut": sum(length == run.config.student.max_length for length in lengths),
            "unknown_tokens": sum(row.count(run.tokenizer.unk_id) for row in ids),
        }
    unlabelled = {lines.name: {"digest": lines.digest, "lines": len(lines.texts)} for lines in run.unlabelled}
    return {"splits": splits, "unlabelled": unlabelled, "tokenizer": run.tokenizer.digest}


def teacher(run: Run) -> dict[str, Any]:
    """Fine-tune the teacher."""
    tutor = run.new_teacher()
    path = run.folder("teacher") / "model.pt"
    special = (run.tokenizer.pad_id, run.mask_id)
    config = run.config.teacher.finetune
    facts = finetune(tutor, run.examples("train"), run.examples("dev"), config, run.config.seed, special, path)
    return {**facts, "test": teacher_correct(tutor, run.examples("test"), run.tokenizer.pad_id).to_json()}


def second_opinion(run: Run) -> dict[str, Any]:
    """Measure the n-gram model alone and with the teacher, on dev and test."""
    settings = run.config.ngram
    if not settings.share:
        return {"share": 0.0}
    tutor, train = run.tuned_teacher(), run.examples("train")
    facts: dict[str, Any] = {"share": settings.share}
    for split in ("dev", "test"):
        rows = run.examples(split)
        second = fitted_on(train, rows.ids, len(run.config.data.labels), settings)
        joint = mixed(teacher_logits(tutor, rows.ids, run.tokenizer.pad_id), second, settings.share)
        facts[f"ngrams_{split}"] = accuracy(second.argmax(1).tolist(), rows.labels).to_json()
        facts[split] = accuracy(joint.argmax(1).tolist(), rows.labels).to_json()
    return facts


def general(run: Run) -> dict[str, Any]:
    """Initialise the student from the pretrained teacher's embeddings and distil its states on unlabelled text."""
    student = run.new_student()
    tutor = run.new_teacher()
    ids = _general_ids(run)
    counts = torch.bincount(torch.tensor(list(chain.from_iterable(ids))), minlength=len(run.tokenizer.tokens))
    table = tutor.encoder.get_input_embeddings().weight.detach()
    kept = initialise_embeddings(student, table, counts, run.tokenizer.pad_id)
    path = run.folder("distil-general") / "model.pt"
    _, facts = distil_general(tutor, student, ids, run.config.general, run.config.seed, run.tokenizer.pad_id, path)
    return {"embedding_variance_kept": kept, **facts}


def _general_ids(run: Run) -> list[list[int]]:
    longest = run.config.general.characters
    found = run.tokenised(run.splits["train"].texts)
    for lines in run.unlabelled:
        found += run.tokenised(segments(lines, longest))
    return found


def task(run: Run) -> dict[str, Any]:
    """Distil the task: teacher's answers, labels, states and attention."""
    run.needed("distil-general")
    pair = load_pair(run, "distil-general")
    inputs = _task_inputs(run, run.config.task)
    path = run.folder("distil-task") / "model.pt"
    facts = distil_task(pair[0], pair[1], inputs, run.config.task, run.config.seed, path, "distil-task")
    return {"rows": len(inputs.train.ids), **facts, **_student_scores(run, pair[0])}


def quantise(run: Run) -> dict[str, Any]:
    """Go on with every large weight on the int8 grid."""
    run.needed("distil-task")
    student, matching = load_pair(run, "distil-task")
    before = _student_scores(run, student)
    count = qat.attach(student)
    after = _student_scores(run, student)
    inputs = _task_inputs(run, run.config.qat)
    path = run.folder("qat") / "model.pt"
    facts = distil_task(student, matching, inputs, run.config.qat, run.config.seed + 1, path, "qat")
    scores = _student_scores(run, student)
    return {"matrices": count, "fp32": before, "rounded_without_training": after, **facts, **scores}


def load_pair(run: Run, step: str) -> tuple[Student, Matching]:
    """Return student and projections as a step left them, the grid attached for `qat`."""
    student = run.new_student()
    width = int(run.new_teacher().encoder.config.hidden_size)
    matching = Matching(run.config.student.layers, run.config.student.hidden, width)
    if step == "qat":
        qat.attach(student)
    state = checkpoint.load(run.folder(step) / "model.pt")
    assert state is not None, "a step that is done has left its model"
    nn.ModuleList([student, matching]).load_state_dict(state["model"])
    return student, matching


def _task_inputs(run: Run, config: TaskConfig) -> TaskInputs:
    train = run.examples("train")
    extra = run.config.pieces
    others = joined(
        pieces(train.ids, extra.per_text, extra.shortest, run.config.seed), _unlabelled_examples(run, extra.unlabelled)
    )
    rows = joined(train, others)
    answers = _answers(run, rows, bool(config.hidden_weight or config.attention_weight))
    if run.config.ngram.share:
        answers = replace(answers, logits=_joint_logits(run, train, others, answers.logits))
    return TaskInputs(rows, answers, run.examples("dev"), run.tokenizer.pad_id, run.mask_id)


def _joint_logits(run: Run, train: Examples, others: Examples, told: torch.Tensor) -> torch.Tensor:
    settings, classes = run.config.ngram, len(run.config.data.labels)
    second = cross_fitted(train, classes, settings)
    if others.ids:
        second = torch.cat([second, fitted_on(train, others.ids, classes, settings)])
    return mixed(told, second, settings.share)


def _answers(run: Run, rows: Examples, details: bool) -> Answers:
    """Ask the teacher; the logits stay in the run folder, so that a step without matching need not ask again."""
    path = run.folder("distil-task") / "logits.pt"
    held = checkpoint.load(path)
    if held is not None and not details and len(held["logits"]) == len(rows.ids):
        return Answers(held["logits"], (), ())
    geometry = run.config.student
    answers = ask(run.tuned_teacher(), rows.ids, run.tokenizer.pad_id, geometry.layers, geometry.heads, details)
    checkpoint.save(path, {"logits": answers.logits})
    return answers


def _unlabelled_examples(run: Run, most: int) -> Examples:
    if most == 0:
        return Examples([], [])
    found = [segment for lines in run.unlabelled for segment in segments(lines, run.config.general.characters)]
    stride = max(1, len(found) // most)
    ids = run.tokenised(found[::stride][:most])
    return Examples(ids, [UNLABELLED] * len(ids))


def _student_scores(run: Run, student: Student) -> dict[str, Any]:
    pad = run.tokenizer.pad_id
    return {split: correct(student, run.examples(split), pad).to_json() for split in ("dev", "test")}

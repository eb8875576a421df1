"""The training steps: from texts to a student whose weights lie on Core ML's int8 grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headway_trainer.data import checks
from headway_trainer.data.corpora import segments
from headway_trainer.data.counts import counts
from headway_trainer.data.examples import UNLABELLED, Examples, drawn, joined, pieces
from headway_trainer.data.sets import SPLITS, LabelledSet, by_set
from headway_trainer.earlier import Earlier
from headway_trainer.evaluate import accuracy
from headway_trainer.learning import checkpoint, distributed, qat
from headway_trainer.learning.answers import Answers, ask
from headway_trainer.learning.cloze import Cloze
from headway_trainer.learning.distil_general import GeneralInputs, distil_general
from headway_trainer.learning.distil_task import TaskConfig, TaskInputs, correct, distil_task
from headway_trainer.learning.finetune import correct as teacher_correct
from headway_trainer.learning.finetune import finetune
from headway_trainer.learning.finetune import logits as teacher_logits
from headway_trainer.learning.matching import Matching, points
from headway_trainer.models.ngram import cross_fitted, fitted_on, mixed
from headway_trainer.models.student import Student, initialise_embeddings
from headway_trainer.models.teacher import Teacher
from headway_trainer.run import Run


def prepare(run: Run) -> dict[str, Any]:
    """Read every text once, check and count: rows, tokens, lengths, unknown tokens, digests, texts in two splits."""
    for of in run.sets:
        checks.check_splits(of.splits, of.config.labels, of.config.label_titles)
    run.check_teacher()
    run.started(run.new_student(), run.new_teacher)
    unlabelled = {lines.name: {"digest": lines.digest, "lines": len(lines.texts)} for lines in run.unlabelled}
    labelled = by_set(run.sets, partial(_counted, run))
    if run.earlier:
        run.earlier.check_measured(labelled)
    return {**labelled, "unlabelled": unlabelled, "tokenizer": run.tokenizer.digest}


def _counted(run: Run, of: LabelledSet) -> dict[str, Any]:
    longest = run.config.student.max_length
    splits = {split: counts(of.splits[split], of.config.labels, run.tokenizer, longest) for split in SPLITS}
    facts = {"splits": splits, "overlaps": checks.overlaps(of.splits), "borrowed": dict(of.borrowed)}
    told = checks.remarks(facts, longest)
    print("\n".join(f"{of.name}: {line}" if of.name else line for line in told), flush=True)
    return facts


def teacher(run: Run) -> dict[str, Any]:
    """Fine-tune the teacher, or take that of the run which this one goes on after."""
    tutor = run.new_teacher()
    path = run.folder("teacher") / "model.pt"
    facts = _taken_over(run.earlier, tutor, path) if run.earlier else _tuned(run, tutor, path)

    def score(rows: LabelledSet) -> dict[str, Any]:
        return teacher_correct(tutor, run.examples(rows, "test"), run.tokenizer.pad_id, rows.span).to_json()

    return {**facts, "test": by_set(run.taught, score)}


def _tuned(run: Run, tutor: Teacher, path: Path) -> dict[str, Any]:
    special = (run.tokenizer.pad_id, run.mask_id)
    mixture = run.mixture(run.scored("train"))
    return finetune(tutor, mixture, run.scored("dev"), run.config.teacher.finetune, run.config.seed, special, path)


def _taken_over(earlier: Earlier, tutor: Teacher, path: Path) -> dict[str, Any]:
    """Take the earlier run's teacher, and dev scores and curve of how it was made; test is measured here."""
    weights = earlier.teacher()
    tutor.load_state_dict(weights)
    checkpoint.save(path, {"model": weights})
    distributed.wait()
    return {**earlier.teacher_facts(), "taken_over": True}


def second_opinion(run: Run) -> dict[str, Any]:
    """Measure the n-gram model alone and with the teacher, on dev and test."""
    settings = run.config.ngram
    if not settings.share:
        return {"share": 0.0}
    tutor = run.tuned_teacher()

    def opinion(of: LabelledSet) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for split in ("dev", "test"):
            rows = run.examples(of, split)
            second = fitted_on(run.examples(of, "train"), rows.ids, len(of.config.labels), settings)
            told = teacher_logits(tutor, rows.ids, run.tokenizer.pad_id)[:, of.span]
            joint = mixed(told, second, settings.share)
            facts[f"ngrams_{split}"] = accuracy(second.argmax(1).tolist(), rows.labels).to_json()
            facts[split] = accuracy(joint.argmax(1).tolist(), rows.labels).to_json()
        return facts

    return {"share": settings.share, **by_set(run.taught, opinion)}


def general(run: Run) -> dict[str, Any]:
    """Start the student (`Run.started`, else from the teacher's embeddings), and distil on unlabelled text."""
    student = run.new_student()
    tutor = run.tuned_teacher()
    taken = run.started(student, lambda: tutor)
    # Only what is taught and, where nothing was taken, how often a word is used depend on the texts.
    ids = _general_ids(run) if run.config.general.steps or not taken else []
    first = taken or {"embedding_variance_kept": _embedded(run, student, tutor, ids)}
    path, config = run.folder("distil-general") / "model.pt", run.config.general
    dev = [list(row) for rows in run.taught for row in run.examples(rows, "dev").ids]
    cloze = Cloze.of(run.tokenizer, run.mask_id, config.masked)
    inputs = GeneralInputs(ids, dev, run.tokenizer.pad_id, cloze)
    _, facts = distil_general(tutor, student, inputs, config, run.student_seed, path)
    return {**first, **facts}


def _embedded(run: Run, student: Student, tutor: Teacher, ids: list[list[int]]) -> float:
    used = torch.bincount(torch.tensor(list(chain.from_iterable(ids))), minlength=len(run.tokenizer.tokens))
    table = tutor.encoder.get_input_embeddings().weight.detach()
    return initialise_embeddings(student, table, used.to(table.device), run.tokenizer.pad_id)


def _general_ids(run: Run) -> list[list[int]]:
    longest = run.config.general.characters
    found = [list(row) for rows in run.taught for row in run.examples(rows, "train").ids]
    for lines in run.unlabelled:
        found += run.tokenised(segments(lines, longest))
    return found


def task(run: Run) -> dict[str, Any]:
    """Distil the task: teacher's answers, labels, states and attention."""
    run.needed("distil-general")
    pair = load_pair(run, "distil-general")
    inputs = task_inputs(run, run.config.task)
    path = run.folder("distil-task") / "model.pt"
    facts = distil_task(pair[0], pair[1], inputs, run.config.task, run.student_seed, path, "distil-task")
    read = {"rows": len(inputs.train.rows.ids), "answered": inputs.answered}
    return {**read, **facts, **_student_scores(run, pair[0])}


def quantise(run: Run) -> dict[str, Any]:
    """Go on with every large weight on the int8 grid.

    What rounding alone does is read on dev, and on test too where nothing follows it.
    """
    before = {split: run.needed("distil-task")[split] for split in ("dev", "test")}
    student, matching = load_pair(run, "distil-task")
    count = qat.attach(student)
    after = _student_scores(run, student, ("dev",) if run.config.qat.epochs else SPLITS[1:])
    inputs = task_inputs(run, run.config.qat)
    path = run.folder("qat") / "model.pt"
    facts = distil_task(student, matching, inputs, run.config.qat, run.student_seed + 1, path, "qat")
    scores = _student_scores(run, student) if run.config.qat.epochs else after
    return {"matrices": count, "fp32": before, "rounded_without_training": after, **facts, **scores}


def load_pair(run: Run, step: str) -> tuple[Student, Matching]:
    """Return student and projections as a step left them, the grid attached for `qat`."""
    student = run.new_student()
    geometry, shape = run.config.student, run.new_teacher().encoder.config
    matching = Matching(points(geometry.layers, shape.num_hidden_layers), geometry.hidden, int(shape.hidden_size))
    matching.to(distributed.device())
    if step == "qat":
        qat.attach(student)
    state = checkpoint.load(run.folder(step) / "model.pt")
    assert state is not None, "a step that is done has left its model"
    nn.ModuleList([student, matching]).load_state_dict(state["model"])
    return student, matching


def task_inputs(run: Run, config: TaskConfig) -> TaskInputs:
    """Rows of every taught set, labelled ones first, then pieces of them and its share of unlabelled texts."""
    taught, extra = run.taught, run.config.pieces
    texts = _unlabelled_examples(run, extra.unlabelled).ids
    parts: list[tuple[Examples, Examples]] = []
    asked: list[int] = []
    start = 0
    for index, of in enumerate(taught):
        train = run.examples(of, "train")
        dealt = [*texts[index :: len(taught)]]
        more = joined(
            pieces(train.ids, extra.per_text, extra.shortest, run.config.seed),
            Examples(dealt, [UNLABELLED] * len(dealt)),
        )
        parts.append((train, more))
        asked += [start + row for row in _asked(run, len(train.ids), len(more.ids))]
        start += len(train.ids) + len(more.ids)
    spans = [of.span for of in taught]
    scored = [(joined(*rows), span) for rows, span in zip(parts, spans, strict=True)]
    mixture = run.mixture(scored)
    answers = _answers(run, mixture.rows, asked, bool(config.hidden_weight or config.attention_weight))
    if run.config.ngram.share and config.epochs:
        answers = replace(answers, logits=_joint_logits(run, parts, spans, answers.logits))
    return TaskInputs(mixture, answers, len(asked), run.scored("dev"), run.tokenizer.pad_id, run.mask_id)


def _asked(run: Run, labelled: int, others: int) -> list[int]:
    """Return which of a set's rows the teacher is asked about: its share of the labelled ones, and all others.

    None, where neither step would listen: the two share the answers.
    """
    if not any(step.alpha or step.hidden_weight or step.attention_weight for step in (run.config.task, run.config.qat)):
        return []
    chosen = drawn(labelled, run.config.teacher.answers, run.config.seed)
    return [*chosen, *range(labelled, labelled + others)]


def _joint_logits(
    run: Run, parts: Sequence[tuple[Examples, Examples]], spans: Sequence[slice], told: torch.Tensor
) -> torch.Tensor:
    settings, joint, start = run.config.ngram, told.clone(), 0
    for (train, others), span in zip(parts, spans, strict=True):
        classes = span.stop - span.start
        second = cross_fitted(train, classes, settings)
        if others.ids:
            second = torch.cat([second, fitted_on(train, others.ids, classes, settings)])
        rows = slice(start, start + len(second))
        both = mixed(told[rows, span], second, settings.share)
        joint[rows, span] = torch.where(both.isfinite(), both, second)
        start = rows.stop
    return joint


def _answers(run: Run, rows: Examples, asked: Sequence[int], details: bool) -> Answers:
    """Ask the teacher; the logits stay in the run folder, so that a step without matching need not ask again."""
    path = run.folder("distil-task") / "logits.pt"
    held = checkpoint.load(path)
    if held is not None and not details and len(held["logits"]) == len(rows.ids):
        return Answers(held["logits"], (), ())
    geometry = run.config.student
    tutor, pad_id = run.tuned_teacher(), run.tokenizer.pad_id
    answers = ask(tutor, rows.ids, pad_id, geometry.layers, geometry.heads, details, asked)
    checkpoint.save(path, {"logits": answers.logits})
    return answers


def _unlabelled_examples(run: Run, most: int) -> Examples:
    if most == 0:
        return Examples([], [])
    found = [segment for lines in run.unlabelled for segment in segments(lines, run.config.general.characters)]
    stride = max(1, len(found) // most)
    ids = run.tokenised(found[::stride][:most])
    return Examples(ids, [UNLABELLED] * len(ids))


def _student_scores(run: Run, student: Student, splits: Sequence[str] = SPLITS[1:]) -> dict[str, Any]:
    def score(rows: LabelledSet, split: str) -> dict[str, Any]:
        return correct(student, run.examples(rows, split), run.tokenizer.pad_id, rows.span).to_json()

    return {split: by_set(run.taught, partial(score, split=split)) for split in splits}

"""Cards and the notice: what a base and its heads were made of, with the figures that were measured.

Pure: a configuration and the facts of the steps in, documents out. A card states what was measured and names what was
not; it never rounds a figure up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from headway_trainer.config import RunConfig
from headway_trainer.data.sets import SetConfig
from headway_trainer.heads import HeadConfig

STEPS = (
    "prepare",
    "teacher",
    "second-opinion",
    "distil-general",
    "distil-task",
    "qat",
    "lexicon",
    "export-base",
    "fit-heads",
    "evaluate",
    "gate",
)
"""The steps whose facts a card reports."""

Facts = dict[str, dict[str, Any]]

_OF_PALETTES = ("plan", "bits_per_weight", "matrices", "parity_with_its_palettes")

_OF_A_HEAD = ("dev", "test", "calibration_error_test", "confusion_test")

_LEFT_OUT = frozenset({"curve", "made_with"})


def base_card(config: RunConfig, facts: Facts) -> dict[str, Any]:
    """Return the card of the base."""
    exported, found = facts["export-base"], facts["evaluate"]
    return {
        "base_id": config.base_id,
        "version": config.version,
        "what": f"Chinese text encoder: MobileBERT geometry, {_weights(config)}, one float32 feature vector per text.",
        "geometry": asdict(config.student),
        "contract": exported["contract"],
        "feature_space": exported["feature_space"],
        "size_bytes": exported["size_bytes"],
        "data": _data(config, facts["prepare"]),
        "teacher": {"name": config.teacher.name, "licence": config.teacher.licence, "test": found["teacher"]},
        "second_opinion": {
            "what": "Logistic regression over token n-grams, cross-fitted on the training rows, part of the targets.",
            "config": asdict(config.ngram),
            **{k: v for k, v in facts["second-opinion"].items() if k not in _LEFT_OUT},
        },
        "lexicon": {
            "what": "Hashed n-grams of tokens, one weight per label from a linear SVM; they end the feature vector.",
            "config": asdict(config.lexicon),
            **{k: v for k, v in facts["lexicon"].items() if k not in _LEFT_OUT},
        },
        "initialisation": _initialisation(config, facts["distil-general"]),
        "figures": {
            "set": f"{_titles(config)}, test split; accuracy with Wilson 95 % interval",
            "teacher": found["teacher"],
            "student_float32": found["distil-task"],
            "student_int8_training": found["qat"],
            "exported_base_and_head_by_headway_coreml": {name: entry["test"] for name, entry in found["heads"].items()},
            "speed_on_the_training_machine": found["speed"],
            **{name: found[name] for name in ("counted_per_text",) if name in found},
            "executor_peak_memory_bytes": found["executor_peak_memory_bytes"],
            "feature_deviation_from_int8_training": exported["feature_deviation_from_qat"],
            "label_agreement_with_int8_training": exported["label_agreement_with_qat"],
            **{name: exported[name] for name in _OF_PALETTES if name in exported},
        },
        "gate": facts["gate"]["lines"],
        "waivers": facts["gate"]["waivers"],
        "device_report": facts["gate"]["device_report"] or "none: latency in milliseconds and CPU share are open",
        "training": _training(config, facts),
        "made_with": facts["export-base"]["made_with"],
    }


def _initialisation(config: RunConfig, found: Mapping[str, Any]) -> str:
    if "weights_of_an_earlier_run" in found:
        began = _initialisation(config, {k: v for k, v in found.items() if k != "weights_of_an_earlier_run"})
        return f"The student of an earlier run (its configuration: {found['earlier_run']}), trained further. {began}"
    if "weights_of_the_teacher" in found:
        return (
            f"The encoder starts as the fine-tuned teacher's first layers: {found['weights_of_the_teacher']} weights."
        )
    if "weights_of_a_checkpoint" in found:
        return f"The encoder starts as a checkpoint that was given: {found['weights_of_a_checkpoint']} weights of it."
    return (
        "Word embeddings are the fine-tuned teacher's, projected onto their "
        f"{config.student.embedding} leading principal directions "
        f"({100 * found['embedding_variance_kept']:.1f} % of the variance by use in the "
        "training texts); all other weights start at random from the seed."
    )


def head_card(config: RunConfig, of: SetConfig, head: HeadConfig, facts: Facts) -> dict[str, Any]:
    """Return the card of one head of a run, which was fitted to the set `of`."""
    told = {**facts["fit-heads"][head.name], **facts["evaluate"]["heads"][head.name]}
    base = (config.base_id, config.version, facts["export-base"]["contract"])
    return describe_head(head, base, of.labels, _labelled(of, facts["prepare"]), told, facts["fit-heads"]["made_with"])


def describe_head(
    head: HeadConfig,
    base: tuple[str, str, str],
    labels: Sequence[str],
    data: Mapping[str, Any],
    told: Mapping[str, Any],
    made_with: Mapping[str, str],
) -> dict[str, Any]:
    """Return a head's card: `base` is its base's id, version and contract, `told` what fitting and measuring said."""
    return {
        "head": head.name,
        "base_id": base[0],
        "base_version": base[1],
        "contract": base[2],
        "labels": list(labels),
        "layers": [*head.hidden, len(labels)],
        "data": data,
        "fitted_on": f"features of the exported base, computed by headway.coreml; rows of {told['fitted_on']}",
        "config": asdict(head),
        "chosen_weight_decay": told["weight_decay"],
        "temperature": told.get("temperature"),
        "lexicon_weight": told.get("lexicon_weight"),
        "figures": {name: told[name] for name in _OF_A_HEAD if name in told},
        "made_with": made_with,
    }


def notice(config: RunConfig, facts: Facts) -> str:
    """Return NOTICE.md: the texts that were trained on, with licences and digests, and the teacher."""
    prepared = facts["prepare"]
    rows = [
        f"| {of.title}, {name} | {of.licence} | `{held['digest']}` |"
        for of in config.data.labelled
        for name, held in _splits(of, prepared).items()
        if name != "test"
    ]
    stems = {name: held["digest"] for name, held in prepared["unlabelled"].items()}
    rows += [
        f"| {source.title} | {source.licence} | `{stems[source.file.split('.', 1)[0]]}` |"
        for source in config.data.unlabelled
    ]
    refitted = ", and heads marked `refit` were then fitted on it too" if any(h.refit for h in config.heads) else ""
    table = "\n".join(rows)
    return f"""# Notice

The base `{config.base_id}` and its heads were made by this project's own trainer from these texts and no others:

| text | licence | digest of the file |
|---|---|---|
{table}

The dev split chose epochs and weight decays; the golden batches quote rows of it{refitted}. The test split served for
measuring only.

Teacher: {config.teacher.name}; licence {config.teacher.licence}. {_inherited(facts["distil-general"])}
The vocabulary is that of bert-base-chinese (Apache-2.0).
"""


def _inherited(found: Mapping[str, Any]) -> str:
    """Say which weights of others the released ones began as: whose licence they may carry."""
    if "weights_of_the_teacher" in found:
        return "The student began as its first\nlayers, so these files hold what became of those weights."
    began = "the student's word embeddings began as a projection of the teacher's."
    if "weights_of_a_checkpoint" in found:
        began = "the student began as a checkpoint\nthat was given, so they hold what became of its weights."
    return f"Its weights are not part of these files;\n{began}"


def _data(config: RunConfig, prepared: dict[str, Any]) -> dict[str, Any]:
    unlabelled = [
        {**asdict(source), **prepared["unlabelled"][source.file.split(".", 1)[0]]} for source in config.data.unlabelled
    ]
    labelled = {of.name: _labelled(of, prepared) for of in config.data.labelled}
    return {"labelled": labelled.get("", labelled), "unlabelled": unlabelled, "tokenizer": prepared["tokenizer"]}


def _labelled(of: SetConfig, prepared: dict[str, Any]) -> dict[str, Any]:
    held_out = {"held_out": "only its head was fitted"} if of.held_out else {}
    return {"title": of.title, "licence": of.licence, "splits": _splits(of, prepared), **held_out}


def _splits(of: SetConfig, prepared: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (prepared["sets"][of.name] if of.name else prepared)["splits"]
    return found


def _titles(config: RunConfig) -> str:
    return "; ".join(of.title for of in config.data.labelled)


def _weights(config: RunConfig) -> str:
    if config.half.release:
        return "int8 weights computed with in float16"
    told = {"8": "int8 weights", "mixed": "weights of 8, 6 and 4 bits"}
    return told.get(config.compress.release, f"palettes of {config.compress.release} bits made after int8 training")


def _training(config: RunConfig, facts: Facts) -> dict[str, Any]:
    steps = {
        name: {k: v for k, v in facts[name].items() if k not in _LEFT_OUT}
        for name in ("teacher", "distil-general", "distil-task", "qat")
    }
    settings = {
        "seed": config.seed,
        "threads": config.threads,
        "finetune": asdict(config.teacher.finetune),
        "general": asdict(config.general),
        "pieces": asdict(config.pieces),
        "task": asdict(config.task),
        "qat": asdict(config.qat),
    }
    return {"config": settings, "steps": steps}

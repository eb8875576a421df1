"""The names of the steps in order, and which part of a configuration each of them is the first to read.

Plain data, so that the command line and the report need no torch to know the steps.
"""

from __future__ import annotations

ORDER = (
    "trim",
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
    "compress",
    "half",
    "gate",
    "cards",
)
"""Every step in the order of a whole run; `pipeline.STEPS` holds the function of each."""

CONFIG_FILE = "config.json"
"""The file in a run folder that names its configuration."""

_FIRST_READER = {
    "data.title": "cards",
    "data.licence": "cards",
    "data.label_titles": "cards",
    "teacher": "teacher",
    "teacher.name": "cards",
    "teacher.licence": "cards",
    "teacher.answers": "distil-task",
    "ngram": "second-opinion",
    "student": "distil-general",
    "student.max_length": "trim",
    "student.feature_layer": "distil-task",
    "general": "distil-general",
    "pieces": "distil-task",
    "task": "distil-task",
    "qat": "qat",
    "lexicon": "lexicon",
    "golden_rows": "export-base",
    "head_rows": "export-base",
    "base_id": "export-base",
    "version": "export-base",
    "heads": "fit-heads",
    "compress": "export-base",
    "compress.plans": "compress",
    "half": "export-base",
    "gate": "gate",
    "threads": None,
}


def first_reader(key: str) -> str | None:
    """Return the first step that reads a dotted key, None if no result depends on it.

    What is not listed is taken to be read from the beginning: doing too much again is slow, too little is wrong.
    """
    while key:
        if key in _FIRST_READER:
            return _FIRST_READER[key]
        key = key.rpartition(".")[0]
    return ORDER[0]


def from_step(step: str) -> tuple[str, ...]:
    """Return a step and all after it."""
    return ORDER[ORDER.index(step) :]


def earliest(steps: set[str]) -> str | None:
    """Return the first of `steps` in the order of a run, None if there are none."""
    return min(steps, key=ORDER.index, default=None)

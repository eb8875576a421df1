"""One frozen base for several labelled sets: every model's accuracy on every set's test rows, from a finished run.

    python benchmarks/shared_base.py RUN [--out benchmarks/results/shared_base.md]

Reads the facts of a run of `trainer/configs/mobilebert-small.toml` (or any configuration with several sets) and writes
the table. The column of the linear model and the published figures stand beside the corpora and were not measured here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

LINEAR = {
    "thucnews10": 90.8,  # with the further training rows that the configuration reads too; 90.4 without
    "tnews15": 54.3,
    "online-shopping": 93.7,
    "chnsenticorp": 86.8,
    "cold": 79.8,
    "ewect-usual": 73.2,
    "kdconv-domain": 92.3,
    "smp2019-domain": 92.5,
    "cais-intent": 94.5,
}
"""Character n-grams and a linear SVM on whole texts and all training rows, in percent; told with the corpora."""

PUBLISHED = {
    "thucnews10": "BERT-base 94.8, TextCNN 91.2 (180,000 rows)",
    "tnews15": "BERT-base 56.6, ALBERT-tiny 53.4",
    "ewect-usual": "TextCNN 70.0",
}

STEPS = ("teacher", "distil-task", "qat", "lexicon")


def main() -> None:
    """Write the table of the run on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    text = table({path.parent.name: json.loads(path.read_text("utf-8")) for path in chosen.run.glob("*/facts.json")})
    if chosen.out:
        chosen.out.write_text(text, "utf-8")
    print(text)


def table(facts: dict[str, Any]) -> str:
    """Return the page: a row per set, models in the order in which they were made, then what the run cost."""
    heads = {entry["set"]: entry for entry in facts["evaluate"]["heads"].values()}
    lines = [
        "# One frozen base, several sets",
        "",
        "Accuracy on each set's test rows in percent, with Wilson's 95 % interval where it is the released figure. The",
        "exported package and the head of each set were run by `headway.coreml`; the models before them are their own",
        "classifiers.",
        "",
        "| set | test rows | teacher | student fp32 | after INT8 training | lexicon alone | **exported base + head** |"
        " less teacher | n-gram SVM | published |",
        "|---|---:|---:|---:|---:|---:|---|---:|---:|---|",
        *(_row(name, entry, facts) for name, entry in heads.items()),
        "",
        _exported(facts["export-base"]),
        "",
        "| step | minutes on 2 cores |",
        "|---|---:|",
        *(f"| `{step}` | {found['seconds'] / 60:.0f} |" for step, found in facts.items() if found["seconds"] >= 60),
        "",
        *_sizes(facts.get("compress", {}).get("plans", {})),
    ]
    return "\n".join(lines)


def _exported(facts: dict[str, Any]) -> str:
    """Return how large the base is, of what bits, and how near it stays to the student."""
    bits = facts.get("bits_per_weight", 8)
    held = facts.get("parity_with_its_palettes", {})
    beside = (
        f" From a student in float64 that holds its palettes a feature deviates by {held['deviation']:.1e} at most."
        if held
        else ""
    )
    return (
        f"The base has {facts['size_bytes'] / 1e6:.2f} MB, {bits} bits a weight. Labels equal to those of the student "
        f"after INT8 training: {100 * facts['label_agreement_with_qat']:.2f} % of dev; largest deviation of a feature "
        f"{facts['feature_deviation_from_qat']:.1e}.{beside}"
    )


def _sizes(plans: dict[str, dict[str, Any]]) -> list[str]:
    """Return the same base with other bits: its package, how near it stays to training, each set's refitted head."""
    if not plans:
        return []

    def row(name: str, cells: list[str]) -> str:
        return f"| {' | '.join([name, *cells])} |"

    def mean(plan: dict[str, Any], split: str) -> str:
        shares = [entry[split]["accuracy"] for entry in plan["sets"].values()]
        return f"{100 * sum(shares) / len(shares):.1f}"

    found = list(plans.values())
    return [
        "## The same base with fewer bits",
        "",
        row("", [f"{name} ({plan['bits_per_weight']} bits)" for name, plan in plans.items()]),
        "|---|" + "---:|" * len(found),
        row("MB", [f"{plan['size_bytes'] / 1e6:.2f}" for plan in found]),
        row("labels of training, dev", [f"{100 * plan['labels_equal_to_training']:.2f} %" for plan in found]),
        row("features from a student with its weights", [f"{plan['parity']['deviation']:.1e}" for plan in found]),
        row("ms a text, one at a time", [f"{plan['executor_ms_per_text']:.1f}" for plan in found]),
        row("mean of dev", [mean(plan, "dev") for plan in found]),
        row("mean of test", [mean(plan, "test") for plan in found]),
        *(
            row(name, [f"{100 * plan['sets'][name]['test']['accuracy']:.1f}" for plan in found])
            for name in found[0]["sets"]
        ),
        "",
    ]


def _row(name: str, entry: dict[str, Any], facts: dict[str, Any]) -> str:
    test = entry["test"]
    low, high = test["wilson95"]
    before = [100 * facts[step]["test"]["sets"][name]["accuracy"] for step in STEPS]
    mark = " (dev)" if entry["test_is_dev"] else ""
    cells = [
        f"{name}{mark}",
        f"{test['rows']:,}",
        *(f"{value:.1f}" for value in before),
        f"**{100 * test['correct'] / test['rows']:.2f}** [{100 * low:.2f}, {100 * high:.2f}]",
        f"{100 * test['accuracy'] - before[0]:+.1f}",
        f"{LINEAR[name]:.1f}" if name in LINEAR else "",
        PUBLISHED.get(name, ""),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

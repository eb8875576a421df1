"""One or more runs as one HTML file: no network, no framework, both languages inside, light and dark, printable.

The switches are radio buttons read by CSS; a few lines of script only remember the choice. The page's content
security policy forbids every request. The template engine is the one that torch brings with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from headway_trainer.evaluate import Accuracy
from headway_trainer.progress import duration
from headway_trainer.report.accuracies import accuracies_svg
from headway_trainer.report.by_set import by_set
from headway_trainer.report.confusion import confusion_svg
from headway_trainer.report.curves import curve_svg
from headway_trainer.report.facts import RunFacts
from headway_trainer.report.forest import answering, changed_text, difference_pair, forest_svg, share_text, size_text
from headway_trainer.report.frontier import Candidate, candidates, latency_svg, plans, size_svg
from headway_trainer.report.standings import TEACHER, best_heads, heads, pooled, standings
from headway_trainer.report.words import SPLITS, STEPS, VERDICTS, Pair, gate_text, metric_pair, word


def render(runs: Sequence[RunFacts]) -> str:
    """The page of `runs`, at least one; with several, they are compared first and then told one by one."""
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        T=lambda english, chinese: both((english, chinese)),
        step=lambda name: both(word(STEPS, name)),
        metric=lambda name: both(metric_pair(name)),
        verdict=lambda name: both(word(VERDICTS, name)),
        split=lambda name: both(word(SPLITS, name)),
        gate_text=lambda text: both(gate_text(text)),
        apart=lambda found: both(difference_pair(found)),
        share=share_text,
        interval=interval_text,
        changed=changed_text,
        size=size_text,
        answering=lambda table: both(answering(table)),
        duration=duration,
    )
    compared = candidates(runs)
    return environment.get_template("report.html.j2").render(
        runs=[_view(run) for run in runs],
        compared=compared,
        drawings=_drawn(compared),
        style=Markup(_resource("report.css")),
        script=Markup(_resource("report.js")),
    )


def both(pair: Pair) -> Markup:
    """A sentence in both languages; the page's switch shows one."""
    if pair[0] == pair[1]:
        return Markup("{}").format(pair[0])
    return Markup('<span lang="en">{}</span><span lang="zh-CN">{}</span>').format(*pair)


def label_pairs(run: RunFacts, group: str = "") -> dict[str, Pair]:
    """The classes' names of a set: as in the files, and in Chinese as the configuration's `label_titles` have it."""
    data = run.config.get("data", {})
    of = next((one for one in data.get("sets", ()) if one.get("name") == group), data)
    labels, titles = list(of.get("labels", ())), list(of.get("label_titles", ()))
    if len(titles) != len(labels):
        titles = labels
    return {label: (label, title) for label, title in zip(labels, titles, strict=True)}


def data_rows(run: RunFacts) -> list[tuple[str, str, dict[str, Any], Markup]]:
    """The labelled splits: (set, split, counts, rows by class in words that the page's switch leaves alone)."""
    prepared = run.steps.get("prepare", {})
    sets = prepared.get("sets", {"": prepared})
    return [
        (group, name, held, _classes(run, group, held.get("labels", {})))
        for group, facts in sets.items()
        for name, held in facts.get("splits", {}).items()
    ]


def _classes(run: RunFacts, group: str, counts: dict[str, int]) -> Markup:
    names = label_pairs(run, group)
    told = [both(names.get(label, (label, label))) + f" {count}" for label, count in counts.items()]
    return Markup(" · ").join(told)


def tiles(run: RunFacts) -> list[tuple[str, Pair, str]]:
    """The few figures that matter most: (figure, what it is, css)."""
    found: list[tuple[str, Pair, str]] = []
    best = best_heads(run)
    exported_heads = pooled(head.test for head in best)
    if exported_heads:
        english, chinese = (best[0].name, best[0].name) if len(best) == 1 else ("all sets together", "所有数据集合计")
        found.append((_percent(exported_heads), (f"exported, {english}, on test", f"导出，{chinese}，测试集"), ""))
        teacher = _teacher(run, {head.group for head in best})
        if teacher:
            points = 100 * (teacher.value - exported_heads.value)
            below: Pair = ("points below the teacher", "低于教师的百分点")
            above: Pair = ("points above the teacher", "高于教师的百分点")
            found.append((f"{abs(points):.2f}", below if points >= 0 else above, ""))
    exported = run.steps.get("export-base", {})
    if "size_bytes" in exported:
        bits = exported.get("bits_per_weight", 8)
        what: Pair = (f"the base as a package, {bits:g} bits a weight", f"基座模型包，每权重 {bits:g} 位")
        found.append((f"{exported['size_bytes'] / 1e6:.2f} MB", what, ""))
    speed = run.steps.get("evaluate", {}).get("speed", {})
    if speed:
        words: Pair = ("times as quick as eager PyTorch, here", "倍于 PyTorch（同一机器）")
        found.append((f"{speed['ratio']:g}×", words, ""))
    count = run.steps.get("evaluate", {}).get("counted_per_text", {})
    if count:
        words = (f"a text on {count['phone']} by count, not measured", f"{count['phone']} 每条文本，按计数而非测量")
        found.append((f"≥ {count['at_least_ms']:g} ms", words, ""))
    lines = run.steps.get("gate", {}).get("lines", ())
    if lines:
        passed = sum(line["verdict"] == "passed" for line in lines)
        css = "good" if passed == len(lines) else "bad"
        found.append((f"{passed} / {len(lines)}", ("lines of the gate passed", "条门槛通过"), css))
    found.append((duration(run.seconds), ("time of all steps", "全部步骤用时"), ""))
    return found


def _teacher(run: RunFacts, groups: set[str]) -> Accuracy | None:
    """The teacher itself, without n-grams, on the same sets."""
    alone = [s.test for s in standings(run) if s.model == TEACHER and s.test and s.group in groups]
    return pooled(alone) if len(alone) == len(groups) else None


def _drawn(compared: Sequence[Candidate]) -> dict[str, Markup]:
    """Accuracy against size and against time, where there are several to compare."""
    if len(compared) < 2:
        return {}
    return {"size": Markup(size_svg(compared).render()), "latency": Markup(latency_svg(compared).render())}


def _view(run: RunFacts) -> dict[str, Any]:
    rows, planned = standings(run), plans(run)
    waivers = {waiver["metric"]: waiver["reason"] for waiver in run.steps.get("gate", {}).get("waivers", ())}
    named = [(head, list(label_pairs(run, head.group).values())) for head in heads(run)]
    return {
        "run": run,
        "tiles": tiles(run),
        "accuracies": Markup(accuracies_svg(rows).render()) if rows else "",
        "standings": rows,
        "curves": [(curve.step, Markup(curve_svg(curve).render())) for curve in run.curves],
        "confusions": [
            (head, Markup(confusion_svg(head.confusion, labels).render()))
            for head, labels in named
            if len(head.confusion) == len(labels) > 0
        ],
        "sets": by_set(run),
        "splits": data_rows(run),
        "plans": planned,
        "plan_drawings": _drawn(planned),
        "half": run.steps.get("half", {}),
        "exported": run.steps.get("export-base", {}),
        "evaluated": run.steps.get("evaluate", {}),
        "gate": run.steps.get("gate", {}).get("lines", ()),
        "waivers": waivers,
        "prepared": run.steps.get("prepare", {}),
        "made_with": next((facts["made_with"] for facts in run.steps.values() if "made_with" in facts), {}),
        "ablations": [(table, Markup(forest_svg(table).render())) for table in run.ablations],
        "config": json.dumps(run.config, ensure_ascii=False, indent=2),
    }


def interval_text(accuracy: Accuracy) -> str:
    """An accuracy in percent with its Wilson interval, without the rows."""
    low, high = accuracy.interval
    return f"{100 * accuracy.value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _percent(accuracy: Accuracy) -> str:
    return f"{100 * accuracy.value:.1f} %"


def _resource(name: str) -> str:
    return (resources.files("headway_trainer.report") / "templates" / name).read_text(encoding="utf-8")

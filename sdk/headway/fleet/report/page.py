"""The report as one HTML file: no network, no framework, both languages inside, light and dark, printable.

The language and theme switches are radio buttons read by CSS; a few lines of script only remember the choice. The
page carries a content security policy that forbids every request, so "self-contained" is enforced, not promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from headway.fleet.report import words
from headway.fleet.report.classes import classes_svg, label_pair
from headway.fleet.report.curve import rollout_svg
from headway.fleet.report.gains import gains_svg, groups, pooled
from headway.fleet.report.lanes import lanes_svg
from headway.fleet.report.lineage import lineage_svg
from headway.fleet.report.model import DeviceRow, FleetReport, Share
from headway.fleet.report.palette import css_of, name_of
from headway.fleet.report.reasons import reason_pair
from headway.fleet.report.stats import wilson
from headway.fleet.report.summary import paragraphs, sound, tiles, verdict
from headway.fleet.report.svg import clock_text
from headway.fleet.report.words import Pair


def render(report: FleetReport) -> str:
    """The page of a report."""
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_helpers(report))
    drawings = {
        "lineage": lineage_svg(report),
        "lanes": lanes_svg(report),
        "rollouts": rollout_svg(report),
        "gains": gains_svg(report),
        "classes": classes_svg(report),
    }
    return environment.get_template("report.html.j2").render(
        report=report,
        drawings={name: Markup(drawing) for name, drawing in drawings.items()},
        style=Markup(_resource("report.css")),
        script=Markup(_resource("report.js")),
    )


def _resource(name: str) -> str:
    return (resources.files("headway.fleet.report") / "templates" / name).read_text(encoding="utf-8")


def both(pair: Pair) -> Markup:
    """A sentence in both languages; the page's switch shows one."""
    return Markup('<span lang="en">{}</span><span lang="zh-CN">{}</span>').format(*pair)


def share_text(share: Share) -> str:
    """A share as a percentage with its interval: ``93.2 % [91.0, 95.0]``."""
    low, high = wilson(share)
    return f"{share.value * 100:.1f} % [{low * 100:.1f}, {high * 100:.1f}]"


def story(device: DeviceRow) -> list[tuple[str, Pair, Pair]]:
    """The device's life in order: (time, what, why)."""
    return [
        (clock_text(event.at_s), words.word(words.EVENTS, event.kind), words.sentence(event.code))
        for event in device.events
    ]


def _helpers(report: FleetReport) -> Mapping[str, object]:
    return {
        "both": both,
        "T": lambda english, chinese: both((english, chinese)),
        "word": lambda table, code: both(words.word(getattr(words, table), code)),
        "sentence": lambda code: both(words.sentence(code)),
        "reason": lambda text: both(reason_pair(text)),
        "label": lambda name: both(label_pair(name)),
        "share": share_text,
        "percent": lambda share: f"{share.value * 100:.1f} %",
        "clock": clock_text,
        "css_of": lambda release: css_of(report, release),
        "name_of": lambda release: name_of(report, release),
        "story": story,
        "tiles": tiles(report),
        "paragraphs": paragraphs(report),
        "groups": groups(report),
        "pooled": pooled(report),
        "pooled_rebased": pooled(report, "rebased"),
        "verdict": lambda result: both(verdict(result)),
        "sound": sound(report),
        "not_evidenced": words.NOT_EVIDENCED,
        "short": lambda digest: escape(digest[:19] + "…"),
    }

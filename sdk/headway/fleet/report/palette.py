"""Which CSS class paints a release: bad ones in the warning colour, the others in the order of their release."""

from __future__ import annotations

from headway.fleet.report.model import FleetReport


def css_of(report: FleetReport, release: int) -> str:
    """The class of ``release``: ``rel-0`` embedded, ``rel-bad`` halted, otherwise ``rel-1`` … ``rel-4`` in turn."""
    if release == 0:
        return "rel-0"
    good = [facts.release for facts in report.releases if facts.fate != "halted"]
    return f"rel-{good.index(release) % 4 + 1}" if release in good else "rel-bad"


def name_of(report: FleetReport, release: int) -> str:
    """``topic@2``, or the head's name with ``@0`` for the embedded head."""
    return f"{report.head_name}@{release}" if release else f"{report.head_name}@0"

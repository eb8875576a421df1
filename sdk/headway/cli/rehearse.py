"""What ``demo`` and ``simulate`` share: a folder, a run, and what to say at its end."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

from headway.cli.output import note, print_json
from headway.contract.errors import RefusedError
from headway.fleet.report.model import FleetReport
from headway.fleet.report.summary import paragraphs
from headway.fleet.scenario import Scenario

MARK = ".headway-rehearsal"
CACHE = "cache"


def prepared(folder: Path, *, keep: bool) -> Path:
    """The folder to run in: ``folder`` cleared of an earlier run, or, with ``keep``, the next free name beside it.

    Raises:
        RefusedError: code ``folder_in_use``; it holds something that no run made, which is never removed.
    """
    if folder.exists() and any(folder.iterdir()):
        if keep:
            folder = next(
                f for f in (folder.with_name(f"{folder.name}-{n}") for n in range(2, 10_000)) if not f.exists()
            )
        elif (folder / MARK).is_file():
            _clear(folder)
        else:
            raise RefusedError(
                "folder_in_use",
                f"{folder} holds files that no rehearsal made.",
                hint="Choose another folder with --out.",
                kind="conflict",
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text("Made by headway demo or headway simulate; the next run may clear this folder.\n")
    return folder


def _clear(folder: Path) -> None:
    """Remove an earlier run, but not its cached features: they hold digests of public text and save half a minute."""
    for entry in folder.iterdir():
        if entry.name == CACHE:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def rehearse(
    scenario: Scenario, out: Path, *, keep: bool, fixtures: Path | None, quiet: bool
) -> tuple[FleetReport, Path]:
    """Run a scenario in ``out``, or with ``keep`` beside it, and tell about it on standard error; the folder it used.

    Nothing is cleared before everything that the run needs was found.
    """
    from headway.cli.narration import Narration
    from headway.fleet.corpus import find_fixtures
    from headway.fleet.rehearsal import Rehearsal

    # A plain SIGTERM would leave the registry's process behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    found = find_fixtures(fixtures)
    folder = prepared(out, keep=keep)
    return Rehearsal(scenario, folder, found, Narration(quiet=quiet), folder / CACHE).run(), folder


def tell(report: FleetReport, folder: Path, *, as_json: bool) -> None:
    """The end of a run: what happened, where the report is, what to try next."""
    page = folder / "report.html"
    if as_json:
        files = {"report": str(folder / "report.json"), "page": str(page), "registry": str(folder / "registry")}
        summary = [english for english, _ in paragraphs(report)]
        print_json({"schema": 1, "summary": summary, "wall_s": report.wall_s, **files})
        return
    note("")
    for english, _ in paragraphs(report):
        note(english)
    note("")
    note("Report (open it in a browser; English and 中文):")
    print(page)
    note("")
    note("Go on from here:")
    for line in next_commands(report, folder):
        note(f"  {line}")


def next_commands(report: FleetReport, folder: Path) -> list[str]:
    """Commands that use what the run left behind."""
    name = report.head_name
    return [
        f"headway server run --data-dir {folder / 'registry'} --port 8080",
        f"export HEADWAY_URL=http://127.0.0.1:8080 HEADWAY_APP={report.app} "
        f"HEADWAY_TOKEN=$(cat {folder / 'registry' / 'admin-token'})",
        f"headway heads list {name}    # every release; `headway heads lineage` for the graph",
        "headway rollout list    # every rollout and what devices reported",
        "headway channels show    # what the channel offers and recalls now",
        f"headway poll --bundle {folder / 'app'} --store phone --url http://127.0.0.1:8080    # as one more device",
        f"headway report {folder / 'report.json'}    # the page again",
    ]

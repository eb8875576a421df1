"""Going through the variants of a run, one after the other: shared steps linked, the others run, the table renewed.

Each variant is a run folder of its own under `RUN/ablation`, so a study that was stopped goes on where it was. The
table is written after every variant. A variant whose loss is no longer a number is a finding, not the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway_trainer.ablation import table
from headway_trainer.ablation.answering import UNTIL, By, answered
from headway_trainer.ablation.sharing import share
from headway_trainer.ablation.table import Outcome
from headway_trainer.ablation.variants import PARENT, Varied, as_document
from headway_trainer.config import RunConfig
from headway_trainer.files import make_folder, write_text
from headway_trainer.pipeline import run_steps
from headway_trainer.processes import world
from headway_trainer.progress import duration
from headway_trainer.report.forest import forest_svg
from headway_trainer.run import Places, Run

FOLDER = "ablation"


@dataclass
class Study:
    """A run and its variants under some seeds of the student; without seeds under the run's own."""

    config: RunConfig
    places: Places
    variants: Sequence[Varied]
    seeds: Sequence[int] = ()
    by: By = "exported"
    _expected: float = field(default=0.0, init=False)
    _taken: float = field(default=0.0, init=False)

    def run(self) -> dict[str, Any]:
        """Run everything that is not done and return the table's document, which is also left in `RUN/ablation`.

        Raises `RefusedError`: `train.variant` under torchrun, and the codes of the steps but for `train.diverged` in a
        variant.
        """
        if world() > 1:
            raise _alone()
        parent = Outcome(PARENT, {}, None, *self._each(None))
        outcomes: list[Outcome] = []
        made = self._document(parent, outcomes)
        for index, variant in enumerate(self.variants):
            self._say(index, parent)
            outcomes.append(self._outcome(variant, parent))
            made = self._document(parent, outcomes)
        return made

    def _outcome(self, variant: Varied, parent: Outcome) -> Outcome:
        started = time.monotonic()
        try:
            found = Outcome(variant.name, variant.changes, variant.first, *self._each(variant))
        except RefusedError as error:
            if error.code != "train.diverged":
                raise
            found = Outcome(variant.name, variant.changes, variant.first, (), (), stopped=error.message)
            print(f"{variant.name}: {error.message} The other variants go on.", flush=True)
        self._taken += time.monotonic() - started
        self._expected += self._seconds(parent, variant)
        return found

    def _each(self, variant: Varied | None) -> tuple[list[Any], list[Any]]:
        runs = [self._one(variant, seed) for seed in self.seeds or (self._own_seed,)]
        return [answers for answers, _ in runs], [facts for _, facts in runs]

    def _one(self, variant: Varied | None, seed: int) -> tuple[Any, dict[str, Any]]:
        config = _seeded(variant.config if variant else self.config, seed, self._own_seed)
        source = self.places.run_folder if seed == self._own_seed else self._folder(PARENT, seed)
        folder = self._folder(variant.name, seed) if variant else source
        if variant:
            share(source, folder, variant.first, variant.changes)
        elif folder != self.places.run_folder:
            share(self.places.run_folder, folder, "distil-general", ("student.seed",))
        run = Run(config, replace(self.places, run_folder=folder, waivers=(), report=None))
        facts = run_steps(run, UNTIL[self.by])
        return answered(run, self.by), facts

    @property
    def _own_seed(self) -> int:
        return self.config.seed if self.config.student.seed is None else self.config.student.seed

    def _folder(self, name: str, seed: int) -> Path:
        return make_folder(self.places.run_folder / FOLDER / name / str(seed))

    def _say(self, index: int, parent: Outcome) -> None:
        variant, left = self.variants[index], self.variants[index:]
        # A first guess is the parent's own time for these steps; then what they took here, measured against it.
        pace = self._taken / self._expected if self._expected else 1.0
        seconds = pace * sum(self._seconds(parent, one) for one in left)
        where = f"variant {index + 1}/{len(self.variants)} {variant.name}: {variant.first} and what follows"
        print(f"{time.strftime('%H:%M:%S')} {where}; ETA of all {duration(seconds)}", flush=True)

    def _seconds(self, parent: Outcome, variant: Varied) -> float:
        steps = UNTIL[self.by]
        own = steps[steps.index(variant.first) :]
        return float(sum(facts[step]["seconds"] for facts in parent.facts for step in own))

    def _document(self, parent: Outcome, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        document = json.dumps(as_document(self.config), sort_keys=True, ensure_ascii=False)
        about = {
            "run": self.config.base_id,
            "config_digest": digest_of(document.encode()),
            "answered_by": self.by,
            "head": self.config.heads[0].name if self.by == "exported" else None,
            "made_with": parent.facts[0]["qat"].get("made_with", {}),
        }
        folder, stem = make_folder(self.places.run_folder / FOLDER), table.STEMS[self.by]
        made = table.document(parent, outcomes, self.seeds or (self._own_seed,), about)
        made = table.joined(_held(folder / f"{stem}.json"), made, [variant.name for variant in self.variants])
        write_text(folder / f"{stem}.json", json.dumps(made, ensure_ascii=False, indent=2) + "\n")
        write_text(folder / f"{stem}.md", table.markdown(made))
        write_text(folder / f"{stem}.svg", forest_svg(made).render_alone())
        return made


def _held(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _seeded(config: RunConfig, seed: int, own: int) -> RunConfig:
    return config if seed == own else replace(config, student=replace(config.student, seed=seed))


def _alone() -> RefusedError:
    return RefusedError(
        "train.variant",
        "Variants are run by one process, one after the other, not under torchrun.",
        hint="Start it without torchrun; several studies of different variants may run beside each other.",
    )

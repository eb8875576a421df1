"""What a rehearsal does, as a frozen value: who takes part, what is published, what happens when, what goes wrong.

A scenario decides nothing about outcomes: whether a release is confirmed, rolled back or halted is found out by
running it. Times are simulated seconds. A person may write one in TOML (`read_scenario`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from headway.contract.errors import RefusedError, malformed
from headway.fleet.codec import build
from headway.fleet.conditions import conditions_named
from headway.fleet.users import UserPlan
from headway.fleet.workshop import FitPlan

HOUR = 3600


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """One release of the head: a committed one by the name of its fixture folder, or one fitted in the run."""

    release: int
    origin: str
    fixture: str | None = None
    fit: FitPlan | None = None
    parent: int | None = None
    rebase: str = "replay"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Offer ``release`` in stages (permyriad), the next after ``min_confirmed`` confirmations; at most ``hours``.

    ``max_failed`` (permyriad) and ``min_reports`` are the rollout's health policy: what a small fleet can bear.
    """

    release: int
    stages: tuple[int, ...]
    min_confirmed: tuple[int, ...]
    hours: int = 24
    max_failed: int = 1500
    min_reports: int = 4


@dataclass(frozen=True, slots=True)
class Personalise:
    """Night: every device is idle and charging for ``hours``, and may train on its own text."""

    hours: int = 6


@dataclass(frozen=True, slots=True)
class Recall:
    """Order devices off ``release``; run ``hours`` to see it obeyed."""

    release: int
    reason: str
    hours: int = 6


@dataclass(frozen=True, slots=True)
class Wait:
    """Let ``hours`` pass: stragglers come back."""

    hours: int


@dataclass(frozen=True, slots=True)
class AppPolicy:
    """What the app asks of on-device training, where it differs from the device's own, stricter defaults.

    A personal head may lose ``golden_accuracy_loss`` of the golden rows it is judged on (a share) and let their mean
    log loss rise by ``golden_loss_rise``: who talks about one subject only gains by giving up a little of the others.
    ``rehearsal`` and ``anchors`` weigh golden rows and anchors against the person's own. The defaults were chosen on
    people dealt from the dev split; the demo's people come from the test split.
    """

    min_samples: int = 50
    learning_rate: float = 0.01
    rehearsal: float = 1.0
    anchors: float = 1.0
    golden_accuracy_loss: float = 0.09
    golden_loss_rise: float = 0.3


Step = Rollout | Personalise | Recall | Wait


@dataclass(frozen=True, slots=True)
class OfflineSpell:
    """Device number ``device`` (from 1) loses its network when step ``step`` (from 1) begins, for ``hours``."""

    device: int
    step: int
    hours: int


@dataclass(frozen=True, slots=True)
class DiskFault:
    """Something that befalls a device's disk while it installs ``release``.

    ``moment`` is ``before``, ``middle`` or ``after`` (the process dies around a change) or ``full``; ``after_changes``
    counts changes from when the release is first offered; ``survival`` as in `headway.device.faulty.Fault`.
    """

    device: int
    release: int
    moment: str
    after_changes: int
    survival: str = "synced"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole rehearsal. ``embedded`` is the release that ships inside the app; ``networks`` go round the devices;
    the first ``pilots`` devices are in the group ``pilot``, which every rollout includes from its first stage.
    """

    name: str
    seed: int
    users: UserPlan
    releases: tuple[ReleasePlan, ...]
    steps: tuple[Step, ...]
    embedded: int = 1
    networks: tuple[str, ...] = ("good",)
    pilots: int = 0
    offline: tuple[OfflineSpell, ...] = ()
    disk_faults: tuple[DiskFault, ...] = ()
    app: str = "demo"
    channel: str = "stable"
    head_name: str = "topic"
    labels: tuple[str, ...] = ("film", "music", "travel")
    poll_after_s: int = HOUR
    session_every_s: int = 2 * HOUR
    policy: AppPolicy = field(default_factory=AppPolicy)

    def plan(self, release: int) -> ReleasePlan:
        """The plan of a release."""
        return next(plan for plan in self.releases if plan.release == release)

    def checked(self) -> Scenario:
        """The scenario itself, if its parts fit each other.

        Raises:
            RefusedError: code ``bad_scenario`` or ``unknown_conditions``.
        """
        known = {plan.release for plan in self.releases}
        named = {step.release for step in self.steps if isinstance(step, Rollout | Recall)} | {self.embedded}
        if not named <= known:
            raise _bad(f"release {min(named - known)} is used but not in releases")
        for plan in self.releases:
            if (plan.fixture is None) == (plan.fit is None):
                raise _bad(f"release {plan.release} needs a fixture or a fit, one of them")
        if self.plan(self.embedded).fixture is None:
            raise _bad("the embedded release must be a fixture: it is in the app before anything is fitted")
        devices = [spell.device for spell in self.offline] + [fault.device for fault in self.disk_faults]
        if not all(1 <= device <= self.users.count for device in devices):
            raise _bad(f"there are devices 1 to {self.users.count}")
        for name in self.networks:
            conditions_named(name)
        return self


def _bad(why: str) -> RefusedError:
    return RefusedError("bad_scenario", f"The scenario does not fit together: {why}.", hint="Correct it and run again.")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from TOML.

    Raises:
        RefusedError: codes ``malformed``, ``bad_scenario``, ``unknown_conditions``.
    """
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise malformed("scenario", str(path), "a readable TOML file") from error
    return build(Scenario, value, "scenario", strict=True).checked()


def demo_scenario(devices: int = 24, seed: int = 7) -> Scenario:
    """The scenario of ``headway demo``: the main job of Headway from end to end.

    Release 1 is in the app; 2 is fitted in the run; 3 is fitted on a broken import; 4 comes from the trainer and is
    recalled after devices have confirmed it.
    """
    if devices < 6:
        raise _bad("the demo needs at least 6 devices, or its rollout cannot be judged")
    wrong, balanced = (1 if devices >= 8 else 0), max(1, devices // 4)
    rows = 3000 if devices >= 16 else 500
    quarter, first = max(3, devices // 4), 2500 if devices >= 16 else 5000
    return Scenario(
        name="demo",
        seed=seed,
        users=UserPlan(devices - balanced - wrong, balanced, wrong, dialogues=max(4, min(7, 181 // devices))),
        releases=(
            ReleasePlan(1, "bundled", fixture="topic-1"),
            ReleasePlan(2, "fitted_here", fit=FitPlan(rows=rows), parent=1),
            ReleasePlan(3, "mislabelled_import", fit=FitPlan(rows=rows, swap=("film", "music")), parent=2),
            ReleasePlan(4, "trainer", fixture="topic-2", parent=2),
        ),
        steps=(
            Rollout(2, (first, 6000, 10_000), (3, devices * 2 // 5, devices * 3 // 4), hours=24),
            Personalise(hours=6),
            Rollout(3, (4000 if devices >= 16 else 8000, 10_000), (quarter, devices), hours=12),
            Recall(3, "Most devices that tried it rolled it back", hours=3),
            Rollout(4, (5000, 10_000), (quarter, devices * 3 // 4), hours=14),
            Personalise(hours=6),
            Recall(4, "Rehearsal of a withdrawn data licence", hours=6),
            Wait(hours=10),
        ),
        pilots=3,
        networks=("good", "slow", "refused", "good", "truncated", "server_error", "corrupted", "captive_portal"),
        offline=(OfflineSpell(device=devices // 3, step=7, hours=9),),
        disk_faults=(
            DiskFault(device=2, release=2, moment="middle", after_changes=12, survival="torn"),
            DiskFault(device=devices - 1, release=2, moment="full", after_changes=4),
            DiskFault(device=5, release=4, moment="after", after_changes=18),
        ),
    ).checked()

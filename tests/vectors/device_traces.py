"""Write ``device_traces.json``: histories of the device machine, from the Python one, that Swift must repeat exactly.

``python tests/vectors/device_traces.py``; ``--check`` only compares. Unlike the vectors of ``make.py`` these bind the
two machines to each other, not to what is right: that is held by the device's own tests. The histories are random but
the same everywhere; the seeds were picked from thousands so that together they show every event at work and every
outcome (``test_device_traces.py`` holds that).
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from headway.contract.digests import Digest, canonical_json, digest_of
from headway.contract.outcome import GAINS
from headway.contract.targets import REBASE_POLICIES
from headway.device import events as ev
from headway.device import record
from headway.device.machine import advance, initial_state
from headway.device.state import DeviceState, Generation, HeldRelease, Host, Identity, Phase, Rules

FILE = Path(__file__).resolve().parents[2] / "ios_fixtures" / "vectors" / "device_traces.json"
BASES = (digest_of(b"base 1"), digest_of(b"base 2"))
STEPS = 80
SEEDS = (6, 20, 28, 186, 222, 228, 407, 473, 497, 1345, 1387, 2315, 2446)
EXPLICIT = (10_141, 10_199)
"""Seeds of devices whose app confirms by itself."""
Choice = tuple[float, Callable[[], ev.Event]]


def held(release: int, base: Digest = BASES[0], bytes_of: int | None = None, rebase: str = "replay") -> HeldRelease:
    """Release ``release``; ``bytes_of`` gives it the head bytes of another."""
    return HeldRelease(
        release=release,
        head=digest_of(f"head {bytes_of or release}".encode()),
        base=base,
        manifest=digest_of(f"manifest {release} {base}".encode()),
        labels=digest_of(b"labels"),
        rebase=rebase,
    )


class World:
    """One device and a world that mostly answers what was asked, and sometimes anything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.hostile = seed % 3 == 0
        self.stubborn = seed % 6 == 0
        self.rules = Rules(explicit_confirm=seed in EXPLICIT)
        self.now = 1_800_000_000
        self.made = 0
        identity = Identity("notes", "stable", "topic", "5f" * 16)
        self.state: DeviceState = initial_state(identity, Host(BASES[0], "22A100"), held(0))

    def head(self, likely: Any = None) -> Digest:
        """The head of ``likely``, or now and then any head at all."""
        if likely is not None and self.random.random() < 0.9:
            return likely.head
        present = (self.state.embedded, *self.state.releases(), *self.state.personal_heads())
        return self.random.choice([*(slot.head for slot in present), held(self.random.randint(1, 9)).head])

    def base(self) -> Digest:
        return BASES[0] if self.random.random() < 0.93 else BASES[1]

    def release(self) -> HeldRelease:
        bytes_of = self.random.choice([None] * 6 + [self.random.randint(1, 9)])
        if self.stubborn:
            return held(5)
        return held(self.random.randint(1, 9), self.base(), bytes_of, self.random.choice(REBASE_POLICIES))

    def generation(self) -> Generation:
        self.made += 1
        state = self.state
        return Generation(
            number=state.generations,
            head=digest_of(f"generation {self.made}".encode()),
            base=self.base(),
            on=self.head(state.current),
            derived_from=state.running.head,
            policy=self.random.choice(["personalised", *REBASE_POLICIES[:3]]),
            samples=self.random.randint(50, 99),
            steps=self.random.randint(1, 99),
            delta_micro=self.random.randint(0, 10**6),
        )

    def launched(self) -> ev.Event:
        build = "22A100" if self.random.random() < 0.9 else "22B200"
        embedded = held(self.random.choice([0] * 12 + [3, 5]))
        back = 10**8 if self.random.random() < 0.03 else 0
        return ev.Launched(Host(self.base(), build), embedded, self.now - back)

    def receiving(self) -> list[Choice]:
        state, now, chance = self.state, self.now, self.random
        phase = state.activity
        recalled = frozenset({self.head()} if chance.random() < 0.4 else ())
        cut_off = phase in (Phase.VERIFYING, Phase.REBASING) if self.stubborn else self.hostile
        directive = chance.choice(["allow"] * 5 + ["hold", "discard"])
        return [
            (3, ev.CheckStarted),
            (0.3, ev.CheckEnded),
            (9 if phase is Phase.CHECKING else 0.2, lambda: ev.Offered(self.release(), now)),
            (12 if phase is Phase.DOWNLOADING else 0.1, lambda: ev.Downloaded(self.head(state.target))),
            (0.7, lambda: ev.DownloadFailed(self.head(state.target), "transfer", chance.random() < 0.5)),
            (12 if phase is Phase.VERIFYING and not cut_off else 0.1, lambda: ev.Verified(self.head(state.target))),
            (0.7, lambda: ev.VerifyFailed(self.head(state.target), "broken_model", now)),
            (0.6, lambda: ev.ChannelSeen(recalled, directive, now)),
            (0.4, lambda: ev.Withdrawn(self.head(state.staged), "halted")),
            (3 if state.leaving else 0.1, ev.Settled),
            (0.4, lambda: ev.OutcomesSent(frozenset(o.event for o in state.outcomes[::2]))),
            (20 if cut_off else 0.7, self.launched),
            (0.4, ev.Exiting),
        ]

    def running(self) -> list[Choice]:
        state, now = self.state, self.now
        judging = state.trial is not None and state.live >= 3
        asked = [(6.0, ev.ConfirmAsked)] if self.rules.explicit_confirm else []
        return [
            *asked,
            (6, lambda: ev.PredictAsked(now)),
            (1 if self.hostile else 12, lambda: ev.Predicted(self.head(state.running), now)),
            (0.4, lambda: ev.PredictFailed(self.head(state.running), "not_finite", now)),
            (0.2, lambda: ev.SlotBroken(self.head(), now)),
            (12 if judging else 0.1, lambda: ev.HealthPassed(self.head(state.trial), now)),
            (1, lambda: ev.HealthFailed(self.head(state.trial), "class_floor", now)),
            (0.4, lambda: ev.HealthLater(self.head(state.trial))),
            (0.3, lambda: ev.RollBackAsked("app_veto", now)),
        ]

    def training(self) -> list[Choice]:
        state, now = self.state, self.now
        phase = state.activity
        gain = self.random.choice(GAINS)
        policy = self.random.choice(REBASE_POLICIES)
        carried = self.generation() if self.random.random() < 0.6 else None
        return [
            (5, lambda: ev.TrainingStarted(now)),
            (10 if phase is Phase.PERSONALISING else 0.1, lambda: ev.Trained(self.generation())),
            (0.5, lambda: ev.TrainingFailed("cancelled")),
            (9 if phase is Phase.JUDGING else 0.1, lambda: ev.GenerationAccepted(self.head(state.candidate), gain)),
            (0.8, lambda: ev.GenerationRejected(self.head(state.candidate), gain)),
            (0.2, lambda: ev.GenerationDropped("worse")),
            (0.1, ev.PersonalForgotten),
            (9 if state.rebase_due else 0.1, lambda: ev.RebaseStarted(now)),
            (
                9 if phase is Phase.REBASING else 0.1,
                lambda: ev.Rebased(self.head(state.current), carried, policy, gain),
            ),
        ]

    def step(self) -> tuple[dict[str, Any], set[tuple[str, ...]]]:
        """One event and what came of it; and what of it counts as a kind of step."""
        self.now += self.random.choice([0, 1, 60, 4000, 86_400])
        choices = [*self.receiving(), *self.running(), *self.training()]
        event = self.random.choices([c[1] for c in choices], [c[0] for c in choices])[0]()
        before = self.state
        self.state, effects = advance(before, event, self.rules)
        shown = [tagged("effect", effect) for effect in effects]
        reported = self.state.outcomes[len(before.outcomes) :]
        kind = (tagged("event", event)["event"], before.phase.name, self.state.phase.name)
        kinds = {(*kind, *(str(effect["effect"]) for effect in shown))}
        kinds |= {("outcome", outcome.kind, outcome.detail or "") for outcome in reported}
        digest = digest_of(canonical_json(record.to_json(self.state.durable)))
        step = {"event": tagged("event", event), "effects": shown, "phase": int(self.state.phase), "record": digest}
        return step, kinds


def tagged(key: str, value: object) -> dict[str, Any]:
    """A dataclass as JSON: its name in snake case under ``key``, then its fields."""
    return {key: re.sub(r"(?<!^)(?=[A-Z])", "_", type(value).__name__).lower(), **plain(value)}


def plain(value: object) -> Any:
    """Dataclasses as objects, sets sorted."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return sorted(value) if isinstance(value, frozenset) else value


def history(seed: int) -> tuple[dict[str, Any], set[tuple[str, ...]]]:
    """One trace, and the kinds of step in it."""
    world = World(seed)
    initial = record.to_json(world.state)
    steps, kinds = [], set()
    for _ in range(STEPS):
        step, shown = world.step()
        steps.append(step)
        kinds |= shown
    explicit = {"explicit_confirm": True} if world.rules.explicit_confirm else {}
    return {"comment": f"history {seed}", "flags": ["History"], **explicit, "initial": initial, "steps": steps}, kinds


def build() -> str:
    """The file, one history a line."""
    notes = {"History": "events, with effects, phase and digest of the canonical record after each"}
    lines = ",\n".join(json.dumps({"id": n, **history(seed)[0]}) for n, seed in enumerate((*SEEDS, *EXPLICIT), start=1))
    about = "Histories of the device machine: two languages, one behaviour"
    return f'{{\n"about": {json.dumps(about)},\n"notes": {json.dumps(notes)},\n"cases": [\n{lines}\n]\n}}\n'


def main(arguments: list[str]) -> int:
    """Write or compare; 1 where ``--check`` finds another file than the machine gives."""
    text = build()
    if "--check" not in arguments:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        print("device_traces.json is not current: run python tests/vectors/device_traces.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

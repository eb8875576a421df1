"""A report with constructed values, for tests of the page and its JSON only. No figure in it was measured."""

from __future__ import annotations

import random

from headway.fleet.report.model import (
    SCHEMA,
    BadRelease,
    BaseFacts,
    Decision,
    DeviceEvent,
    DeviceRow,
    Environment,
    FaultRow,
    FleetReport,
    Personalisation,
    Phase,
    ProofFacts,
    RecallStory,
    ReleaseFacts,
    Share,
    Traffic,
    WhyNot,
)

HOUR = 3600
CONFIRMED = "12 devices confirmed it; on to the next stage."
LABELS = ("film", "music", "travel")


def head(number: int) -> str:
    return "sha256:" + f"{number}7" * 32


def facts(number: int, origin: str, fate: str, correct: int) -> ReleaseFacts:
    share = Share(correct, 1871)
    return ReleaseFacts(
        release=number,
        head=head(number),
        parent=head(number - 1) if number in (2, 3) else head(2) if number == 4 else None,
        bytes=41_234,
        origin=origin,
        proof=ProofFacts(48, 812, 94, Share(48, 48), Share(46, 48)),
        test=share,
        by_class={label: Share(round(correct / 3), 623) for label in LABELS},
        fate=fate,
    )


def device(index: int, rng: random.Random) -> DeviceRow:
    start = 2 * HOUR + index * 1200
    user = "mislabelled" if index == 23 else "balanced" if index >= 16 else "skewed"
    events = [DeviceEvent(0, "launch", 1, 1), DeviceEvent(start, "installed", 2, 0)]
    events += [DeviceEvent(start + 900, "confirmed", 2, 2)]
    accepted = index % 3 != 0
    kind = "personalised" if accepted else "kept"
    generation = int(accepted)
    code = "accepted" if accepted else "no_gain"
    events.append(DeviceEvent(14 * HOUR + index * 240, kind, 2, 2, generation, code))
    if index < 5:
        events.append(DeviceEvent(20 * HOUR + index * 600, "installed", 3, 2, generation))
        events.append(DeviceEvent(20 * HOUR + 900 + index * 600, "rolled_back", 3, 2, generation, "app_veto"))
    late = index == 7
    recall_at = 44 * HOUR if late else 27 * HOUR + rng.randrange(2 * HOUR)
    if late:
        events.append(DeviceEvent(25 * HOUR, "offline", 0, 2, generation))
        events.append(DeviceEvent(44 * HOUR - 60, "online", 0, 2, generation))
    events.append(DeviceEvent(recall_at, "recalled", 2, 0, 0, "recalled"))
    events.append(DeviceEvent(recall_at + 1800, "installed", 4, 0))
    events.append(DeviceEvent(recall_at + 2700, "confirmed", 4, 4))
    before = Share(60 + rng.randrange(6), 70)
    fixed, broken = (3 + rng.randrange(3), rng.randrange(2)) if accepted else (0, 0)
    return DeviceRow(
        device=f"d{index + 1:02d}",
        user=user,
        mix={"film": 80, "music": 40, "travel": 20},
        network=("good", "slow", "refused", "truncated", "captive_portal")[index % 5] if not late else "offline",
        release=4,
        generation=0,
        runnable_heads=1,
        events=tuple(events),
        why=(WhyNot(5, ("held_by_rollout",)),) if index % 4 == 0 else (),
        trainings=(
            Personalisation(
                kind="personalised",
                release=2,
                generation=generation,
                accepted=accepted,
                code=code,
                samples=80,
                before=before,
                after=Share(before.correct + fixed - broken, 70),
                fixed=fixed,
                broken=broken,
                golden_before=Share(46, 48),
                golden_after=Share(46 - (index % 4 == 1), 48),
                general_before=Share(240, 280),
                general_after=Share(241, 280),
                by_label={"film": 60, "music": 15, "travel": 5},
            ),
        ),
        polls=60,
        requests=210,
        bytes_down=140_000,
        bytes_up=4_000,
        offline_from_s=25 * HOUR if late else None,
        offline_until_s=44 * HOUR if late else None,
    )


def decisions() -> tuple[Decision, ...]:
    staged = [(2, 1000), (5, 3000), (8, 6000), (11, 10_000)]
    first = [
        Decision(
            hour * HOUR, 2, "start" if hour == 2 else "advance", share, "12 devices confirmed it; on to the next stage."
        )
        for hour, share in staged
    ]
    return (
        *first,
        Decision(19 * HOUR, 3, "start", 2500, "Offered by an operator."),
        Decision(22 * HOUR, 3, "halt", 2500, "5 of 5 devices rolled back: too many to be chance."),
        Decision(26 * HOUR, 2, "recall", 10_000, "licence of one training source withdrawn"),
        Decision(26 * HOUR, 4, "start", 10_000, "Offered by an operator."),
    )


def sample(devices: int = 24) -> FleetReport:
    rng = random.Random(7)
    return FleetReport(
        schema=SCHEMA,
        headway="0.1.0",
        scenario="demo",
        seed=7,
        app="demo",
        channel="stable",
        head_name="topic",
        labels=LABELS,
        base=BaseFacts("kdconv-mobilebert", "1", "sha256:" + "ab" * 32, 5_812_345, 256, 64),
        releases=(
            facts(1, "bundled", "live", 1740),
            facts(2, "fitted_here", "recalled", 1752),
            facts(3, "mislabelled_import", "halted", 900),
            facts(4, "trainer", "live", 1760),
        ),
        phases=tuple(
            Phase(code, at * HOUR, 12.5)
            for code, at in (
                ("registry", 0),
                ("publish", 0),
                ("rollout", 2),
                ("personalise", 14),
                ("bad_release", 19),
                ("recall", 26),
            )
        ),
        decisions=decisions(),
        devices=tuple(device(index, rng) for index in range(devices)),
        bad=BadRelease(
            release=3,
            defect="mislabelled_import",
            passed=("validated", "proven", "signed", "golden", "latency"),
            tried=5,
            rolled_back=5,
            confirmed=0,
            spared=devices - 5,
            caught_by={"app_veto": 5},
            halted_at_s=22 * HOUR,
            halt_reason="5 of 5 devices rolled back: too many to be chance.",
        ),
        recalls=(
            RecallStory(
                2,
                "licence of one training source withdrawn",
                26 * HOUR,
                devices,
                devices,
                5400,
                18 * HOUR,
                "d08",
                18 * HOUR,
                4,
                personal_back=0,
            ),
        ),
        faults=(
            FaultRow("refused", 31, 5, 5),
            FaultRow("truncated", 17, 5, 5),
            FaultRow("captive_portal", 9, 4, 4),
            FaultRow("crash", 2, 2, 2),
        ),
        traffic=Traffic(5210, 3822, 3_412_000, 98_000, 131, 131),
        environment=Environment("3.11.2", "x86_64 Linux", 2, {"onnxruntime": "1.31.1"}),
        text_counts={"train": 3000, "test (users)": 3898},
        texts_encoded=6946,
        encode_ms_per_text=2.31,
        simulated_s=48 * HOUR,
        wall_s=96.0,
    )

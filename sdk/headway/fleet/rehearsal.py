"""A whole rehearsal: registry, releases, fleet, timeline, report.

What a run leaves in its folder: ``registry/`` (the server's data, with its admin token), ``keys/`` (the app's signing
keys), ``releases/`` (heads fitted in the run), ``app/`` (the bundle every simulated app was built with),
``report.json`` and ``report.html``. All of it can be used afterwards.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

import headway
from headway.contract.digests import Digest, digest_of
from headway.contract.errors import RefusedError
from headway.coreml.golden import read_head_golden
from headway.device.bundle import AppBundle, AppConfig, package_digest, write_bundle
from headway.device.models import Runtime
from headway.fleet import findings
from headway.fleet.conditions import Weather, conditions_named
from headway.fleet.corpus import Fixtures, Utterance, read_utterances
from headway.fleet.encoder import Encoder
from headway.fleet.narrator import Narrator
from headway.fleet.network import Line
from headway.fleet.phone import Installation, Phone
from headway.fleet.publishing import (
    BASE_VERSION,
    Established,
    HeadFolder,
    establish,
    publish_the_base,
    publish_the_head,
)
from headway.fleet.registry import RegistryProcess
from headway.fleet.report.codec import to_json
from headway.fleet.report.model import SCHEMA, BaseFacts, FleetReport, Phase, ProofFacts, ReleaseFacts, Share
from headway.fleet.report.page import render
from headway.fleet.scenario import Personalise, Recall, Rollout, Scenario, Step
from headway.fleet.timeline import Timeline
from headway.fleet.trainings import Texts, Yardstick
from headway.fleet.users import User, deal
from headway.fleet.workshop import evaluate, fit_release
from headway.fleet.world import DayAndNight, SimulatedClock
from headway.publisher.registry import Registry

BASE_ID = "kdconv-mobilebert"
_COMMON_TEXTS = 120


@dataclass(slots=True)
class Rehearsal:
    """One run of a scenario in the folder ``out``. Call :meth:`run` once."""

    scenario: Scenario
    out: Path
    fixtures: Fixtures
    narrator: Narrator
    cache: Path | None = None
    phases: list[Phase] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(float(int(time.time()))))

    def run(self) -> FleetReport:
        """Run it, write ``report.json`` and ``report.html``, and give the report."""
        if (self.out / "registry").exists():
            raise RefusedError(
                "folder_in_use",
                f"{self.out} already holds a rehearsal.",
                hint="Choose another folder with --out, or remove it.",
                kind="conflict",
            )
        self.out.mkdir(parents=True, exist_ok=True)
        scenario = self.scenario.checked()
        with ExitStack() as stack:
            with self._phase("registry", "start a registry and make keys"):
                server = stack.enter_context(RegistryProcess(self.out / "registry"))
                registry = stack.enter_context(Registry(server.url, server.token, app=scenario.app, timeout_s=300.0))
                app = establish(registry, BASE_ID, self.out / "keys")
            report = self._run(app)
        (self.out / "report.json").write_text(to_json(report), encoding="utf-8")
        (self.out / "report.html").write_text(render(report), encoding="utf-8")
        return report

    @contextmanager
    def _phase(self, code: str, title: str) -> Iterator[None]:
        at_s, started = int(self._clock.elapsed), time.monotonic()
        self.narrator.phase(code, title)
        yield
        self.phases.append(Phase(code, at_s, round(time.monotonic() - started, 2)))

    def _run(self, app: Established) -> FleetReport:
        split = read_utterances(self.fixtures.split("test"))
        users = deal(split, self.scenario.users, self.scenario.seed)
        common = _common(split, users, self.scenario.seed)
        # Releases are measured on exactly the texts of this run: the people's, and some that are nobody's.
        owned = frozenset[str]().union(*(user.dialogues for user in users))
        test = [*(utterance for utterance in split if utterance.dialogue in owned), *common]
        with self._phase("publish", "encode text, fit heads, prove, sign, publish"):
            encoder = Encoder(self.fixtures.base, self.cache, self.narrator)
            folders = self._releases(encoder)
            self._publish(app, folders)
            encoder.of([utterance.text for utterance in test], "encode the people's text")
            encoder.save()
        timeline = self._timeline(app, encoder, users, common, folders)
        for number, step in enumerate(self.scenario.steps, start=1):
            with self._phase(*_chapter(step, self.scenario)):
                timeline.perform(number, step)
        return self._report(timeline, encoder, test, folders)

    # Releases -------------------------------------------------------------------------------------------------

    def _releases(self, encoder: Encoder) -> dict[int, Path]:
        train = read_utterances(self.fixtures.split("train"))
        folders = {}
        for plan in self.scenario.releases:
            if plan.fixture is not None:
                folders[plan.release] = self.fixtures.head(plan.fixture)
            elif plan.fit is not None:
                folder = self.out / "releases" / f"{self.scenario.head_name}-{plan.release}"
                folders[plan.release] = fit_release(folder, train, self.scenario.labels, plan.fit, encoder)
                self.narrator.note(f"{self.scenario.head_name}@{plan.release}: fitted on {plan.fit.rows} texts")
        return folders

    def _publish(self, app: Established, folders: Mapping[int, Path]) -> None:
        publish_the_base(app, self.fixtures.base)
        self.narrator.note(f"{BASE_ID} {BASE_VERSION}: proven, signed, published")
        heads = _digests(folders)
        for plan in self.scenario.releases:
            parent = heads[plan.parent] if plan.parent is not None else None
            head = HeadFolder(folders[plan.release], plan.release, parent, plan.rebase)
            publish_the_head(app, self.scenario.head_name, head, [self.fixtures.base])
            self.narrator.note(f"{self.scenario.head_name}@{plan.release}: proven, signed, published")
        app.registry.set_poll_interval(self.scenario.channel, BASE_ID, self.scenario.poll_after_s)

    # The fleet ------------------------------------------------------------------------------------------------

    def _timeline(
        self,
        app: Established,
        encoder: Encoder,
        users: Sequence[User],
        common: Sequence[Utterance],
        folders: Mapping[int, Path],
    ) -> Timeline:
        power, runtime = DayAndNight(), Runtime(encoder.contract, lambda: encoder)
        shared = Installation(
            bundle=self._bundle(app, folders),
            runtime=runtime,
            clock=self._clock,
            power=power,
            head_name=self.scenario.head_name,
            poll_after_s=self.scenario.poll_after_s,
            policy=self.scenario.policy,
        )
        return Timeline(
            scenario=self.scenario,
            registry=app.registry,
            base_id=BASE_ID,
            heads=_digests(folders),
            phones=self._phones(shared, users),
            clock=self._clock,
            power=power,
            yardstick=Yardstick(
                golden={n: _golden(folder, runtime) for n, folder in folders.items()},
                general=[(utterance.text, utterance.label) for utterance in common],
            ),
            narrator=self.narrator,
        )

    def _bundle(self, app: Established, folders: Mapping[int, Path]) -> AppBundle:
        scenario = self.scenario
        heads = {scenario.head_name: scenario.embedded}
        config = AppConfig.for_registry(app.registry.url, scenario.app, scenario.channel, BASE_ID, 1, heads)
        embedded = {scenario.head_name: folders[scenario.embedded]}
        return write_bundle(self.out / "app", config, app.root, self.fixtures.base, embedded)

    def _phones(self, shared: Installation, users: Sequence[User]) -> list[Phone]:
        wire = httpx2.HTTPTransport()
        phones = []
        for index, user in enumerate(users):
            name, network = f"d{index + 1:02d}", self.scenario.networks[index % len(self.scenario.networks)]
            seed = f"{self.scenario.seed}:{name}"
            line = Line(wire, Weather(conditions_named(network), seed))
            groups = frozenset({"pilot"} if index < self.scenario.pilots else ())
            phones.append(Phone(name, user, line, shared, seed, groups))
        return phones

    # The report -----------------------------------------------------------------------------------------------

    def _report(
        self, timeline: Timeline, encoder: Encoder, test: Sequence[Utterance], folders: Mapping[int, Path]
    ) -> FleetReport:
        scenario, phones = self.scenario, timeline.phones
        rows = tuple(
            findings.device_row(phone, timeline.trainings.get(phone.name, ()), phone.is_sound()) for phone in phones
        )
        facts = self._facts(timeline, encoder, test, folders)
        defects = {plan.release: plan.origin for plan in scenario.releases}
        accepted = sum(int(row["count"]) for row in timeline.registry.outcomes())
        base = self.fixtures.base / "base.mlpackage"
        return FleetReport(
            schema=SCHEMA,
            headway=headway.__version__,
            scenario=scenario.name,
            seed=scenario.seed,
            app=scenario.app,
            channel=scenario.channel,
            head_name=scenario.head_name,
            labels=scenario.labels,
            base=BaseFacts(
                base_id=BASE_ID,
                version=BASE_VERSION,
                digest=package_digest(base),
                bytes=sum(path.stat().st_size for path in base.rglob("*") if path.is_file()),
                dimension=encoder.contract.dimension,
                max_sequence_length=encoder.contract.max_sequence_length,
            ),
            releases=facts,
            phases=tuple(self.phases),
            decisions=tuple(timeline.decisions),
            devices=rows,
            bad=findings.bad_release(facts, rows, timeline.decisions, defects),
            recalls=tuple(findings.told(story, rows) for story in timeline.recalls),
            faults=findings.fault_rows(phones, rows, scenario.users.mislabelled),
            traffic=findings.traffic(phones, accepted),
            environment=findings.environment(),
            text_counts={
                "train": max((plan.fit.rows for plan in scenario.releases if plan.fit is not None), default=0),
                "test": len(test),
            },
            texts_encoded=encoder.encoded,
            encode_ms_per_text=1000 * encoder.seconds / encoder.encoded if encoder.encoded else 0.0,
            simulated_s=timeline.at_s,
            wall_s=round(time.monotonic() - self._started, 1),
        )

    def _facts(
        self, timeline: Timeline, encoder: Encoder, test: Sequence[Utterance], folders: Mapping[int, Path]
    ) -> tuple[ReleaseFacts, ...]:
        records = {int(row["release"]): row for row in timeline.registry.heads(self.scenario.head_name)}
        proofs = {int(row["release"]): row["proof"] for row in timeline.registry.proofs()}
        ended = {d.release: d.action for d in timeline.decisions if d.action in ("halt", "recall")}
        halted = {d.release for d in timeline.decisions if d.action == "halt"}
        facts = []
        for plan in self.scenario.releases:
            number = plan.release
            share, by_class = evaluate(folders[number] / "head.mlmodel", test, self.scenario.labels, encoder)
            fate = "halted" if number in halted else "recalled" if number in ended else "live"
            record = records[number]
            facts.append(
                ReleaseFacts(
                    release=number,
                    head=str(record["head"]),
                    parent=record["parent"],
                    bytes=int(record["bytes"]),
                    origin=plan.origin,
                    proof=_proof(proofs[number]),
                    test=share,
                    by_class=by_class,
                    fate=fate,
                )
            )
        return tuple(facts)


def _chapter(step: Step, scenario: Scenario) -> tuple[str, str]:
    name = scenario.head_name
    match step:
        case Rollout(release):
            bad = scenario.plan(release).origin == "mislabelled_import"
            return ("bad_release" if bad else "rollout"), f"roll out {name}@{release} in stages"
        case Personalise():
            return "personalise", "night: devices train on their own text"
        case Recall(release):
            return "recall", f"recall {name}@{release}"
        case _:
            return "settle", "stragglers come back"


def _digests(folders: Mapping[int, Path]) -> dict[int, Digest]:
    return {number: digest_of((folder / "head.mlmodel").read_bytes()) for number, folder in folders.items()}


def _golden(folder: Path, runtime: Runtime) -> Texts:
    golden = read_head_golden(folder / "golden.safetensors")
    features = runtime.golden_features(golden)
    order = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return [(row, order[label]) for row, label in zip(features, golden.labels, strict=True)]


def _common(split: Sequence[Utterance], users: Sequence[User], seed: int) -> list[Utterance]:
    """Texts of dialogues that belong to no user."""
    taken = frozenset[str]().union(*(user.dialogues for user in users))
    free = [utterance for utterance in split if utterance.dialogue not in taken]
    random.Random(f"common:{seed}").shuffle(free)
    return free[:_COMMON_TEXTS]


def _proof(value: Mapping[str, Any]) -> ProofFacts:
    rows = int(value["rows"])
    return ProofFacts(
        rows=rows,
        feature_deviation_micro=int(value["feature_deviation_micro"]),
        probability_deviation_micro=int(value["probability_deviation_micro"]),
        agreement=Share(round(int(value["agreement_permyriad"]) * rows / 10_000), rows),
        accuracy=Share(round(int(value["accuracy_permyriad"]) * rows / 10_000), rows),
    )

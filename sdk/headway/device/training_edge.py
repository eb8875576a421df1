"""Performs the machine's training effects: gathers samples, trains, judges, rebases. Needs the extra ``sim``.

Every way to end is an event: nothing here raises into the app, and nothing becomes a generation by itself. The user's
texts and everything computed from them stay in the device's own folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.contract.errors import DeviceStoreError, HeadwayError, RefusedError
from headway.coreml.golden import read_head_golden
from headway.coreml.model import MLModel
from headway.device import effects as ef
from headway.device import events as ev
from headway.device.bundle import GOLDEN_FILE
from headway.device.driver import HeadDriver
from headway.device.judge import JudgePolicy, Measured, Verdict, judge_candidate
from headway.device.personalise import (
    LabelledRows,
    Material,
    PersonalisePolicy,
    Trained,
    delta_norm,
    halves,
    measure_rows,
    train,
)
from headway.device.rebase import CANDIDATES, Labelled, can_keep, merged
from headway.device.samples import Sample, SampleStore, side_of
from headway.device.state import Generation, HeldRelease


@dataclass(slots=True)
class TrainingEdge:
    """The training of all heads of a device. ``figures`` are local measurements of the last run, for the app."""

    samples: dict[str, SampleStore]
    personalise: PersonalisePolicy = field(default_factory=PersonalisePolicy)
    judging: JudgePolicy = field(default_factory=JudgePolicy)
    figures: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    _cancelled: bool = False

    def cancel(self) -> None:
        """Stop after the mini-batch that is under way."""
        self._cancelled = True

    def train(self, driver: HeadDriver, effect: ef.Train) -> ev.Event:
        """Train a candidate from the head that runs."""
        self._begin()
        release = driver.release_of(effect.start)
        try:
            head = driver.load(effect.start)
            material, _ = self._material(driver, release, head.labels)
            result = train(head.model, material, self.personalise, lambda: self._cancelled)
            candidate = self._write(driver, effect.number, release, effect.start.head, "personalised", material, result)
        except (HeadwayError, MemoryError) as error:
            return self._failed(error)
        self.figures |= {"alpha": result.alpha, "steps": result.steps, "samples": len(material.train)}
        return ev.Trained(candidate)

    def judge(self, driver: HeadDriver, effect: ef.JudgeCandidate) -> ev.Event:
        """Judge a candidate on samples that nothing before has seen."""
        candidate = effect.candidate
        release = driver.release_of(candidate)
        try:
            now, new = driver.load(driver.state.generation or release), driver.load(candidate)
            material, judged = self._material(driver, release, new.labels)
        except (HeadwayError, MemoryError) as error:
            return self._failed(error)
        verdict = self._compare(now.model, new.model, judged, material.guard)
        if verdict.accepted:
            return ev.GenerationAccepted(candidate.head, verdict.gain)
        return ev.GenerationRejected(candidate.head, verdict.gain)

    def rebase(self, driver: HeadDriver, effect: ef.Rebase) -> ev.Event:
        """Try the ways of the policy; the best by tuning loss is judged against the new release."""
        self._begin()
        release = effect.release
        try:
            head = driver.load(release)
            new = Labelled(head.model, head.labels)
            material, judged = self._material(driver, release, head.labels)
            ways = self._candidates(driver, effect, new, material)
            best = min(ways, key=lambda way: measure_rows(way[1].model, material.tune).loss, default=None)
            if best is None:
                return ev.Rebased(release.head, None, "discard", "none")
            verdict = self._compare(new.model, best[1].model, judged, material.guard)
            if not verdict.accepted:
                return ev.Rebased(release.head, None, "discard", "none")
            generation = self._write(driver, effect.number, release, effect.personal.head, best[0], material, best[1])
        except (HeadwayError, MemoryError) as error:
            return self._failed(error)
        return ev.Rebased(release.head, generation, best[0], verdict.gain)

    def _begin(self) -> None:
        self._cancelled, self.figures, self.reason = False, {}, ""

    def _failed(self, error: HeadwayError | MemoryError) -> ev.TrainingFailed:
        self.reason = error.code if isinstance(error, HeadwayError) else "out_of_memory"
        return ev.TrainingFailed(self.reason)

    def _candidates(
        self, driver: HeadDriver, effect: ef.Rebase, new: Labelled, material: Material
    ) -> list[tuple[str, Trained]]:
        ways: list[tuple[str, Trained]] = []
        wanted = CANDIDATES.get(effect.policy, ())
        personal, old = self._personal(driver, effect.personal)
        if "keep" in wanted and personal is not None and can_keep(personal, new):
            moved = delta_norm(new.model.weights, personal.model.weights)
            ways.append(("keep", Trained(personal.model, 0, moved, 1.0, -1)))
        if "merge" in wanted and personal is not None and old is not None:
            for alpha, model in merged(new, personal, old):
                ways.append(("merge", Trained(model, 0, delta_norm(new.model.weights, model.weights), alpha, -1)))
        if "replay" in wanted:
            try:
                ways.append(("replay", train(new.model, material, self.personalise, lambda: self._cancelled)))
            except RefusedError as error:
                self.reason = error.code
        return ways

    def _personal(self, driver: HeadDriver, personal: Generation) -> tuple[Labelled | None, Labelled | None]:
        """The old personal head and the release it grew on, as far as they are still there."""
        state = driver.state
        slots = (state.embedded, state.stable, state.previous)
        old = next((s for s in slots if s is not None and s.head == personal.on), None)
        if old is None:
            return None, None
        try:
            before, mine = driver.load(old), driver.load(personal)
        except HeadwayError:
            return None, None
        return Labelled(mine.model, mine.labels), Labelled(before.model, before.labels)

    def _compare(self, now: MLModel, new: MLModel, judged: LabelledRows, guard: LabelledRows) -> Verdict:
        before, after = measure_rows(now, judged), measure_rows(new, judged)
        golden_before, golden_after = measure_rows(now, guard), measure_rows(new, guard)
        verdict = judge_candidate(before, after, golden_before, golden_after, self.judging)
        self.reason = verdict.reason
        self.figures |= _figures("holdout", before, after) | _figures("golden", golden_before, golden_after)
        self.figures["bound"] = verdict.bound
        return verdict

    def _write(
        self,
        driver: HeadDriver,
        number: int,
        release: HeldRelease,
        derived_from: str,
        policy: str,
        material: Material,
        result: Trained,
    ) -> Generation:
        if not all(np.isfinite(w).all() for w in result.model.weights.values()):
            raise RefusedError("not_finite", "Training gave NaN or infinity.", hint="Nothing changed.")
        head = driver.store.write_generation(result.model.spec_bytes)
        return Generation(
            number=number,
            head=head,
            base=release.base,
            on=release.head,
            derived_from=type(head)(derived_from),
            policy=policy,
            samples=len(material.train),
            steps=result.steps,
            delta_micro=min(int(result.delta_norm * 1e6), 2**52),
        )

    def _material(
        self, driver: HeadDriver, release: HeldRelease, labels: tuple[str, ...]
    ) -> tuple[Material, LabelledRows]:
        """What to train on, and the samples kept for judging."""
        golden = read_head_golden(driver.release_file(release, GOLDEN_FILE) or b"")
        runtime = driver.world.runtime()
        rehearse, guard = halves(LabelledRows(runtime.golden_features(golden), golden.labels))
        store = self.samples[driver.name]
        samples = [s for s in store.all() if s.label in labels]
        rows = self._rows(driver, store, samples, labels)
        sides = np.array([side_of(s, store.limits) for s in samples])
        parts = {side: rows.rows(np.flatnonzero(sides == side)) for side in ("train", "tune", "judge")}
        return Material(parts["train"], parts["tune"], rehearse, guard), parts["judge"]

    def _rows(
        self, driver: HeadDriver, store: SampleStore, samples: list[Sample], labels: tuple[str, ...]
    ) -> LabelledRows:
        """Features of samples, from the cache of this base or computed and cached."""
        runtime, base = driver.world.runtime(), driver.state.host.base
        dimension = runtime.contract.dimension
        cached = store.features(base, dimension)
        missing = [s for s in samples if s.id not in cached]
        if missing:
            fresh = runtime.features([s.text for s in missing])
            cached |= {s.id: row.astype("<f4").tobytes() for s, row in zip(missing, fresh, strict=True)}
            try:
                store.keep_features(base, dimension, {s.id: cached[s.id] for s in samples})
            except DeviceStoreError as error:
                driver.problem = error
        block = b"".join(cached[s.id] for s in samples)
        features = np.frombuffer(block, "<f4").reshape(len(samples), dimension).astype(np.float32)
        return LabelledRows(features, np.array([labels.index(s.label) for s in samples], np.int32))


def _figures(name: str, before: Measured, after: Measured) -> dict[str, float]:
    return {
        f"{name}_rows": float(len(before.losses)),
        f"{name}_accuracy_before": before.accuracy,
        f"{name}_accuracy_after": after.accuracy,
        f"{name}_loss_before": before.loss,
        f"{name}_loss_after": after.loss,
    }

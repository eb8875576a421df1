"""The headline: one scenario, killed at every single change of the file system, in three ways.

Install → trial → confirm → personalise → new release → rebase → drop a generation → bad release → recall → report →
forget. Each step is one process. For every change n that a step makes, the step runs from the same start and dies at
n; the phone starts again; nothing may be lost and exactly one verified head must run; then the step runs again and
must end where it ends without a crash.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from headway.contract.digests import hex_of
from headway.device.client import Device
from headway.device.faulty import Crash, Fault, MemoryFileSystem
from headway.device.machine import files as named_files
from headway.device.state import DeviceState, Phase

from ..device.world import NAME, World, correct, head_files, use  # noqa: TID252 - tests are not an installed package

WAYS = (Fault(0, "before", "synced"), Fault(0, "middle", "torn"), Fault(0, "after", "written"))


def state_of(device: Device) -> DeviceState:
    return device._drivers[NAME].state


@dataclass(frozen=True)
class Step:
    """What the world does first, what the process does then, and what must be true at the end."""

    name: str
    act: Callable[[Device], object]
    holds: Callable[[DeviceState], bool]
    prepare: Callable[[World], object] = lambda world: None
    may_lose: frozenset[str] = frozenset()


def poll(device: Device) -> None:
    device.poll(force=True)


def poll_and_use(device: Device) -> None:
    device.poll(force=True)
    use(device, 5)


def collect(world: World) -> None:
    device = world.device()
    correct(device, 120)
    device.close()


def spoil(world: World) -> None:
    world.registry.release(3, head_files(9, spoiled="blind_to_a_class"))
    world.registry.offer(3)


STEPS = (
    Step("install", lambda d: use(d, 1), lambda s: s.running == s.embedded),
    Step("correct", lambda d: [d.add_correction(f"a good road {i}", "film") for i in range(3)], lambda s: True),
    Step("stage", poll, lambda s: s.staged is not None or s.stable is not None, lambda w: w.publish(1, 100)),
    Step("try and confirm", lambda d: use(d, 4), lambda s: s.stable is not None and s.stable.release == 1),
    Step("personalise", lambda d: d.personalise(), lambda s: s.generation is not None, collect),
    Step(
        "next release",
        poll_and_use,
        lambda s: s.stable is not None and s.stable.release == 2 and s.personal is not None,
        lambda w: w.publish(2, 101, rebase="merge"),
    ),
    Step("rebase", lambda d: d.rebase(), lambda s: s.rebase_due is None),
    Step("personalise again", lambda d: d.personalise(), lambda s: s.activity is Phase.IDLE),
    Step("drop a generation", lambda d: d.drop_generation(), lambda s: True, may_lose=frozenset({"personal"})),
    Step("bad release", poll_and_use, lambda s: s.trial is None and s.current.release == 2, spoil),
    Step(
        "recall",
        poll,
        lambda s: s.current.release == 1,
        lambda w: w.registry.recall(2),
        may_lose=frozenset({"stable", "personal"}),
    ),
    Step("report", lambda d: d.flush_outcomes(), lambda s: not s.outcomes, may_lose=frozenset({"outcomes"})),
    Step(
        "forget",
        lambda d: d.forget_me(),
        lambda s: not s.personal_heads(),
        may_lose=frozenset({"samples", "personal"}),
    ),
)


@dataclass
class Moment:
    """The world as it is when a step begins."""

    files: MemoryFileSystem
    served: dict[str, bytes]
    known: DeviceState
    corrections: int
    changes: int = 0


@dataclass
class Story:
    """The scenario without crashes, remembered at the start of each step."""

    world: World = field(default_factory=World)
    moments: dict[str, Moment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step in STEPS:
            step.prepare(self.world)
            files = self.world.files
            assert isinstance(files, MemoryFileSystem)
            device = self.world.device()
            known, corrections = state_of(device).durable, device.status().corrections
            device.close()
            moment = Moment(copy.deepcopy(files), dict(self.world.registry.files), known, corrections)
            before = files.changes
            self.run(step)
            moment.changes = files.changes - before
            self.moments[step.name] = moment

    def run(self, step: Step) -> None:
        device = self.world.device()
        step.act(device)
        state = state_of(device)
        assert step.holds(state), f"{step.name}: {state.phase.name}"
        device.close()

    def back_to(self, step: Step) -> MemoryFileSystem:
        moment = self.moments[step.name]
        files = copy.deepcopy(moment.files)
        files.changes, files.log = 0, []
        self.world.files = files
        self.world.registry.files = dict(moment.served)
        return files


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


@pytest.mark.parametrize("step", STEPS, ids=[s.name.replace(" ", "-") for s in STEPS])
def test_killed_at_every_change(story: Story, step: Step) -> None:
    for number in range(story.moments[step.name].changes):
        for way in WAYS:
            _killed_once(story, step, Fault(number, way.moment, way.survival))


def _killed_once(story: Story, step: Step, fault: Fault) -> None:
    moment, files = story.moments[step.name], story.back_to(step)
    files.fault = fault
    try:
        device = story.world.device()
        step.act(device)
        device.close()
    except Crash:
        pass
    where = f"{step.name}, {fault.moment} change {fault.at} ({files.log[fault.at]}), {fault.survival}"
    files.restart()
    device = story.world.device()
    try:
        _nothing_is_lost(step, device, moment.known, moment.corrections)
        _one_head_runs(device, files)
        device.close()
        story.run(step)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error


def _nothing_is_lost(step: Step, device: Device, known: DeviceState, samples: int) -> None:
    state = state_of(device)
    assert device._drivers[NAME].store.unreadable is None, "the record is readable"
    if "samples" not in step.may_lose:
        assert device.status().corrections >= samples, "no correction is lost"
    if "outcomes" not in step.may_lose:
        assert {o.event for o in known.outcomes} <= {o.event for o in state.outcomes}, "no outcome is lost"
    if "stable" not in step.may_lose and known.stable is not None:
        assert known.stable in (state.stable, state.previous), "no confirmed release is lost"
    if "personal" not in step.may_lose and known.personal is not None:
        assert known.personal in state.personal_heads(), "no generation is lost"


def _one_head_runs(device: Device, files: MemoryFileSystem) -> None:
    driver = device._drivers[NAME]
    state = driver.state
    assert state.at_rest, "a launch leaves nothing under way"
    assert state.running == state.embedded or state.running.head not in state.recalled
    loaded = driver.load(state.running)
    assert loaded.digest == state.running.head, "what runs is exactly what was verified"
    on_disk = {name.removesuffix("/") for name in files.names(f"heads/{NAME}/releases")}
    on_disk |= {name.removesuffix(".mlmodel") for name in files.names(f"heads/{NAME}/personal")}
    assert on_disk <= {hex_of(digest) for digest in named_files(state)}, "no strays after a launch"

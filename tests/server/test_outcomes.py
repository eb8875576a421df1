"""Outcomes: taken in groups, counted once each, and forgotten one by one while every decision stays the same."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from headway.contract.digests import digest_of
from headway.contract.errors import HeadwayError, RefusedError, TransferError
from headway.contract.outcome import Outcome
from headway_server.app import Server
from headway_server.db import tables as t
from headway_server.db.engine import SqlDatabase
from headway_server.db.migrate import migrate
from headway_server.db.rows import values_of
from headway_server.delivery.intake import Intake
from headway_server.delivery.outcomes import Tally
from headway_server.delivery.rollouts import counts_of
from headway_server.maintenance.prune import AT_ONCE, Pruned, prune
from headway_server.records import AppRecord, OutcomeRecord

from .backends import Backend
from .mortal import Tripwire, in_child, points_of
from .world import START, FakeClock, HeadDraft, PublisherWorld

DAY_S = 86_400


@pytest.fixture
def offered(published: PublisherWorld) -> HeadDraft:
    """``topic@1``, offered to everybody on ``stable``."""
    draft = published.draft_head(1)
    assert published.offer(1).status_code in (200, 201)
    return draft


def outcomes(world: PublisherWorld, draft: HeadDraft, kind: str, numbers: range) -> tuple[Outcome, ...]:
    return tuple(Outcome.from_json(world.event(draft, kind, n)) for n in numbers)


def counted(server: Server) -> dict[str, int]:
    with server.ports.database.read() as tx:
        (rollout,) = tx.rollouts.all("reader")
        return dict(tx.outcomes.counts("reader", rollout.id))


class Gate:
    """A database whose writers wait until told, so that a test decides what comes together."""

    def __init__(self, database: Any) -> None:
        self._database, self.writes, self.broken = database, 0, False
        self.arrived, self.open = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def write(self, app: str | None = None) -> Iterator[Any]:
        self.arrived.set()
        self.open.wait(30)
        self.writes += 1
        with self._database.write(app) as tx:
            yield tx
            if self.broken:
                raise TransferError("storage_failed", "The disk is full.", hint="Make room.")


def together(intake: Intake, gate: Gate, *batches: tuple[str, tuple[Outcome, ...]]) -> list[Tally | HeadwayError]:
    """Report from one thread each while another commit is held back; the answers in order."""
    answers: dict[int, Tally | HeadwayError] = {}

    def report(index: int, batch: tuple[str, tuple[Outcome, ...]]) -> None:
        try:
            answers[index] = intake.report(*batch)
        except HeadwayError as error:
            answers[index] = error

    threads = [threading.Thread(target=report, args=(-1, ("reader", ())))]
    threads[0].start()
    assert gate.arrived.wait(30)
    for index, batch in enumerate(batches):
        threads.append(threading.Thread(target=report, args=(index, batch)))
        threads[-1].start()
        while intake.waiting <= index:
            time.sleep(0.001)
    gate.open.set()
    for thread in threads:
        thread.join(30)
    return [answers[index] for index in range(len(batches))]


@pytest.fixture
def gated(server: Server) -> tuple[Intake, Gate]:
    gate = Gate(server.ports.database)
    return Intake(replace(server.ports, database=gate)), gate


def test_reports_that_come_together_are_committed_together(
    server: Server, published: PublisherWorld, offered: HeadDraft, gated: tuple[Intake, Gate]
) -> None:
    batches = [("reader", outcomes(published, offered, "confirmed", range(3 * n, 3 * n + 3))) for n in range(8)]
    again = [batches[0], batches[0]]
    answers = together(*gated, *batches, *again)
    tallies = [a for a in answers if isinstance(a, Tally)]
    assert len(tallies) == 10
    assert sum(a.accepted for a in tallies) == 24
    assert sum(a.duplicate for a in tallies) == 6
    assert gated[1].writes == 2  # the one that was held back, then all that came meanwhile
    assert counted(server) == {"confirmed": 24}


def test_a_wrong_batch_does_not_spoil_the_others(
    server: Server, published: PublisherWorld, offered: HeadDraft, gated: tuple[Intake, Gate]
) -> None:
    good = outcomes(published, offered, "confirmed", range(2))
    elsewhere = tuple(replace(event, event=f"{n + 90:032x}", release=7) for n, event in enumerate(good))
    nobody, mine, theirs = together(*gated, ("nobody", good), ("reader", good), ("reader", elsewhere))
    assert isinstance(nobody, RefusedError)
    assert nobody.code == "unknown_app"
    assert (mine, theirs) == (Tally(2, 0, 0), Tally(0, 0, 2))
    assert counted(server) == {"confirmed": 2}


def test_nothing_is_answered_before_it_is_committed(
    server: Server, published: PublisherWorld, offered: HeadDraft, gated: tuple[Intake, Gate]
) -> None:
    intake, gate = gated
    gate.broken = True
    batches = [("reader", outcomes(published, offered, "confirmed", range(n, n + 1))) for n in range(4)]
    answers = together(intake, gate, *batches)
    assert all(isinstance(answer, TransferError) for answer in answers)
    assert counted(server) == {}
    gate.broken = False
    assert [intake.report(*batch) for batch in batches] == [Tally(1, 0, 0)] * 4
    assert counted(server) == {"confirmed": 4}


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_killed_at_any_point_what_was_acknowledged_is_there(
    server: Server, published: PublisherWorld, offered: HeadDraft, tmp_path: Path
) -> None:
    """Killed around each statement and commit, also between the insert and the answer: all of a report or nothing."""
    acknowledged = tmp_path / "acknowledged"

    def events(at: int) -> tuple[Outcome, ...]:
        return outcomes(published, offered, "confirmed", range(at * 10, at * 10 + 3))

    def live(at: int) -> int | None:
        def report(wire: Tripwire) -> None:
            database = SqlDatabase(server.ports.settings.resolved_database_url)
            for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
                sa.event.listen(database.engine, name, wire)
            Intake(replace(server.ports, database=database)).report("reader", events(at))
            wire()
            acknowledged.write_text(str(at))
            wire()

        return in_child(report, at)

    intake, states = Intake(server.ports), []
    for at, where in points_of(live, least=8):
        acknowledged.unlink(missing_ok=True)
        live(at)
        again = intake.report("reader", events(at))
        assert again in (Tally(3, 0, 0), Tally(0, 3, 0)), where
        assert again.duplicate == 3 or not acknowledged.exists(), where
        states.append((again.duplicate == 3, acknowledged.exists()))
        with server.ports.database.read() as tx:
            assert tx.outcomes.older_than("reader", published.clock() + 1) == 3 * (at + 1), where
        assert counted(server) == {"confirmed": 3 * (at + 1)}, where
    assert set(states) == {(False, False), (True, False), (True, True)}


def test_a_broken_database_is_not_asked_for_each_report(gated: tuple[Intake, Gate]) -> None:
    intake, gate = gated
    gate.broken = True
    answers = together(intake, gate, *[("reader", ())] * 9)
    assert all(isinstance(answer, TransferError) for answer in answers)
    assert gate.writes == 1 + 1 + 3  # the one held back, the group, and some of it alone


def test_many_devices_at_once_lose_nothing(server: Server, published: PublisherWorld, offered: HeadDraft) -> None:
    """Ten threads report overlapping events to two workers: each is accepted once, and rows and counters agree."""
    intakes, accepted = [Intake(server.ports) for _ in range(2)], [0] * 10

    def device(index: int) -> None:
        for step in range(12):
            first = index * 20 + step * 3
            accepted[index] += (
                intakes[index % 2]
                .report("reader", outcomes(published, offered, "confirmed", range(first, first + 3)))
                .accepted
            )

    threads = [threading.Thread(target=device, args=(index,)) for index in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with server.ports.database.read() as tx:
        kept = tx.outcomes.older_than("reader", published.clock() + 1)
    assert kept == sum(accepted) == counted(server)["confirmed"] == 9 * 20 + 36


def test_pruning_changes_no_decision_and_no_report(
    server: Server, published: PublisherWorld, offered: HeadDraft, clock: FakeClock
) -> None:
    number = 0
    for hours in range(0, 24 * 130, 700):
        for kind in ("installed", "confirmed", "rolled_back"):
            clock.now = START + hours * 3600 + 1234
            assert published.report(published.event(offered, kind, number)).json()["accepted"] == 1
            number += 1
    clock.now = START + 130 * DAY_S + 777

    def seen() -> tuple[object, ...]:
        with server.ports.database.read() as tx:
            (rollout,) = tx.rollouts.all("reader")
            cuts = [counts_of(tx, rollout, clock.now - back) for back in (0, 3600, 5 * DAY_S, 20 * DAY_S, 30 * DAY_S)]
            return *cuts, tx.outcomes.totals("reader"), tx.outcomes.by_base("reader")

    before = seen()
    (planned,) = prune(server.ports, dry_run=True)
    assert planned == Pruned("reader", (clock.now - 90 * DAY_S) // 3600 * 3600, 6)
    assert seen() == before
    assert prune(server.ports) == (planned,)
    assert seen() == before
    assert prune(server.ports)[0].events == 0
    with server.ports.database.read() as tx:
        assert tx.outcomes.older_than("reader", clock.now) == number - 6
    # What is old and counted can be folded again and again, and new events go on being counted.
    published.report(published.event(offered, "confirmed", 900))
    assert counted(server)["confirmed"] == number // 3 + 1


def test_pruning_goes_in_steps(server: Server, published: PublisherWorld, offered: HeadDraft, clock: FakeClock) -> None:
    assert AT_ONCE > 1000
    published.report(*(published.event(offered, "confirmed", n) for n in range(25)))
    with server.ports.database.write() as tx:
        assert [tx.outcomes.prune("reader", clock.now + 1, 10) for _ in range(4)] == [10, 10, 5, 0]
    assert counted(server) == {"confirmed": 25}


def test_a_rollout_that_waits_longer_keeps_its_events_longer(
    server: Server, published: PublisherWorld, clock: FakeClock
) -> None:
    draft = published.draft_head(1)
    assert published.offer(1, policy={"silent_after_s": 80 * DAY_S}).status_code in (200, 201)
    published.report(published.event(draft, "installed", 1))
    ports = replace(server.ports, settings=server.ports.settings.model_copy(update={"outcomes_keep_days": 1}))
    clock.forward(70 * DAY_S)
    assert prune(ports)[0].events == 0
    clock.forward(11 * DAY_S)
    assert prune(ports)[0].events == 1


def test_the_counters_are_filled_when_an_older_database_is_migrated(backend: Backend) -> None:
    database = SqlDatabase(backend.settings.resolved_database_url)
    migrate(database.engine, "0002")
    base = digest_of(b"a base")
    rows = [
        OutcomeRecord("reader", f"{n:032x}", None, "personalised", "stable", base, "topic", 0, None, "1-5", 3600 * n)
        for n in (0, 1, 1000)
    ]
    with database.engine.begin() as connection:
        connection.execute(sa.insert(t.apps).values(values_of(AppRecord("reader", 0))))
        connection.execute(sa.insert(t.outcomes), [values_of(row) for row in rows])
    migrate(database.engine)
    with database.read() as tx:
        assert tx.outcomes.totals("reader") == (("stable", "topic", 0, "personalised", "1-5", 3),)
    with database.engine.connect() as connection:
        hours = sorted(connection.scalars(sa.select(t.outcome_counts.c.hour)))
    assert hours == [0, 1, 1000]
    database.close()

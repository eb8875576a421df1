"""The pytest plugin ``headway``: fixtures for tests of your own releases and apps.

``registry``: a `Bench`, that is one fresh app on a real server (one server a session, one app a test).
``device``: makes phones of that app: ``device("d01", network="refused")``.
``fleet``: runs a whole scenario and gives its report: ``fleet(scenario)``.
``fixtures`` (session): the bundled base, heads and text, or ``$HEADWAY_FIXTURES``; without them tests are skipped.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from headway.fleet.corpus import Fixtures
    from headway.fleet.encoder import Encoder
    from headway.fleet.phone import Phone
    from headway.fleet.registry import RegistryProcess
    from headway.fleet.report.model import FleetReport
    from headway.fleet.scenario import Scenario
    from headway.fleet.users import User
    from headway.testing.bench import Bench

_apps = itertools.count(1)


@pytest.fixture(scope="session")
def headway_fixtures() -> Fixtures:
    """The bundled base, heads and text; skips where they are not."""
    from headway.contract.errors import RefusedError
    from headway.fleet.corpus import find_fixtures

    try:
        return find_fixtures()
    except RefusedError as error:
        pytest.skip(error.diagnostics())


@pytest.fixture(scope="session")
def headway_people(headway_fixtures: Fixtures) -> tuple[User, ...]:
    """Eight people with real text: five one-sided, two balanced, one who corrects wrongly, in a fixed order."""
    from headway.fleet.corpus import read_utterances
    from headway.fleet.users import UserPlan, deal

    return deal(read_utterances(headway_fixtures.split("test")), UserPlan(5, 2, 1), seed=1)


@pytest.fixture(scope="session")
def headway_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryProcess]:
    """One real server on 127.0.0.1 for the session."""
    pytest.importorskip("gunicorn", reason="needs the extra 'server'")
    from headway.fleet.registry import RegistryProcess

    with RegistryProcess(tmp_path_factory.mktemp("headway-registry")) as process:
        yield process


@pytest.fixture(scope="session")
def headway_encoder(headway_fixtures: Fixtures) -> Encoder:
    """The base, run once for the session: a text is encoded at its first use."""
    from headway.fleet.encoder import Encoder

    return Encoder(headway_fixtures.base)


@pytest.fixture
def registry(
    headway_server: RegistryProcess, headway_fixtures: Fixtures, headway_encoder: Encoder, tmp_path: Path
) -> Iterator[Bench]:
    """A fresh app, with its keys, trust and base published."""
    from headway.publisher.registry import Registry
    from headway.testing.bench import Bench

    app = f"test-{next(_apps)}"
    with Registry(headway_server.url, headway_server.token, app=app, timeout_s=300.0) as client:
        yield Bench.create(client, headway_fixtures, headway_encoder, tmp_path, now=float(int(time.time())))


@pytest.fixture
def device(registry: Bench, headway_people: tuple[User, ...]) -> Callable[..., Phone]:
    """Makes phones of the app in ``registry``: ``device(name, user=None, network="good")``."""
    people = itertools.cycle(headway_people)

    def make(name: str = "d01", *, user: User | None = None, network: str = "good") -> Phone:
        return registry.phone(name, user or next(people), network=network)

    return make


@pytest.fixture
def fleet(headway_fixtures: Fixtures, tmp_path: Path) -> Callable[[Scenario], FleetReport]:
    """Runs a scenario with its own registry and gives the report; its folder is ``tmp_path / "fleet"``."""
    pytest.importorskip("gunicorn", reason="needs the extra 'server'")

    def run(scenario: Scenario) -> FleetReport:
        from headway.fleet.narrator import Silent
        from headway.fleet.rehearsal import Rehearsal

        return Rehearsal(scenario, tmp_path / "fleet", headway_fixtures, Silent()).run()

    return run

"""The OpenAPI document, fuzzed: no 5xx, every error a problem, and nothing of an app for another app's token."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from headway.contract.digests import digest_of
from headway.contract.problems import MEDIA_TYPE
from headway_server.app import Server
from headway_server.catalog import tokens
from headway_server.ports import Actor
from headway_server.records import SCOPES
from headway_server.settings import Settings

from .conftest import Prepared, connect, start
from .world import FakeClock, PublisherWorld

EXAMPLES = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
APPS = ("reader", "rival")
schemathesis = pytest.importorskip("schemathesis", reason="needs the extra dev")


@dataclass(frozen=True, slots=True)
class Owner:
    """An app: a token that may do everything with it, ids that only it should see, and texts that stand in it."""

    token: str
    ids: Mapping[str, str]
    markers: frozenset[str]

    @property
    def headers(self) -> dict[str, str]:
        """What its requests carry."""
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="module")
def fuzzed(prepared: dict[bool, Prepared], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server whose limits a fuzzer does not reach."""
    folder = tmp_path_factory.mktemp("fuzz") / "data"
    shutil.copytree(prepared[True].folder, folder)
    return start(Settings(data_dir=folder, outcomes_burst=100_000, api_burst=100_000), FakeClock())


@pytest.fixture(scope="module")
def owners(fuzzed: Server, prepared: dict[bool, Prepared]) -> dict[str, Owner]:
    """Two apps on the server, each with a base, a head, a rollout, marks and a webhook."""
    before, clock = prepared[True], FakeClock()
    client = connect(fuzzed)
    reader = PublisherWorld(client, before.admin, "reader", clock)
    reader.files, reader.packages = before.world.files, dict(before.world.packages)
    rival = PublisherWorld(client, before.admin, "rival", clock)
    assert rival.establish().status_code == 201
    rival.publish_base()
    rival.publish_head(1)
    return {world.app: furnish(fuzzed, world) for world in (reader, rival)}


def furnish(server: Server, world: PublisherWorld) -> Owner:
    """Put recognisable texts wherever an app keeps some."""

    def marker(place: str) -> str:
        return f"{world.app}zz{place}zz"

    def made(method: str, path: str, **body: Any) -> Any:
        answer = world.call(method, path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    rollout = made("PUT", "/channels/stable/kd/offers/topic", release=1, permyriad=10_000)["id"]
    thing = {"base_id": "kd", "name": "topic", "release": "1"}
    made("PUT", "/aliases", **thing, alias=marker("alias"), note=marker("note"))
    made("PUT", "/labels", **thing, key=marker("key"), value=marker("value"))
    url = f"https://example.net/{marker('hook')}"
    webhook = made("POST", "/webhooks", url=url, events=["recall.issued"])
    draft = world.draft_head(2, name=marker("head"))
    assert world.register_head(draft).status_code == 201
    head = world.draft_head(1)
    upload = digest_of(marker("upload").encode())
    made("POST", "/uploads", digest=upload, size=100)
    actor = Actor("test", "-")
    token, text = tokens.create(server.ports, actor, app=world.app, scopes=SCOPES, note=marker("token"))
    ids = {
        "rollout": rollout,
        "webhook": webhook["id"],
        "digest": draft.target.head,
        "token": token.id,
        "name": "topic",
        "channel": "stable",
        "base_id": "kd",
        "version": "1",
        "release": "1",
        "role": "heads-kd",
    }
    own = {
        rollout,
        token.id,
        upload,
        webhook["id"],
        head.target.head,
        draft.target.head,
        draft.files["head.mlmodel"].decode(),
    }
    return Owner(text, ids, frozenset({f"{world.app}zz", *own}))


def fuzz(
    operation: Any, headers: dict[str, str], aim: Callable[[Any], None], secret: frozenset[str] = frozenset()
) -> tuple[set[int], set[str]]:
    """Statuses of a few drawn requests of one operation, after ``aim`` chose what they are about.

    The second are those of ``secret`` that stood in an answer. Fails for a 5xx and for an error that is no problem
    document.
    """
    statuses: set[int] = set()
    leaked: set[str] = set()

    @EXAMPLES
    @given(case=operation.as_strategy())
    def one(case: Any) -> None:
        aim(case)
        answer = case.call(headers=headers)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == [MEDIA_TYPE], answer.headers
        # What was asked for by its id may be named in a refusal; it tells the caller nothing new.
        asked = {str(value) for value in (case.path_parameters or {}).values()}
        said = answer.content.decode("utf-8", "replace") + repr(dict(answer.headers))
        leaked.update(text for text in secret - asked if text in said)

    one()
    return statuses, leaked


def aimed(app: str, ids: Mapping[str, str]) -> Callable[[Any], None]:
    """Requests about ``app``, where half of their ids are real ones instead of drawn ones."""
    calls = 0

    def aim(case: Any) -> None:
        nonlocal calls
        calls += 1
        parameters = case.path_parameters or {}
        if calls % 2:
            parameters.update({name: ids[name] for name in parameters if name in ids})
        if "app" in parameters:
            parameters["app"] = app

    return aim


def operations_of(server: Server) -> list[Any]:
    """Every operation of the document that the server itself serves."""
    document = schemathesis.openapi.from_wsgi("/openapi/openapi.json", server.app)
    return [result.ok() for result in document.get_all_operations()]


def test_no_request_breaks_the_server(fuzzed: Server, prepared: dict[bool, Prepared]) -> None:
    """Requests of every operation with a token that may do everything."""
    headers = {"Authorization": f"Bearer {prepared[True].admin}"}
    aim = aimed("reader", {})
    seen = {operation.label: fuzz(operation, headers, aim)[0] for operation in operations_of(fuzzed)}
    assert len(seen) >= 30
    assert sum(1 for statuses in seen.values() if any(status < 300 for status in statuses)) >= 10


@pytest.mark.parametrize(("mine", "other"), [APPS, APPS[::-1]])
def test_nothing_of_an_app_reaches_the_token_of_another(
    fuzzed: Server, owners: dict[str, Owner], mine: str, other: str
) -> None:
    """Every operation, under one's own app and under the other's, with the other's ids: no answer holds its texts."""
    me, them = owners[mine], owners[other]
    for operation in operations_of(fuzzed):
        _, leaked = fuzz(operation, me.headers, aimed(mine, them.ids), them.markers)
        assert not leaked, (operation.label, leaked)
        statuses, leaked = fuzz(operation, me.headers, aimed(other, them.ids), them.markers)
        assert not leaked, (operation.label, leaked)
        assert "{app}" not in operation.label or min(statuses) >= 400, (operation.label, statuses)


def test_the_markers_are_there_to_be_found(fuzzed: Server, owners: dict[str, Owner]) -> None:
    """The search above is no empty one: answers to the app's own token do hold its texts."""
    owner, found = owners["reader"], set()
    for operation in operations_of(fuzzed):
        if operation.method.upper() == "GET":
            found |= fuzz(operation, owner.headers, aimed("reader", owner.ids), owner.markers)[1]
    assert len(found) >= 5, found

"""Aliases, labels and the search: history at any time, conflicts, and nothing that reaches a device."""

from __future__ import annotations

from typing import Any

import pytest

from headway_server.app import Server
from headway_server.catalog import tokens
from headway_server.ports import Actor

from .test_bad_input import refused
from .world import FakeClock, PublisherWorld

DAY_S = 86_400
STABLE = {"base_id": "kd", "name": "topic", "alias": "stable"}


@pytest.fixture
def three(published: PublisherWorld) -> PublisherWorld:
    """Releases 1 to 3 of ``topic``."""
    published.publish_head(2)
    published.publish_head(3)
    return published


def point(world: PublisherWorld, release: str | None, **changes: Any) -> dict[str, Any]:
    answer = world.call("PUT", "/aliases", json={**STABLE, "release": release, **changes})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def pointing(world: PublisherWorld, at: int | None = None) -> dict[str, str]:
    query = "" if at is None else f"?at={at}"
    return {mark["alias"]: mark["release"] for mark in world.call("GET", f"/aliases{query}").json()["aliases"]}


def found(world: PublisherWorld, query: str) -> list[str]:
    answer = world.call("GET", f"/search?{query}")
    assert answer.status_code == 200, answer.text
    return [f"{item['name'] or item['base_id']}@{item['release']}" for item in answer.json()["found"]]


def test_what_an_alias_pointed_to_at_any_time(three: PublisherWorld, clock: FakeClock) -> None:
    began = clock.now
    for release in ("1", "3", None, "2"):
        point(three, release, note=f"to {release}")
        clock.forward(DAY_S)
    assert pointing(three) == {"stable": "2"}
    then = [pointing(three, began + n * DAY_S).get("stable") for n in (0, 1, 2, 3)]
    assert then == ["1", "3", None, "2"]
    assert pointing(three, began - 1) == {}
    query = "?base_id=kd&name=topic&alias=stable"
    said = three.call("GET", f"/aliases/history{query}").json()["history"]
    assert [(mark["release"], mark["at"], mark["note"]) for mark in said] == [
        ("1", began, "to 1"), ("3", began + DAY_S, "to 3"), (None, began + 2 * DAY_S, "to None"),
        ("2", began + 3 * DAY_S, "to 2"),
    ]  # fmt: skip
    assert said[0]["actor"].startswith("token:")
    refused(three.call("GET", "/aliases/history?base_id=kd&name=topic&alias=never"), 404, "unknown_mark")


def test_two_people_move_one_alias(three: PublisherWorld) -> None:
    point(three, "1", expect=None)
    point(three, "2", expect="1")
    lost = refused(three.call("PUT", "/aliases", json={**STABLE, "release": "3", "expect": "1"}), 409, "mark_changed")
    assert lost["data"]["current"] == "2"
    refused(three.call("PUT", "/aliases", json={**STABLE, "release": "3", "expect": None}), 409, "mark_changed")
    # The same request again, after its answer was lost, is no conflict and no second change.
    assert point(three, "2", expect="1")["changed"] is False
    assert point(three, "3")["changed"] is True
    assert pointing(three) == {"stable": "3"}


def test_many_move_at_once_and_one_wins(three: PublisherWorld) -> None:
    from concurrent.futures import ThreadPoolExecutor

    point(three, "1")

    def move(release: str) -> int:
        body = {**STABLE, "release": release, "expect": "1"}
        return three.call("PUT", "/aliases", json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(move, ["2", "3"] * 3))
    winner = pointing(three)["stable"]
    assert done.count(200) == 3  # whoever asked for what the winner set has what he wanted
    assert winner in ("2", "3")
    assert len(three.call("GET", "/aliases/history?base_id=kd&name=topic&alias=stable").json()["history"]) == 2


def test_no_alias_to_nothing(three: PublisherWorld) -> None:
    wrong = [
        ({"release": "9"}, 404, "unknown_release"),
        ({"release": "1", "name": "other"}, 404, "unknown_release"),
        ({"release": "1", "alias": "17"}, 422, "malformed"),
        ({"release": "1.5"}, 422, "malformed"),
        ({"release": "1", "name": None}, 200, ""),
        ({"release": "7", "name": None}, 404, "unknown_release"),
    ]
    for change, status, code in wrong:
        answer = three.call("PUT", "/aliases", json={**STABLE, **change})
        assert answer.status_code == status, answer.text
        assert not code or answer.json()["code"] == code
    draft = three.draft_head(2, status="revoked")
    assert three.post_role("heads-kd", three.head_role(draft)).status_code == 200
    refused(three.call("PUT", "/aliases", json={**STABLE, "release": "2"}), 409, "revoked")


def test_an_alias_reaches_no_device(three: PublisherWorld) -> None:
    three.offer(1)
    before = three.client.get("/apps/reader/metadata/timestamp.json").content
    point(three, "3")
    assert three.client.get("/apps/reader/metadata/timestamp.json").content == before
    assert three.call("GET", "/channels/stable/kd").json()["offers"][0]["release"] == 1


@pytest.mark.parametrize(("scope", "may"), [("read", False), ("publish", True), ("release", True)])
def test_who_may_move(server: Server, three: PublisherWorld, scope: str, may: bool) -> None:
    token = tokens.create(server.ports, Actor("test", "-"), app="reader", scopes=[scope])[1]
    headers = {"Authorization": f"Bearer {token}"}
    for path, body in (
        ("aliases", {**STABLE, "release": "1"}),
        ("labels", {"base_id": "kd", "name": "topic", "release": "1", "key": "k", "value": "v"}),
    ):
        answer = three.client.put(f"/v1/apps/reader/{path}", headers=headers, json=body)
        assert (answer.status_code == 200) is may, answer.text


def test_labels_have_a_history_too(three: PublisherWorld, clock: FakeClock) -> None:
    mark = {"base_id": "kd", "name": "topic", "release": "2", "key": "quality"}
    began = clock.now
    for value in ("unknown", "好", None):
        assert three.call("PUT", "/labels", json={**mark, "value": value}).status_code == 200
        clock.forward(DAY_S)
    assert three.call("GET", "/labels").json() == {"labels": []}
    (then,) = three.call("GET", f"/labels?release=2&at={began + DAY_S}").json()["labels"]
    assert (then["key"], then["value"]) == ("quality", "好")
    query = "base_id=kd&name=topic&release=2&key=quality"
    said = three.call("GET", f"/labels/history?{query}").json()["history"]
    assert [change["value"] for change in said] == ["unknown", "好", None]
    refused(three.call("PUT", "/labels", json={**mark, "value": "a\nb"}), 422, "malformed")
    refused(three.call("PUT", "/labels", json={**mark, "release": "8", "value": "x"}), 404, "unknown_release")
    refused(three.call("PUT", "/labels", json={**mark, "value": "x", "expect": "y"}), 409, "mark_changed")


def test_search(server: Server, three: PublisherWorld, clock: FakeClock) -> None:
    began = clock.now
    clock.forward(DAY_S)
    three.publish_head(1, name="topic-two")
    three.publish_head(1, name="other")
    point(three, "2")
    for key, value in (("quality", "good"), ("owner", "team=a")):
        body = {"base_id": "kd", "name": "topic", "release": "3", "key": key, "value": value}
        assert three.call("PUT", "/labels", json=body).status_code == 200
    three.offer(1)
    three.call("DELETE", "/channels/stable/kd/offers/topic/1")
    head = {h["release"]: h["head"] for h in three.call("GET", "/heads/topic").json()["heads"]}
    three.call("POST", "/channels/stable/kd/recalls", json={"digest": head[3], "reason": "wrong"})
    package, publisher = three.packages["kd"], three.headers["Authorization"].split("_")[2]
    assert found(three, "kind=base") == ["kd@1"]
    assert found(three, "name=topic-") == ["topic-two@1"]
    assert found(three, "name=topic") == ["topic-two@1", "topic@1", "topic@2", "topic@3"]
    assert found(three, "name=kd") == ["kd@1"]
    assert found(three, "alias=stable") == ["topic@2"]
    assert found(three, "label=quality") == found(three, "label=quality%3Dgood") == ["topic@3"]
    assert found(three, "label=owner%3Dteam%3Da") == ["topic@3"]
    assert found(three, "label=quality%3Dbad") == []
    assert found(three, f"digest={head[2][:20]}") == ["topic@2"]
    assert found(three, f"base={package[:20]}&kind=head&name=other") == ["other@1"]
    assert len(found(three, "base=kd")) == 6
    assert found(three, "base=else") == []
    assert found(three, "state=recalled") == ["topic@3"]
    assert found(three, "state=yanked") == ["topic@1"]
    assert len(found(three, "state=live")) == 6
    assert found(three, "state=revoked") == []
    assert len(found(three, f"publisher={publisher}")) == len(found(three, f"publisher=token:{publisher}")) == 6
    assert found(three, "publisher=token:else") == []
    assert found(three, f"since={began + 1}") == ["other@1", "topic-two@1"]
    assert len(found(three, f"until={began}")) == 4
    (item,) = three.call("GET", "/search?label=quality").json()["found"]
    assert (item["labels"], item["aliases"]) == ({"quality": "good", "owner": "team=a"}, [])
    # A mark that was taken away is not found any more.
    point(three, None)
    assert found(three, "alias=stable") == []


def test_search_page_by_page(three: PublisherWorld, clock: FakeClock) -> None:
    for number in range(5):
        three.publish_head(1, name=f"more-{number}")
        clock.forward(number % 2)
    everything = found(three, "limit=200")
    assert len(everything) == 9
    paged: list[str] = []
    query = "limit=2"
    while True:
        answer = three.call("GET", f"/search?{query}").json()
        paged += [f"{item['name'] or item['base_id']}@{item['release']}" for item in answer["found"]]
        if answer["next"] is None:
            break
        query = f"limit=2&after={answer['next']}"
    assert paged == everything
    for cursor in ("x", "W10=", "WzEsMiwzLDRd", "!" * 400):
        refused(three.call("GET", f"/search?after={cursor}"), 422, "malformed")


def test_every_app_has_its_own(three: PublisherWorld, clock: FakeClock) -> None:
    point(three, "1")
    token = three.headers["Authorization"].split()[1]
    other = PublisherWorld(three.client, token, "other", clock)
    other.establish()
    assert pointing(other) == {}
    assert found(other, "limit=200") == []
    refused(other.call("PUT", "/aliases", json={**STABLE, "release": "1"}), 404, "unknown_release")

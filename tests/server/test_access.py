"""Who may do what: tokens, scopes, and no way from one app into another (tested over every route there is)."""

from __future__ import annotations

import logging
import re

import httpx2
import pytest

from headway_server.app import Server
from headway_server.catalog import tokens
from headway_server.ports import Actor

from .world import FakeClock, PublisherWorld

OPEN = {"/v1/outcomes", "/healthz", "/readyz", "/metrics"}


def make(server: Server, *scopes: str, app: str | None = None, expires_s: int | None = None) -> str:
    actor = Actor("test", "-")
    return tokens.create(server.ports, actor, app=app, scopes=scopes, expires_after_s=expires_s)[1]


def get(client: httpx2.Client, token: str, path: str = "/v1/apps/reader/heads") -> int:
    return client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def operations(server: Server) -> list[tuple[str, str]]:
    """Every documented operation as (method, path)."""
    with server.app.app_context():
        paths = server.app.api_doc["paths"]
    return [(m.upper(), path) for path, item in paths.items() for m in item if m in ("get", "put", "post", "delete")]


def test_every_operation_needs_a_token(server: Server, client: httpx2.Client) -> None:
    checked = 0
    for method, path in operations(server):
        if path in OPEN:
            continue
        address = re.sub(r"\{(\w+)\}", "1", path)
        answer = client.request(method, address, json={})
        assert answer.status_code == 401, (method, path, answer.status_code)
        assert answer.json()["code"] == "not_authenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        checked += 1
    assert checked >= 30


def test_no_way_into_another_app(server: Server, published: PublisherWorld, clock: FakeClock) -> None:
    """With all scopes for one app, nothing of another can be read, changed, or even told from nothing."""
    thief = PublisherWorld(published.client, published.headers["Authorization"].split()[1], "thief", clock)
    thief.establish()
    rollout = published.offer(1).json()["id"]
    stolen = make(server, "admin", "publish", "release", "read", app="thief")
    head = published.call("GET", "/heads/topic").json()["heads"][0]
    parameters = {
        "app": "reader",
        "role": "heads-kd",
        "digest": head["head"],
        "name": "topic",
        "channel": "stable",
        "base_id": "kd",
        "release": "1",
        "rollout": rollout,
        "token": stolen.split("_")[2],
        "number": "1",
        "version": "1",
        "webhook": "0" * 16,
        "message": "msg_" + "0" * 24,
    }
    bodies: dict[str, object] = {
        "/v1/apps/{app}/trust": {"root": "", "targets": "", "delegated": {}},
        "/v1/apps/{app}/bases": {"base_id": "kd", "version": "1", "manifest": ""},
        "/v1/apps/{app}/heads": {
            "base_id": "kd", "name": "topic", "release": 2, "manifest": "", "custom": {}, "proof": {},
        },
        "/v1/apps/{app}/tokens": {"scopes": ["admin"]},
        "/v1/apps/{app}/uploads": {"digest": head["head"], "size": 6},
        "/v1/apps/{app}/webhooks": {"url": "https://example.net", "events": ["recall.issued"]},
        "/v1/apps/{app}/channels/{channel}/{base_id}": {"poll_after_s": 60},
        "/v1/apps/{app}/channels/{channel}/{base_id}/preview/{name}": {"profiles": [{}]},
        "/v1/apps/{app}/channels/{channel}/{base_id}/offers/{name}": {"release": 1, "permyriad": 1},
        "/v1/apps/{app}/channels/{channel}/{base_id}/recalls": {"digest": head["head"], "reason": "theft"},
        "/v1/apps/{app}/channels/{channel}/{base_id}/personalise/{name}": {"directive": "discard"},
    }  # fmt: skip
    mark = {"base_id": "kd", "name": "topic"}
    bodies["/v1/apps/{app}/aliases"] = {**mark, "alias": "stable", "release": "1"}
    bodies["/v1/apps/{app}/labels"] = {**mark, "release": "1", "key": "k", "value": "v"}
    bodies["/v1/apps/{app}/proofs/runs"] = {**mark, "release": 1, "base": head["head"]}
    queries = {
        "/v1/apps/{app}/impact": f"?base={head['head']}",
        "/v1/apps/{app}/aliases/history": "?base_id=kd&alias=stable",
        "/v1/apps/{app}/labels/history": "?base_id=kd&release=1&key=k",
    }
    before = published.client.get("/apps/reader/metadata/timestamp.json").content
    for method, path in operations(server):
        if "{app}" not in path:
            continue
        for app in ("reader", "nobody"):
            address = path.format(**{**parameters, "app": app}) + queries.get(path, "")
            answer = published.client.request(
                method, address, headers={"Authorization": f"Bearer {stolen}"}, json=bodies.get(path, {})
            )
            assert answer.status_code == 403, (method, address, answer.status_code, answer.text)
            assert answer.json()["code"] == "not_allowed"
    assert published.client.get("/apps/reader/metadata/timestamp.json").content == before
    # Under its own app, another app's rollout and artifacts are not there at all.
    own = {"Authorization": f"Bearer {stolen}"}
    for path in (f"/rollouts/{rollout}", f"/rollouts/{rollout}/decisions", f"/artifacts/{head['head']}"):
        assert published.client.get(f"/v1/apps/thief{path}", headers=own).status_code == 404
    assert published.client.post(f"/v1/apps/thief/rollouts/{rollout}/halt", headers=own).status_code == 404
    assert published.client.get("/v1/apps", headers=own).json() == {"apps": ["thief"]}
    assert published.client.post("/v1/apps", headers=own, json={"app": "more"}).status_code == 403


@pytest.mark.parametrize(
    ("scopes", "publish", "release", "administer"),
    [
        (["read"], False, False, False),
        (["publish"], True, False, False),
        (["release"], False, True, False),
        (["admin"], True, True, True),
    ],
)
def test_scopes(
    server: Server, published: PublisherWorld, scopes: list[str], publish: bool, release: bool, administer: bool
) -> None:
    token = make(server, *scopes, app="reader")
    headers = {"Authorization": f"Bearer {token}"}
    client = published.client
    assert get(client, token) == 200
    role = published.role("bases")
    assert (client.post("/v1/apps/reader/roles/bases", headers=headers, content=role).status_code == 200) is publish
    offer = client.put(
        "/v1/apps/reader/channels/stable/kd/offers/topic", headers=headers, json={"release": 1, "permyriad": 1}
    )
    assert (offer.status_code == 201) is release
    assert (client.get("/v1/apps/reader/tokens", headers=headers).status_code == 200) is administer


def test_bad_tokens_all_look_alike(server: Server, reader: PublisherWorld, clock: FakeClock) -> None:
    good = make(server, "read", app="reader")
    expiring = make(server, "read", app="reader", expires_s=60)
    assert get(reader.client, good) == get(reader.client, expiring) == 200
    clock.forward(61)
    kind, environment, token_id, secret = good.split("_")
    wrong = [
        expiring,
        f"{kind}_{environment}_{token_id}_{'0' * 64}",
        f"{kind}_test_{token_id}_{secret}",
        f"{kind}_{environment}_{'0' * 16}_{secret}",
        f"{kind}_{environment}_{token_id}",
        secret,
        "",
        "x" * 5000,
    ]
    answers = [
        reader.client.get("/v1/apps/reader/heads", headers={"Authorization": f"Bearer {t}"}).json() for t in wrong
    ]
    assert {(a["code"], a["detail"], a["hint"]) for a in answers} == {
        ("not_authenticated", answers[0]["detail"], answers[0]["hint"])
    }


def test_revoking(server: Server, reader: PublisherWorld) -> None:
    made = reader.call("POST", "/tokens", json={"scopes": ["read"], "note": "ci"})
    assert made.status_code == 201
    token = made.json()["token"]
    assert get(reader.client, token) == 200
    assert reader.call("DELETE", f"/tokens/{made.json()['id']}").status_code == 200
    assert get(reader.client, token) == 401
    listed = reader.call("GET", "/tokens").json()["tokens"]
    assert [(t["note"], t["revoked_at"] is not None) for t in listed] == [("ci", True)]
    assert listed[0]["last_used_at"] is not None


def test_secrets_are_neither_stored_nor_logged(
    server: Server, reader: PublisherWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = make(server, "read", app="reader")
    secret = token.split("_")[3]
    assert get(reader.client, token) == 200
    assert get(reader.client, token, "/v1/apps/reader/nowhere") in (403, 404)
    assert secret not in caplog.text
    assert secret not in str([vars(record) for record in caplog.records])
    with server.ports.database.read() as tx:
        assert secret not in str(tx.tokens.all(None))
        assert secret not in str(tx.audit.all(None))


def test_token_of_an_unknown_app_or_scope(server: Server, reader: PublisherWorld) -> None:
    answer = reader.client.post("/v1/apps/nobody/tokens", headers=reader.headers, json={"scopes": ["read"]})
    assert answer.status_code == 404
    assert reader.call("POST", "/tokens", json={"scopes": ["root"]}).status_code == 422

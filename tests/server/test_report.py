"""A report taken from its bytes: exactly what is a plain report, and the same answer as the application's."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway_server.app import Server, create_app, make_ports
from headway_server.report import Report, Reports, announced
from headway_server.settings import Settings

from .conftest import MakeServer, connect
from .world import HeadDraft, PublisherWorld

BODY = b'{"app":"reader","events":[]}'
LINES = b"POST /v1/outcomes HTTP/1.1\r\nHost: x\r\n"
PLAIN = LINES + b"Content-Length: 28\r\n\r\n" + BODY


@pytest.fixture
def offered(published: PublisherWorld) -> HeadDraft:
    """``topic@1``, offered to everybody on ``stable``."""
    draft = published.draft_head(1)
    assert published.offer(1).status_code in (200, 201)
    return draft


def request_of(body: bytes, **fields: str) -> bytes:
    """A plain report with these further fields."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return LINES + lines.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def taken(reports: Reports, request: bytes, address: str = "203.0.113.7") -> Report | None:
    found = announced(request)
    assert found is not None
    assert found.size == len(request)
    return reports.take(request, found, address)


def answered(reports: Reports, report: Report | None) -> bytes | None:
    """Commit a report as the loop does; its answer."""
    assert report is not None
    committed = Event()
    reports.commit([report], committed.set)
    assert committed.wait(60)
    return reports.answer(report)


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, body = answer.split(b"\r\n\r\n", 1)
    status, *fields = head.decode().split("\r\n")
    found = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    return int(status.split()[1]), found, body


def test_a_plain_report() -> None:
    found = announced(PLAIN)
    assert found is not None
    assert (found.head, found.size) == (len(PLAIN) - 28, len(PLAIN))
    assert announced(PLAIN[:-28]) == found  # its body is still on its way
    real = (
        b"User-Agent: Reader/7 (iPhone)\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Accept-Encoding: gzip\r\nConnection: keep-alive\r\nContent-Length: 300\r\n\r\n"
    )
    assert (announced(LINES + real) or found).fields[b"content-encoding"] == b"gzip"


@pytest.mark.parametrize(
    "request_",
    [
        b"", PLAIN.replace(b"POST", b"PUT"), PLAIN.replace(b"1.1", b"1.0"), PLAIN.replace(b"outcomes", b"outcomes?a"),
        PLAIN.replace(b"outcomes", b"%6futcomes"), PLAIN.replace(b" /v1", b" http://x/v1"),
        *(PLAIN.replace(b"28", length) for length in (b"+28", b"028", b"0", b"28, 28", b"9000")),
        PLAIN.replace(b"Content-Length: 28\r\n", b""), PLAIN.replace(b"Host: x\r\n", b""),
        *(
            PLAIN.replace(b"Host: x\r\n", b"Host: x\r\n" + line + b"\r\n")
            for line in (
                b"Host: y", b"Content-Length: 28", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
                b"Connection: close", b"Upgrade: h2c", b"Trailer: x", b" folded: x", b"X : y", b"X: a\nHost: b",
                b"X: \x00", b"X: a\rb", b"no colon", b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2",
                b"X: " + b"y" * 9_000,
            )
        ),
    ],
)  # fmt: skip
def test_anything_else_is_the_applications(request_: bytes) -> None:
    assert announced(request_) is None


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Reports of a server whose limits are far away; its database is never asked."""
    folder = tmp_path_factory.mktemp("lonely")
    return create_app(make_ports(Settings(data_dir=folder, outcomes_burst=10**9, trusted_proxies=1))).reports


@given(
    st.binary(max_size=60)
    | st.sampled_from([b"[", b"{}", b'"\xff"', b"1" * 5000, b'"app":"reader",', b"X-Forwarded-For: ::1%\r\n"]),
    st.integers(0, len(PLAIN)),
)
def test_no_bytes_stop_the_loop(lonely: Reports, piece: bytes, where: int) -> None:
    request = PLAIN[:where] + piece + PLAIN[where:]
    found = announced(request)
    if found is not None and found.size <= len(request):
        report = lonely.take(request[: found.size], found, "203.0.113.7")
        assert report is None or report.batch.app


def test_the_application_gives_the_same_answer(server: Server, published: PublisherWorld, offered: HeadDraft) -> None:
    events = [published.event(offered, "confirmed", n) for n in range(4)]
    elsewhere = published.event(offered, "confirmed", 9, release=7)

    def body(*chosen: dict[str, Any]) -> bytes:
        return json.dumps({"app": "reader", "events": chosen, "unknown": None}).encode()

    for number, (data, fields, told) in enumerate(
        [
            (body(*events[:2]), {}, (2, 0, 0)),
            (gzip.compress(body(*events[1:3], elsewhere)), {"Content_Encoding": "GZIP"}, (1, 1, 1)),
            (body(events[3], events[3]), {"X_Request_Id": "abc-1"}, (1, 1, 0)),
            (body(*events), {"X_Request_Id": "not harmless!"}, (0, 4, 0)),
            (body(), {"Authorization": "Bearer hw_live_wrong"}, (0, 0, 0)),
        ]
    ):
        ours = answered(server.reports, taken(server.reports, request_of(data, **fields), f"203.0.113.{number}"))
        assert ours is not None
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        theirs = published.client.post("/v1/outcomes", content=data, headers=headers)
        status, found, content = parsed(ours)
        assert (status, json.loads(content)) == (
            202,
            dict(zip(("accepted", "duplicate", "ignored"), told, strict=True)),
        )
        # Theirs came second: it counts all as duplicates, and is otherwise the same.
        assert (theirs.status_code, theirs.json()["ignored"]) == (status, told[2])
        assert re.sub(rb"\d+", b"n", content) == re.sub(rb"\d+", b"n", theirs.content)
        assert found.keys() - {"date"} == theirs.headers.keys()
        assert found["content-length"] == str(len(content))
        shared = ("content-type", "cache-control", *(("x-request-id",) if number == 2 else ()))
        assert {name: found[name] for name in shared} == {name: theirs.headers[name] for name in shared}
        assert re.fullmatch("abc-1" if number == 2 else "[0-9a-f]{16}", found["x-request-id"])
    counted = published.client.get("/metrics").text
    assert 'headway_requests_total{endpoint="devices.post_outcomes",status="202"} 10.0' in counted
    assert 'headway_request_seconds_count{endpoint="devices.post_outcomes"} 10.0' in counted


def test_what_is_wrong_is_said_by_the_application(
    server: Server, published: PublisherWorld, offered: HeadDraft
) -> None:
    """One bad event refuses the whole report, as ever; nothing of it is counted, nor taken from the limit twice."""
    good, bad = published.event(offered, "confirmed", 1), published.event(offered, "confirmed", 2, detail="hello")
    for data, fields in (
        (json.dumps({"app": "reader", "events": [good, bad]}).encode(), {}),
        (b'{"app":"reader","events":[],"events":[]}', {}),
        (b'{"app":"Reader","events":[]}', {}),
        (b"[" * 3_000, {}),
        (b"no gzip", {"Content_Encoding": "gzip"}),
        (gzip.compress(b" " * 100_000), {"Content_Encoding": "gzip"}),
        (BODY, {"Content_Encoding": "br"}),
    ):
        assert taken(server.reports, request_of(data, **fields)) is None
    nobody = taken(server.reports, request_of(b'{"app":"nobody","events":[]}'))
    assert answered(server.reports, nobody) is None
    with server.ports.database.read() as tx:
        assert tx.outcomes.older_than("reader", published.clock() + 1) == 0


def test_too_many_events_or_too_often_is_for_the_application(server: Server, make_server: MakeServer) -> None:
    settings = server.ports.settings.model_copy(
        update={"outcomes_burst": 100, "outcomes_per_s": 0.001, "outcomes_max_events": 1, "trusted_proxies": 1}
    )
    limited = make_server(settings)
    event = {"schema": 1, "kind": "installed", "channel": "stable", "base": "sha256:" + "a" * 64, "name": "topic",
             "release": 0, "head": "sha256:" + "b" * 64}  # fmt: skip
    two = json.dumps({"app": "reader", "events": [{**event, "event": f"{n:032x}"} for n in range(2)]}).encode()
    assert taken(limited.reports, request_of(two)) is None
    # A source has two without the database being asked, behind the proxy as before it; then the application asks.
    for source, fields in (("203.0.113.1", {}), ("198.51.100.9", {"X_Forwarded_For": "spoofed, 198.51.100.9"})):
        requests = [request_of(BODY, **fields) for _ in range(3)]
        assert [taken(limited.reports, request, "203.0.113.1") is not None for request in requests] == [
            True,
            True,
            False,
        ]
        client = connect(limited)
        answers = [client.post("/v1/outcomes", content=BODY, headers={"X-Forwarded-For": source}) for _ in range(101)]
        assert [answer.status_code for answer in answers] == [202] * 100 + [429]


@pytest.mark.parametrize(
    ("told", "source"),
    [("", "peer"), ("10.0.0.1", "10.0.0.1"), ("1.1.1.1, 10.0.0.1 ", "10.0.0.1"), ('"a", b', None), ("a,,b", None)],
)
def test_who_sends_behind_a_proxy(lonely: Reports, told: str, source: str | None) -> None:
    assert lonely._source({b"x-forwarded-for": told.encode()}, "peer") == source


def test_no_proxy_no_belief(tmp_path: Path) -> None:
    reports = create_app(make_ports(Settings(data_dir=tmp_path))).reports
    assert reports._source({b"x-forwarded-for": b"10.0.0.1"}, "peer") == "peer"

"""A poll answered from its bytes: exactly what is a plain poll, and the same answer as the application's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway_server.app import Server
from headway_server.poll import Poll, Polls, understand

from .world import PublisherWorld

TIMESTAMP = "/apps/reader/metadata/timestamp.json"
PLAIN = f"GET {TIMESTAMP} HTTP/1.1\r\nHost: x\r\n".encode()


def test_a_plain_poll() -> None:
    assert understand(PLAIN + b"\r\n") == Poll(TIMESTAMP, None)
    assert understand(PLAIN + b'if-none-MATCH:  "a"\t\r\n\r\n') == Poll(TIMESTAMP, b'"a"')
    real = (
        b"User-Agent: Reader/7 (iPhone)\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\nConnection: Keep-Alive\r\n\r\n"
    )
    assert understand(PLAIN + real) == Poll(TIMESTAMP, None)


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"\r\n\r\n", PLAIN, PLAIN + b"\r\nx", PLAIN + b"\r\n\r\n", (PLAIN + b"\r\n") * 2, PLAIN[:-2] + b"\n\n",
        PLAIN.replace(b"GET", b"HEAD") + b"\r\n", PLAIN.replace(b"1.1", b"1.0") + b"\r\n",
        PLAIN.replace(b"reader", b"../..") + b"\r\n", PLAIN.replace(b"reader", b"READER") + b"\r\n",
        PLAIN.replace(b"reader", b"%72eader") + b"\r\n", PLAIN.replace(b".json", b".json?x=1") + b"\r\n",
        PLAIN.replace(b"GET /", b"GET http://x/") + b"\r\n", PLAIN.replace(b"Host: x\r\n", b"") + b"\r\n",
        PLAIN + b"Host: y\r\n\r\n", PLAIN + b"Range: bytes=0-1\r\n\r\n", PLAIN + b"Content-Length: 0\r\n\r\n",
        PLAIN + b"Transfer-Encoding: chunked\r\n\r\n", PLAIN + b"Connection: close\r\n\r\n",
        PLAIN + b"Expect: 100-continue\r\n\r\n", PLAIN + b"Upgrade: h2c\r\n\r\n", PLAIN + b" folded: x\r\n\r\n",
        PLAIN + b"Range : bytes=0-1\r\n\r\n", PLAIN + b"X: a\nRange: b\r\n\r\n", PLAIN + b"X: a\rb\r\n\r\n",
        PLAIN + b"X: \x00\r\n\r\n", PLAIN + b'If-None-Match: "a"\r\nIf-None-Match: "b"\r\n\r\n',
    ],
)  # fmt: skip
def test_anything_else_is_the_applications(request_: bytes) -> None:
    assert understand(request_) is None


@given(st.binary(max_size=60), st.integers(0, len(PLAIN) + 2))
def test_whatever_is_put_in_is_judged(piece: bytes, where: int) -> None:
    """No bytes make it raise; and what it takes for a poll has one head, at the end, and no other path."""
    request = PLAIN + b"\r\n"
    found = understand(request[:where] + piece + request[where:])
    if found is not None:
        assert found.path.startswith("/apps/")
        assert ".." not in found.path
        assert piece.count(b"\r\n\r\n") == 0


def folder(tmp_path: Path) -> Path:
    path = tmp_path / TIMESTAMP[1:]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one")
    return path


def test_each_turn_sees_the_file_as_it_is(tmp_path: Path) -> None:
    file, counted = folder(tmp_path), []
    polls = Polls(tmp_path, lambda status, times: counted.append((status, times)))
    polls.begin_turn(0.0)
    first = polls.answer(PLAIN + b"\r\n")
    assert first is not None
    assert first.endswith(b"\r\n\r\none")
    assert b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in first
    tag = first.split(b"ETag: ")[1].split(b"\r\n")[0]
    conditional = PLAIN + b"If-None-Match: " + tag + b"\r\n\r\n"
    assert (polls.answer(conditional) or b"").startswith(b"HTTP/1.1 304 ")
    other = file.with_name("new")
    other.write_bytes(b"two")
    os.replace(other, file)
    polls.begin_turn(1.0)
    assert counted[-2:] == [("304", 1), ("200", 1)]
    assert (polls.answer(conditional) or b"").endswith(b"\r\n\r\ntwo")
    file.unlink()
    polls.begin_turn(1.5)
    assert polls.answer(conditional) is None
    assert polls.answer(PLAIN + b"If-None-Match: *\r\n\r\n") is None


def test_no_crowd_of_strangers_fills_the_memory(tmp_path: Path) -> None:
    folder(tmp_path)
    polls = Polls(tmp_path, lambda *_: None)
    polls.begin_turn(time.time())
    for number in range(5_000):
        assert polls.answer(PLAIN + b"X: %d\r\n\r\n" % number)
    assert polls.answer(PLAIN + b"X: " + b"y" * 5_000 + b"\r\n\r\n")
    assert len(polls._understood) <= 2_000


@pytest.mark.parametrize("condition", ["", "same", '"{}"'.format("0" * 64)])
def test_the_application_gives_the_same_answer(server: Server, published: PublisherWorld, condition: str) -> None:
    if server.polls is None:
        pytest.skip("the public tree is in a bucket, so every poll is the application's")
    tag = published.client.get(TIMESTAMP).headers["etag"]
    headers = {"If-None-Match": tag if condition == "same" else condition} if condition else {}
    theirs = published.client.get(TIMESTAMP, headers=headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    server.polls.begin_turn(time.time())
    ours = server.polls.answer(PLAIN + lines.encode() + b"\r\n")
    assert ours is not None
    head, body = ours.split(b"\r\n\r\n", 1)
    status, *fields = head.decode().split("\r\n")
    found = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert (int(status.split()[1]), body) == (theirs.status_code, theirs.content)
    shared = ("etag", "cache-control") + (() if condition == "same" else ("content-type", "content-length"))
    assert {name: found[name] for name in shared} == {name: theirs.headers[name] for name in shared}
    assert found.keys() - {"date"} <= theirs.headers.keys()
    server.polls.begin_turn(time.time() + 1)
    counted = published.client.get("/metrics").text
    assert f'headway_polls_total{{status="{theirs.status_code}"}} 1.0' in counted

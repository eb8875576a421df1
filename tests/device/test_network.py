"""The network as it is: broken off, resumed, without ranges, inflated, nosy. Faults strike below the real client."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx2
import pytest

from headway.contract.digests import digest_of, hex_of
from headway.contract.errors import TransferError, UntrustedError
from headway.device.fetcher import FetchLimits, HttpFetcher, retry_after_s

from .world import NAME, Pieces, World, head_files, use

GOLDEN = head_files(6)["golden.safetensors"]
GOLDEN_NAME = hex_of(digest_of(GOLDEN))


def ready() -> World:
    world = World()
    world.publish(1, seed=6)
    return world


def breaks_off(after: int) -> Iterator[bytes]:
    yield GOLDEN[:after]
    raise httpx2.ReadError("connection reset")


def test_a_broken_transfer_goes_on_where_it_ended() -> None:
    world, ranges = ready(), []

    def fault(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if GOLDEN_NAME not in str(request.url):
            return response
        ranges.append(request.headers.get("range"))
        return httpx2.Response(200, stream=Pieces(breaks_off(3000))) if len(ranges) == 1 else response

    world.line.fault = fault
    device = world.device()
    assert device.poll(force=True).head(NAME).problem.code == "broken_off"
    device.close()
    device = world.device()
    assert device.poll(force=True).head(NAME).status == "staged"
    assert ranges == [None, "bytes=3000-"], "across a restart"
    assert device.predict("你好").release == 1


def test_a_server_that_knows_no_ranges_sends_all_of_it_again() -> None:
    world, ranges = ready(), []

    def fault(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if GOLDEN_NAME not in str(request.url):
            return response
        ranges.append(request.headers.get("range"))
        whole = GOLDEN[:2000] if len(ranges) == 1 else GOLDEN
        return httpx2.Response(200, stream=Pieces([whole]))

    world.line.fault = fault
    device = world.device()
    assert device.poll(force=True).head(NAME).problem.code == "truncated"
    assert device.poll(force=True).head(NAME).status == "staged"
    assert ranges == [None, "bytes=2000-"]


def test_another_part_of_the_file_is_refused() -> None:
    world, count = ready(), []

    def fault(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if GOLDEN_NAME not in str(request.url):
            return response
        count.append(1)
        if len(count) == 1:
            return httpx2.Response(200, stream=Pieces([GOLDEN[:2000]]))
        headers = {"content-range": f"bytes 0-{len(GOLDEN) - 1}/{len(GOLDEN)}"}
        return httpx2.Response(206, headers=headers, stream=Pieces([GOLDEN]))

    world.line.fault = fault
    device = world.device()
    device.poll(force=True)
    assert device.poll(force=True).head(NAME).problem.code == "wrong_range"
    assert device.status().staged is None


def test_a_part_that_was_resumed_onto_rubbish_is_fetched_once_more() -> None:
    world, count = ready(), []

    def fault(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if GOLDEN_NAME not in str(request.url):
            return response
        count.append(request.headers.get("range"))
        return httpx2.Response(200, stream=Pieces([b"<html>" * 100])) if len(count) == 1 else response

    world.line.fault = fault
    device = world.device()
    assert device.poll(force=True).head(NAME).problem.code == "truncated"
    assert device.poll(force=True).head(NAME).status == "staged"
    assert count == [None, "bytes=600-", None]


def test_nothing_new_costs_one_request_and_no_body() -> None:
    world = ready()
    device = world.device()
    device.poll(force=True)
    use(device)
    world.line.log.clear()
    polled = device.poll(force=True)
    assert (polled.requests, polled.received_bytes) == (1, 0)
    assert world.line.log == ["GET timestamp.json"]


def test_only_what_is_new_is_fetched() -> None:
    world = ready()
    device = world.device()
    device.poll(force=True)
    device.close()
    world.registry.resign()
    world.line.log.clear()
    world.device().poll(force=True)
    assert set(world.line.log) == {"GET timestamp.json", "GET 2.root.json"}, "an untouched snapshot is not fetched"


@pytest.mark.parametrize(
    ("status", "body", "left", "code"),
    [
        (202, b'{"accepted": 1, "duplicate": 0}', 0, None),
        (200, b"<html>sign in</html>", 1, "unexpected_answer"),
        (503, b"", 1, "server_error"),
        (404, b"{}", 1, "http_404"),
        (422, b'{"code": "malformed", "detail": "no", "hint": "h"}', 0, "malformed"),
    ],
)
def test_outcomes_stay_until_the_registry_has_spoken(status: int, body: bytes, left: int, code: str | None) -> None:
    world = ready()
    device = world.device()
    device.poll(force=True)
    world.line.fault = lambda request, response: httpx2.Response(status, stream=Pieces([body]))
    flushed = device.flush_outcomes()
    assert flushed.left == left
    assert (flushed.problem.code if flushed.problem else None) == code


# The client alone ----------------------------------------------------------------------------------------------


def client(answer: httpx2.Response) -> HttpFetcher:
    return HttpFetcher(FetchLimits(deadline_s=300), transport=httpx2.MockTransport(lambda request: answer))


def test_a_gzip_bomb_is_cut_off_at_the_cap() -> None:
    bomb = gzip.compress(bytes(8 << 20))
    answer = httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces([bomb]))
    with pytest.raises(UntrustedError) as caught:
        client(answer).fetch("http://x/", max_bytes=10_000)
    assert caught.value.code == "too_large"


def test_gzip_is_read_and_other_encodings_are_not() -> None:
    packed = gzip.compress(b"hello")
    answer = httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Pieces([packed[:7], packed[7:]]))
    assert client(answer).fetch("http://x/", max_bytes=10).body == b"hello"
    for headers, body in (({"content-encoding": "br"}, b"hello"), ({"content-encoding": "gzip"}, b"not gzip")):
        with pytest.raises(TransferError):
            client(httpx2.Response(200, headers=headers, stream=Pieces([body]))).fetch("http://x/", max_bytes=10)


def test_no_cookie_is_kept_and_nothing_identifies_the_device() -> None:
    seen: list[dict[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(dict(request.headers))
        return httpx2.Response(200, headers={"set-cookie": "id=42; path=/"}, stream=Pieces([b""]))

    fetcher = HttpFetcher(transport=httpx2.MockTransport(answer))
    for _ in range(2):
        fetcher.fetch("http://registry.invalid/x", max_bytes=10)
    assert seen[0] == seen[1]
    assert "cookie" not in seen[1]
    assert seen[1]["user-agent"] == "headway"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("999999999", 86_400),
        ("Wed, 21 Oct 2015 07:29:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(value: str | None, seconds: int | None) -> None:
    assert retry_after_s(value, 1445412480.0) == seconds

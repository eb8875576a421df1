"""A device's line: each fault is what a real network would do, and equal seeds give equal weather."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from headway.contract.errors import RefusedError, TransferError
from headway.device.fetcher import HttpFetcher
from headway.fleet.conditions import CONDITIONS, Conditions, Weather, conditions_named
from headway.fleet.network import Line

BODY = bytes(range(256)) * 4


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def line(**conditions: int) -> Line:
    return Line(httpx2.HTTPTransport(), Weather(Conditions("test", **conditions), "seed"))


def test_a_good_line_changes_nothing(url: str) -> None:
    good = line()
    answer = HttpFetcher(transport=good).fetch(url, max_bytes=len(BODY))
    assert (answer.status, answer.body) == (200, BODY)
    assert (good.meter.requests, good.meter.bytes_down, good.met) == (1, len(BODY), {})


@pytest.mark.parametrize(("fault", "code"), [("refused", "unreachable"), ("server_error", "server_error")])
def test_a_broken_line_is_a_transfer_error(url: str, fault: str, code: str) -> None:
    bad = line(**{fault: 100})
    with pytest.raises(TransferError) as caught:
        HttpFetcher(transport=bad).fetch(url, max_bytes=len(BODY))
    assert caught.value.code == code
    assert bad.met == {fault: 1}


def test_a_truncated_answer_claims_to_be_whole(url: str) -> None:
    answer = HttpFetcher(transport=line(truncated=100)).fetch(url, max_bytes=len(BODY))
    assert answer.status == 200
    assert answer.body != BODY
    assert BODY.startswith(answer.body)


def test_a_corrupted_answer_has_the_right_length(url: str) -> None:
    answer = HttpFetcher(transport=line(corrupted=100)).fetch(url, max_bytes=len(BODY))
    assert len(answer.body) == len(BODY)
    assert sum(a != b for a, b in zip(answer.body, BODY, strict=True)) == 1


def test_a_captive_portal_says_yes_to_everything_and_then_lets_go(url: str) -> None:
    fetcher = HttpFetcher(transport=line(captive_first=2))
    answers = [fetcher.fetch(url, max_bytes=len(BODY)) for _ in range(3)]
    assert [a.body == BODY for a in answers] == [False, False, True]
    assert answers[0].status == 200
    assert b"Wi-Fi" in answers[0].body


def test_offline_is_offline_even_in_good_weather(url: str) -> None:
    gone = line()
    gone.online = False
    with pytest.raises(TransferError, match="reached"):
        HttpFetcher(transport=gone).fetch(url, max_bytes=len(BODY))


def test_a_cleared_line_has_no_faults(url: str) -> None:
    cleared = line(refused=100)
    cleared.clear = True
    assert HttpFetcher(transport=cleared).fetch(url, max_bytes=len(BODY)).body == BODY


def test_equal_seeds_give_equal_weather() -> None:
    conditions = Conditions("test", refused=20, truncated=20, corrupted=20, server_error=20)

    def draw(seed: str) -> list[str]:
        weather = Weather(conditions, seed)
        return [weather.next() for _ in range(200)]

    assert draw("a") == draw("a") != draw("b")
    assert set(draw("a")) == {"none", "refused", "truncated", "corrupted", "server_error"}


def test_names_of_conditions() -> None:
    assert conditions_named("good") is CONDITIONS["good"]
    with pytest.raises(RefusedError, match="sunny"):
        conditions_named("sunny")

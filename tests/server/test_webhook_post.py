"""What one POST may reach and may cost: no private address, no redirect, no endless answer."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.contract.errors import RefusedError
from headway_server.notifying.post import check_url, may_reach, post
from headway_server.notifying.retry import Reply, RetryPolicy, judge, wait_s

from .receiver import Receiver, drip, flood

POLICY = RetryPolicy(attempts=10, first_wait_s=20, most_wait_s=21_600)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


def send(url: str, **changes: Any) -> Reply:
    return post(url, {"x-a": "b"}, b"{}", **{"timeout_s": 60.0, "private": True, **changes})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_no_way_inside(address: str) -> None:
    assert not may_reach(ipaddress.ip_address(address), private=False)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(RefusedError, match="not a public one"):
        check_url(f"https://{host}/x", private=False)
    assert send(f"https://{host}/x", private=False) == Reply(None, "bad_url")


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses(address: str) -> None:
    assert may_reach(ipaddress.ip_address(address), private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.net/", "file:///etc/passwd", "gopher://example.net", "https://", "https:///x", "", "https://[::",
        "https://user:password@example.net/", "https://example.net/#part", "https://example.net:99999/",
        "https://exa mple.net/", "https://example.net/\r\nx-header: 1", "https://例子.net/",
    ],
)  # fmt: skip
def test_no_such_address_for_a_webhook(url: str) -> None:
    with pytest.raises(RefusedError):
        check_url(url, private=False)


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_judged(url: str, private: bool) -> None:
    try:
        scheme = check_url(url, private=private).scheme
    except RefusedError as error:
        scheme = error.code
    assert scheme in ("https", "http" if private else "https", "bad_url")


def test_a_name_that_points_inside_is_refused_when_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name may have changed since the webhook was added: what counts is where it points now."""
    inside = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    outside = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [outside, inside])
    assert send("https://rebind.example.net/", private=False) == Reply(None, "bad_url")


def test_the_address_that_was_judged_is_the_one_that_is_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look-up, which could answer something else, never happens."""
    real, asked = socket.getaddrinfo, []

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "hooks.example.net" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    port = receiver.url.split(":")[2].split("/")[0]
    assert send(f"http://hooks.example.net:{port}/a?b=c") == Reply(204)
    assert asked.count("hooks.example.net") == 1
    assert receiver.got[0][0]["host"] == f"hooks.example.net:{port}"


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    def redirect(handler: Any) -> None:
        handler.send_response(307)
        handler.send_header("location", receiver.url)
        handler.send_header("content-length", "0")
        handler.end_headers()

    receiver.answers.append(redirect)
    assert send(receiver.url) == Reply(307)
    assert len(receiver.got) == 1


def test_no_proxy_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert send(receiver.url) == Reply(204)


def test_an_endless_answer_costs_little(receiver: Receiver) -> None:
    receiver.answers.append(flood)
    assert send(receiver.url) == Reply(200)


def test_one_deadline_for_everything(receiver: Receiver) -> None:
    receiver.answers.append(drip)
    # Were it only the time between two bytes, this would never end.
    assert send(receiver.url, timeout_s=0.5) == Reply(None, "timeout")


def test_a_handshake_that_never_ends() -> None:
    """One byte of a long TLS record now and then: each in time for the socket, all together never."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"\x16\x03\x03\x40\x00")
                while True:
                    connection.sendall(b"\x02")
                    time.sleep(0.05)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert send(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5) == Reply(None, "timeout")
        thread.join()


def test_nobody_there_or_no_http(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        assert send(f"http://127.0.0.1:{closed.getsockname()[1]}/").error == "ConnectionRefusedError"
    receiver.answers.append(lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n"))
    assert send(receiver.url).error == "BadStatusLine"
    assert "TLS" in (send(receiver.url.replace("http://", "https://")).error or "")

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # The resolver of this machine is not asked: it may be slow, absent, or know every name.
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert send("http://no-such-host.invalid/").error == "unknown host"


@given(st.text(max_size=30), st.integers(1, 60))
def test_waits_grow_and_stay_bounded(message: str, attempt: int) -> None:
    wait = wait_s(message, attempt, POLICY)
    full = min(21_600, 20 * 3 ** (attempt - 1))
    assert full / 2 <= wait <= full


def test_the_verdict() -> None:
    assert judge(Reply(200), "m", 1, 100, POLICY).state == "delivered"
    assert judge(Reply(500), "m", 1, 100, POLICY).state == "pending"
    assert judge(Reply(None, "timeout"), "m", 10, 100, POLICY).state == "dead"
    assert judge(Reply(410), "m", 1, 100, POLICY).state == "dead"
    assert judge(Reply(302), "m", 9, 100, POLICY).next_at > 100

"""The publisher's HTTP: what is repeated and what never is, and what a caller is told."""

from __future__ import annotations

import json

import httpx2
import pytest
from stamina.instrumentation import set_on_retry_hooks

from headway.contract.errors import IncompatibleError, RefusedError, TransferError, UntrustedError
from headway.contract.problems import problem_of
from headway.publisher.http import ApiClient, Retries, tell_retries
from headway.publisher.registry import Registry

FAST = Retries(attempts=3, wait_initial_s=0.0, wait_max_s=0.0, timeout_s=300.0)
TOKEN = "hw_test_0123_secret"


class Answers(httpx2.BaseTransport):
    """Gives the answers it was told, the last one for ever; an exception is raised."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


def ok(value: object = None) -> httpx2.Response:
    return httpx2.Response(200, json={} if value is None else value)


def problem(error) -> httpx2.Response:
    told = problem_of(error)
    return httpx2.Response(told.status, json=told.to_json())


def client(*answers) -> tuple[ApiClient, Answers]:
    transport = Answers(*answers)
    return ApiClient("http://registry.invalid", TOKEN, transport=transport, retries=FAST), transport


LOST = httpx2.ConnectError("lost")


def test_lost_request_is_repeated_with_its_whole_body():
    api, seen = client(LOST, httpx2.ReadError("lost"), ok({"a": 1}))
    assert api.send("POST", "v1/x", body={"b": 2}).json() == {"a": 1}
    assert [request.content for request in seen.seen] == [b'{"b":2}'] * 3


def test_upload_is_read_afresh_for_each_attempt():
    api, seen = client(LOST, ok())
    reads = []

    def chunks():
        reads.append(1)
        yield b"abc"

    api.send("PUT", "v1/x", content=chunks, headers={"content-length": "3"})
    assert len(reads) == 2
    assert seen.seen[1].content == b"abc"


def test_command_that_may_not_be_repeated_is_sent_once():
    api, seen = client(LOST, ok())
    with pytest.raises(TransferError):
        api.send("POST", "v1/x", repeatable=False)
    assert len(seen.seen) == 1


def test_it_gives_up_after_a_few_attempts():
    api, seen = client(LOST)
    with pytest.raises(TransferError) as caught:
        api.send("GET", "v1/x")
    assert caught.value.code == "unreachable"
    assert len(seen.seen) == FAST.attempts


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_registry_is_asked_again(status):
    api, seen = client(httpx2.Response(status), ok())
    api.send("GET", "v1/x")
    assert len(seen.seen) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500])
def test_refusals_are_not_repeated(status):
    api, seen = client(httpx2.Response(status), ok())
    with pytest.raises((RefusedError, TransferError)):
        api.send("GET", "v1/x")
    assert len(seen.seen) == 1


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("immutable_release", "It is there.", hint="Take another.", kind="conflict", release=3),
        UntrustedError("bad_signature", "No.", hint="Sign it."),
        IncompatibleError("incompatible", "No.", hint="Fit it."),
    ],
)
def test_problem_comes_back_as_the_error_it_was(error):
    api, _ = client(problem(error))
    with pytest.raises(type(error)) as caught:
        api.send("GET", "v1/x")
    assert (caught.value.code, caught.value.message, caught.value.hint) == (error.code, error.message, error.hint)
    assert caught.value.data.items() >= error.data.items()


def test_long_wait_is_left_to_the_caller():
    busy = RefusedError("rate_limited", "Slow down.", hint="Wait.", kind="rate_limited", retry_after_s=3600)
    api, seen = client(problem(busy), ok())
    with pytest.raises(RefusedError):
        api.send("GET", "v1/x")
    assert len(seen.seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_answer_of_something_else(body):
    api, _ = client(httpx2.Response(200, content=body))
    with pytest.raises(TransferError) as caught:
        api.send("GET", "v1/x").json()
    assert caught.value.code == "not_a_registry"


def test_token_is_sent_and_never_told():
    api, seen = client(LOST)
    with pytest.raises(TransferError) as caught:
        api.send("GET", "v1/x")
    assert seen.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in caught.value.diagnostics() + json.dumps(caught.value.data)


def test_redirect_is_not_followed_with_the_token():
    api, seen = client(httpx2.Response(302, headers={"location": "http://evil.invalid/"}), ok())
    with pytest.raises(RefusedError):
        api.send("GET", "v1/x")
    assert len(seen.seen) == 1


def test_app_name_is_checked_before_anything_is_sent():
    with pytest.raises(RefusedError):
        Registry("http://registry.invalid", TOKEN, app="../other")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080", "registry.example.net", "ftp://registry", "http://", "http://x:0", ""]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url):
    with pytest.raises(RefusedError) as told:
        ApiClient(url, TOKEN)
    assert told.value.code == "bad_url"


@pytest.mark.parametrize("token", ["ключ", "a b", "a\nb", "hw_x "])
def test_a_token_that_no_header_can_carry_is_refused_and_never_told(token):
    with pytest.raises(RefusedError) as told:
        ApiClient("http://registry.invalid", token)
    assert told.value.code == "bad_token"
    assert token not in told.value.diagnostics()


def test_who_cannot_be_reached_is_named_without_what_may_be_secret():
    api, _ = client(httpx2.ConnectError("Connection refused"))
    with pytest.raises(TransferError, match=r"^http://registry\.invalid cannot be reached \(Connection refused\)\.$"):
        api.send("GET", "v1/x?signature=abc", repeatable=False)
    signed = ApiClient("", None, transport=Answers(LOST))
    with pytest.raises(TransferError, match=r"^https://bucket\.invalid cannot"):
        signed.send("PUT", "https://user:pw@bucket.invalid/a?signature=abc", repeatable=False)


def test_a_repeat_is_told_to_whoever_asked_and_not_printed(capsys):
    told = []
    tell_retries(lambda why, wait_s: told.append((why, wait_s >= 0)))
    try:
        api, _ = client(LOST, ok())
        api.send("GET", "v1/x")
    finally:
        set_on_retry_hooks(None)
    assert told == [("http://registry.invalid cannot be reached (lost).", True)]
    assert capsys.readouterr() == ("", "")

"""Signing and verifying webhook messages, held to the reference vector of Standard Webhooks."""

from __future__ import annotations

import base64
import json

import pytest

from headway.contract.errors import RefusedError, UntrustedError
from headway.contract.webhooks import EVENTS, headers_for, secret_text, verify_webhook

NOW = 1_800_000_000
KEY = b"k" * 32
BODY = json.dumps({"type": "rollout.halted", "timestamp": "2027-01-15T08:00:00Z", "data": {"app": "reader"}}).encode()


def signed(*keys: bytes, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return headers_for("msg_1", at, body, keys or (KEY,))


def test_the_reference_vector() -> None:
    """The vector that libraries of Standard Webhooks are tested with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = headers_for("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_was_signed_is_read() -> None:
    event = verify_webhook(secret_text(KEY), {k.title(): v for k, v in signed().items()}, BODY, now=NOW + 299)
    assert (event.message, event.type, event.at) == ("msg_1", "rollout.halted", "2027-01-15T08:00:00Z")
    assert event.data == {"app": "reader"}
    assert event.type in EVENTS


def test_during_a_rotation_either_secret_fits() -> None:
    headers = signed(b"n" * 32, KEY)
    for key in (b"n" * 32, KEY):
        assert verify_webhook(secret_text(key), headers, BODY, now=NOW).message == "msg_1"
    with pytest.raises(UntrustedError):
        verify_webhook(secret_text(b"x" * 32), headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("change", "body"),
    [
        ({"webhook-id": "msg_2"}, BODY),
        ({"webhook-timestamp": str(NOW + 1)}, BODY),
        ({"webhook-signature": "v1,"}, BODY),
        ({"webhook-signature": "v1a," + "A" * 43 + "="}, BODY),
        ({"webhook-signature": "ü" * 99}, BODY),
        ({}, BODY + b" "),
    ],
)
def test_any_change_is_noticed(change: dict[str, str], body: bytes) -> None:
    with pytest.raises(UntrustedError, match="not signed"):
        verify_webhook(secret_text(KEY), {**signed(), **change}, body, now=NOW)


def test_no_headers_at_all() -> None:
    with pytest.raises(UntrustedError):
        verify_webhook(secret_text(KEY), {}, BODY, now=NOW)


@pytest.mark.parametrize("late_s", [-301, 301])
def test_an_old_message_cannot_be_replayed(late_s: int) -> None:
    with pytest.raises(UntrustedError, match="too long ago"):
        verify_webhook(secret_text(KEY), signed(), BODY, now=NOW + late_s)


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"type": 1, "timestamp": "", "data": {}}', b"\xff"])
def test_signed_but_no_event(body: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        verify_webhook(secret_text(KEY), signed(body=body), body, now=NOW)
    assert caught.value.code == "malformed"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_!!", "whsec_" + "A" * 400])
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(RefusedError, match="no webhook secret"):
        verify_webhook(secret, signed(), BODY, now=NOW)

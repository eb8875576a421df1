"""Ceremonies whose keys never meet: requests go out, signatures come back, and a real client follows."""

from __future__ import annotations

import pytest

from headway.contract.errors import RefusedError, UntrustedError
from headway.publisher.ceremonies import create_app, status
from headway.publisher.requests import Asked, signing_request
from headway.trust.keys import KeyFolder
from headway.trust.offline import DetachedSignature, SigningRequest, answer, merge

from .conftest import BASE_ID
from .test_ceremonies import Phone, forge


@pytest.fixture
def holders(registry, clock, tmp_path) -> dict[str, KeyFolder]:
    """Every offline key in a folder of its own, and none of them where the registry is reached from."""
    keys = KeyFolder(tmp_path / "keys")
    assert create_app(registry, keys, [BASE_ID], now=clock)
    hands = {}
    for name in [name for name in keys.names() if name != "publisher"]:
        hands[name] = KeyFolder(tmp_path / f"at-{name}")
        hands[name].add(name, keys.load(name))
        (tmp_path / "keys" / f"{name}.pem").unlink()
    hands["release machine"] = keys
    return hands


@pytest.fixture
def phone(registry, network, holders, clock) -> Phone:
    phone = Phone(registry, network, holders["release machine"], clock)
    phone.poll()
    return phone


def exchanged(registry, request: SigningRequest, *signers) -> bool:
    """By files: each holder reads the request's bytes and answers with bytes; the role is posted."""
    sent = request.to_bytes()
    files = [answer(SigningRequest.from_bytes(sent), key).to_bytes() for key in signers]
    data = merge(request, [DetachedSignature.from_bytes(file) for file in files])
    return registry.post_role(request.role, data).changed


def role(registry, holders, name):
    return next(row for row in status(registry, holders["release machine"]) if row.role == name)


def test_online_keys_are_replaced_though_no_offline_key_is_here(registry, network, holders, phone, clock, tmp_path):
    thief = KeyFolder(tmp_path / "data" / "keys" / registry.app).load("timestamp")
    by_name = {name: folder.load(name) for name, folder in holders.items() if name != "release machine"}
    for document, names in (("root", ("root-1", "root-3")), ("targets", ("targets-2", "targets-3"))):
        request = signing_request(registry, document, Asked(online=True), now=clock)
        assert exchanged(registry, request, *(by_name[name] for name in names))
        phone.poll()
    registry.set_poll_interval("stable", BASE_ID, 60)
    assert phone.poll().channel("stable", BASE_ID).document.poll_after_s == 60
    forge(registry, network, thief, 1_000_000, clock)
    with pytest.raises(UntrustedError) as caught:
        phone.poll()
    assert caught.value.code == "bad_signature"


def test_a_root_key_is_replaced_and_thresholds_change(registry, holders, phone, clock):
    by_name = {name: folder.load(name) for name, folder in holders.items() if name != "release machine"}
    new = holders["root-2"].create("root-2-v2")
    asked = Asked({by_name["root-2"].public.keyid: new.public}, {"root": 3})
    request = signing_request(registry, "root", asked, now=clock)
    with pytest.raises(UntrustedError):
        exchanged(registry, request, by_name["root-1"], by_name["root-3"])  # enough for the old root alone
    assert exchanged(registry, request, by_name["root-1"], by_name["root-3"], new)
    phone.poll()
    root = role(registry, holders, "root")
    assert (root.threshold, new.public.keyid in dict(root.keys)) == (3, True)
    assert by_name["root-2"].public.keyid not in dict(root.keys)
    again = signing_request(registry, "root", now=clock)
    with pytest.raises(UntrustedError):
        exchanged(registry, again, by_name["root-1"], by_name["root-2"], by_name["root-3"])
    assert exchanged(registry, again, by_name["root-1"], new, by_name["root-3"])
    phone.poll()


def test_what_a_role_does_not_say_is_refused(registry, holders, clock):
    keyid = holders["root-1"].load("root-1").public.keyid
    new = holders["root-1"].create("spare").public
    for document, asked in (
        ("targets", Asked(replaced={keyid: new})),
        ("root", Asked(thresholds={"bases": 1})),
        ("bases", Asked(online=True)),
    ):
        with pytest.raises(RefusedError) as caught:
            signing_request(registry, document, asked, now=clock)
        assert caught.value.code == "not_in_this_role"
    with pytest.raises(RefusedError) as caught:
        signing_request(registry, "root", Asked(thresholds={"root": 4}), now=clock)
    assert caught.value.code == "bad_threshold"

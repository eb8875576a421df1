"""The publishing commands, run as people run them, against a real registry over loopback HTTP."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from headway.cli.main import run
from headway.cli.options import There
from headway.cli.settings import load
from headway.device.bundle import AppConfig, write_bundle
from headway.publisher.rotations import post_targets
from headway.trust.ceremony import admit
from headway.trust.client import utc_now
from headway.trust.keys import KeyFolder
from headway_server.app import create_app, make_ports
from headway_server.catalog import tokens
from headway_server.db.engine import SqlDatabase
from headway_server.examining import AbsentExaminer
from headway_server.ports import Actor
from headway_server.settings import Settings

from .conftest import BASE_ID
from .releases import copy_of


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop(tmp_path, empty_database, monkeypatch) -> Iterator[Path]:
    """A registry on a port of its own, the settings to reach it, and an empty folder to work in."""
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    (settings.data_dir / "headway.db").write_bytes(empty_database.read_bytes())
    database = SqlDatabase(settings.resolved_database_url)
    ports = make_ports(settings, database=database, examiner=AbsentExaminer())
    _, token = tokens.create(ports, Actor("test", "test"), app=None, scopes=["read", "publish", "release", "admin"])
    with make_server("127.0.0.1", 0, create_app(ports).wsgi, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setenv("HEADWAY_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HEADWAY_TOKEN", token)
        monkeypatch.setenv("HEADWAY_APP", "reader")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
        folder = tmp_path / "work"
        folder.mkdir()
        monkeypatch.chdir(folder)
        yield folder
        server.shutdown()
        thread.join()
    database.close()


def told(capsys, *arguments: str) -> dict:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_from_nothing_to_a_rollout(shop, capsys, base, heads):
    assert run(["keys", "create", "--base-id", BASE_ID]) == 0
    assert Path(capsys.readouterr().out.strip()).read_bytes().startswith(b"{")
    assert run(["bases", "publish", str(base), "--base-id", BASE_ID, "--version", "1"]) == 0
    capsys.readouterr()
    published = told(capsys, "heads", "publish", str(heads[0]), "--name", "topic", "--base", str(base))
    assert (published["schema"], published["version"], published["new"]) == (1, "1", True)
    assert not told(capsys, "heads", "publish", str(heads[0]), "--name", "topic", "--base", str(base))["new"]
    (shown,) = told(capsys, "heads", "show", "topic@1")["heads"]
    assert {line["verdict"] for line in shown["gate"]} == {"passed"}
    assert (shown["proof_runs"], len(shown["proofs"])) == ([], 1)
    (again,) = told(capsys, "proofs", "rerun", "topic@1")["runs"]
    assert again["result"] == "not_run"  # this registry has nothing to open models with
    assert told(capsys, "proofs", "list")["runs"] == [again]
    assert run(["proofs", "rerun", "topic@2"]) == 5
    capsys.readouterr()
    assert run(["channels", "offer", "topic@1", "--share", "12.5"]) == 0
    rollout = capsys.readouterr().out.strip()
    assert told(capsys, "channels", "show")["offers"][0]["rollout"]["permyriad"] == 1250
    assert told(capsys, "rollout", "tick", rollout)["decision"]["action"] in ("wait", "hold", "advance")
    assert run(["rollout", "hold", rollout]) == 0
    capsys.readouterr()
    assert told(capsys, "rollout", "show", rollout)["rollout"]["state"] == "held"
    assert run(["channels", "recall", "topic@1", "--reason", "wrong labels"]) == 0
    assert run(["channels", "personalise", "topic", "hold"]) == 0
    assert run(["heads", "revoke", "topic@1"]) == 0
    capsys.readouterr()
    document = told(capsys, "channels", "show")
    assert (len(document["recalls"]), document["personalise"]) == (1, {"topic": "hold"})
    assert [r["name"] for r in told(capsys, "heads", "list")["heads"]] == ["topic"]
    (listed,) = told(capsys, "bases", "list")["bases"]
    assert listed["base_id"] == BASE_ID
    for reference in (f"{BASE_ID}@1", listed["package"]):
        asked = told(capsys, "bases", "impact", reference)
        assert (asked["base"], asked["lost_permyriad"]) == (listed["package"], 0)
    assert run(["bases", "impact", f"{BASE_ID}@2"]) == 1
    assert run(["bases", "impact", f"{BASE_ID}@1"]) == 0
    assert "Lost: no head" in capsys.readouterr().err
    for table in (
        ["heads", "list"],
        ["heads", "show", "topic@1"],
        ["proofs", "list"],
        ["bases", "list"],
        ["channels", "show"],
        ["rollout", "list"],
        ["heads", "lineage"],
    ):
        assert run(table) == 0


def test_prove_shows_figures_and_ends_with_8_where_they_miss(capsys, base, heads, tmp_path):
    proven = told(capsys, "prove", str(heads[0]), "--base", str(base))["proofs"][0]
    assert (proven["proven"], proven["proof"]["agreement_permyriad"]) == (True, 10_000)
    assert run(["prove", str(heads[0]), "--base", str(base)]) == 0
    mixed = copy_of(heads[0], tmp_path / "mixed")
    shutil.copy(heads[1] / "golden.safetensors", mixed / "golden.safetensors")
    capsys.readouterr()
    assert run(["prove", str(mixed), "--base", str(base)]) == 8
    assert "Not proven: " in capsys.readouterr().err


def test_staged_offer(shop, capsys, base, heads):
    run(["keys", "create", "--base-id", BASE_ID])
    run(["bases", "publish", str(base), "--base-id", BASE_ID, "--version", "1"])
    run(["heads", "publish", str(heads[0]), "--name", "topic", "--base", str(base)])
    capsys.readouterr()
    stages = ("--stage", "5:3600:20", "--stage", "100:0:1")
    rollout = told(capsys, "channels", "offer", "topic@1", *stages)["rollout"]
    assert rollout["permyriad"] == 500
    assert [stage["permyriad"] for stage in rollout["schedule"]] == [500, 10_000]
    asked = ("explain", "--name", "topic")
    assert told(capsys, *asked, "--current", "1")["sentence"] == "It keeps topic@1; nothing newer is offered."
    expired = told(capsys, *asked, "--expired")
    assert (expired["chosen"], expired["verdicts"][0]["reasons"][0]) == (None, "expired_metadata")
    assert told(capsys, *asked, "--failed", "1", "--clock-behind")["reasons"][:2] == ["clock", "quarantined_here"]
    assert told(capsys, *asked, "--floor", "2")["reasons"][0] == "below_floor"
    assert run([*asked, "--install-id", "late", "--zh"]) == 0
    assert "内嵌的分类头" in capsys.readouterr().err


def test_keys_over_their_life(shop, capsys):
    assert run(["keys", "create", "--base-id", BASE_ID]) == 0
    assert run(["keys", "rotate", "publisher"]) == 0
    assert run(["keys", "request", "root", "--out", "root.request"]) == 0
    for name in ("root-1", "root-3"):
        assert run(["keys", "sign", "root.request", "--key", name, "--out", f"{name}.signature"]) == 0
    assert run(["keys", "merge", "root.request", "root-1.signature", "root-3.signature"]) == 0
    assert run(["keys", "threshold", "targets", "3"]) == 0
    assert run(["keys", "delegate", "second"]) == 0
    assert run(["keys", "renew", "bases"]) == 0
    assert run(["keys", "split", "second", "--bins", "4"]) == 0
    assert run(["keys", "split", "second", "--bins", "3"]) != 0
    assert "Give a power of 2" in capsys.readouterr().err
    roles = {row["role"]: row for row in told(capsys, "keys", "show")["roles"]}
    assert (roles["root"]["version"], roles["targets"]["threshold"]) == (3, 3)
    assert roles["bases"]["keys"][0]["name"] == "publisher-v2"
    assert (roles["heads-second"]["bins"], roles[f"heads-{BASE_ID}"]["bins"]) == (4, 0)
    assert run(["keys", "export", "root.json"]) == 0
    assert json.loads(Path("root.json").read_bytes())["signed"]["version"] == 3
    assert run(["keys", "show"]) == 0


def test_after_a_theft_the_releases_of_the_key_are_listed_with_what_orders_them_off(shop, capsys, base, heads):
    run(["keys", "create", "--base-id", BASE_ID])
    run(["bases", "publish", str(base), "--base-id", BASE_ID, "--version", "1"])
    run(["heads", "publish", str(heads[0]), "--name", "topic", "--base", str(base)])
    capsys.readouterr()
    roles = {row["role"]: row for row in told(capsys, "keys", "show")["roles"]}
    stolen = roles["bases"]["keys"][0]["keyid"]
    assert run(["keys", "rotate", "publisher"]) == 0
    assert "headway keys signed" in capsys.readouterr().err
    (listed,) = told(capsys, "keys", "signed", stolen)["releases"]
    assert (listed["release"], listed["state"], listed["signed"]) == (1, "live", True)
    assert run(["keys", "signed", stolen]) == 0
    assert listed["commands"][0] in capsys.readouterr().out
    assert run(shlex.split(listed["commands"][0])[1:]) == 0
    assert "leave it at their next good poll" in capsys.readouterr().err
    (listed,) = told(capsys, "keys", "signed", stolen)["releases"]
    assert (listed["state"], listed["commands"]) == ("revoked", [])
    assert run(["keys", "signed", "0" * 64]) == 0
    assert "no head release" in capsys.readouterr().err


def test_a_publishers_key_is_taken_out_beside_another(shop, capsys, base, heads):
    run(["keys", "create", "--base-id", BASE_ID])
    run(["bases", "publish", str(base), "--base-id", BASE_ID, "--version", "1"])
    run(["heads", "publish", str(heads[0]), "--name", "topic", "--base", str(base)])
    there = There(load({}))
    folder = there.keys()
    gone, second = folder.load("publisher").public.keyid, folder.create("second")
    with there.registry() as registry:
        beside = admit(registry.role("targets"), second.public, beside=gone, now=utc_now())
        post_targets(registry, beside, folder.all(), now=utc_now)
    capsys.readouterr()
    assert run(["keys", "revoke", gone]) == 0
    said = capsys.readouterr()
    assert "stays on devices until you order it off" in said.err
    assert f"headway heads revoke topic@1 --base-id {BASE_ID}" in said.out
    roles = {row["role"]: row for row in told(capsys, "keys", "show")["roles"]}
    assert [key["name"] for key in roles["bases"]["keys"]] == ["second"]


def test_a_publisher_comes_and_goes_and_keys_change_by_file_exchange(shop, capsys):
    run(["keys", "create", "--base-id", BASE_ID])
    keyids = {name: KeyFolder(Path("keys")).load(name).public.keyid for name in ("publisher", "targets-1")}
    assert run(["keys", "make", "second", "--out", "second.public", "--keys", "elsewhere"]) == 0
    assert run(["keys", "make", "second", "--out", "again.public", "--keys", "elsewhere"]) == 0
    assert Path("second.public").read_bytes() == Path("again.public").read_bytes()
    assert run(["keys", "admit", "second.public", "--beside", keyids["publisher"]]) == 0
    (Path("elsewhere") / "second.pem").rename("keys/second.pem")
    assert run(["keys", "revoke", keyids["publisher"]]) == 0
    assert run(["keys", "make", "new", "--out", "new.public", "--keys", "elsewhere"]) == 0
    replaced = f"{keyids['targets-1']}=new.public"
    request = ["keys", "request", "root", "--out", "r"]
    assert run(["keys", "request", "targets", "--out", "t", "--threshold", f"heads-{BASE_ID}=1", "--online"]) == 0
    for name in ("targets-2", "targets-3"):
        assert run(["keys", "sign", "t", "--key", name, "--out", name]) == 0
    assert run(["keys", "merge", "t", "targets-2", "targets-3"]) == 0
    assert run([*request, "--replace", replaced, "--threshold", "root=3", "--online"]) == 0
    for name in ("root-1", "root-2", "root-3"):
        assert run(["keys", "sign", "r", "--key", name, "--out", name]) == 0
    assert run(["keys", "merge", "r", "root-1", "root-2", "root-3"]) == 0
    capsys.readouterr()
    roles = {row["role"]: row for row in told(capsys, "keys", "show")["roles"]}
    assert (roles["root"]["threshold"], roles["root"]["version"]) == (3, 2)
    assert keyids["targets-1"] not in {key["keyid"] for key in roles["targets"]["keys"]}
    assert [key["name"] for key in roles["bases"]["keys"]] == ["second"]
    assert run([*request, "--replace", "x"]) == 2
    assert run([*request, "--threshold", "root=many"]) == 2
    assert run([*request, "--threshold", "bases=2"]) == 5


def test_one_signature_of_two_is_not_enough(shop, capsys):
    run(["keys", "create", "--base-id", BASE_ID])
    run(["keys", "request", "root", "--out", "r"])
    run(["keys", "sign", "r", "--key", "root-1", "--out", "s"])
    assert run(["keys", "merge", "r", "s"]) == 3
    assert "bad_signature" in capsys.readouterr().err


def test_a_file_of_the_wrong_kind_is_named(shop, capsys):
    assert run(["keys", "create", "--base-id", BASE_ID]) == 0
    assert run(["keys", "request", "root", "--out", "r"]) == 0
    assert run(["keys", "sign", "r", "--key", "root-1", "--out", "s"]) == 0
    Path("text").write_text("hello")
    for name, kind in (
        ("s", "a signature file"),
        ("keys/trust/root.json", "signed metadata"),
        ("keys/root-1.pem", "a key file"),
        ("text", "no JSON document"),
    ):
        capsys.readouterr()
        assert run(["keys", "sign", name, "--key", "root-1", "--out", "out"]) == 1
        assert f"Error [wrong_file]: {name}: The file is {kind}, not a signing request." in capsys.readouterr().err
        assert not Path("out").exists()
    assert run(["keys", "merge", "r", "s", "r"]) == 1
    assert "r: The file is a signing request, not a signature file." in capsys.readouterr().err


def test_keys_of_another_app_leave_nothing_behind(shop, capsys):
    assert run(["keys", "create", "--base-id", BASE_ID]) == 0
    assert run(["keys", "create", "--base-id", BASE_ID, "--app", "other"]) == 6
    with There(load({"app": "other"})).registry() as registry:
        assert not registry.knows_app()
    assert run(["keys", "create", "--base-id", BASE_ID, "--app", "other", "--keys", "others"]) == 0


def test_a_recalled_head_is_not_called_live_and_a_bundle_may_follow_another_address(shop, capsys, base, heads):
    run(["keys", "create", "--base-id", BASE_ID])
    run(["bases", "publish", str(base), "--base-id", BASE_ID, "--version", "1"])
    run(["heads", "publish", str(heads[0]), "--name", "topic", "--base", str(base)])
    run(["channels", "offer", "topic@1", "--share", "100"])
    nowhere = AppConfig.for_registry("http://127.0.0.1:9", "reader", "stable", BASE_ID, 1, {"topic": 0})
    write_bundle(shop / "app", nowhere, Path("keys/trust/root.json").read_bytes(), base, {"topic": heads[1]})
    poll = ["poll", "--bundle", "app", "--store", "phone"]
    assert run(poll) == 7
    capsys.readouterr()
    (polled,) = told(capsys, *poll, "--url", os.environ["HEADWAY_URL"])["heads"]
    assert (polled["name"], polled["status"], polled["release"]) == ("topic", "staged", 1)
    run(["channels", "recall", "topic@1", "--reason", "wrong labels"])
    capsys.readouterr()
    (listed,) = told(capsys, "heads", "list")["heads"]
    assert (listed["state"], listed["recalled_on"]) == ("live", ["stable"])
    assert told(capsys, "heads", "show", "topic@1")["heads"][0]["recalled_on"] == ["stable"]
    for command in (["heads", "list"], ["heads", "show", "topic@1"]):
        assert run(command) == 0
        assert "recalled on stable" in capsys.readouterr().out
    run(["heads", "revoke", "topic@1"])
    capsys.readouterr()
    assert run(["heads", "list"]) == 0
    shown = capsys.readouterr().out
    assert "revoked" in shown
    assert "live" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["heads", "revoke", "topic"], 2, "malformed_reference"),
        (["channels", "recall", "topic@9", "--reason", "x", "--base-id", "kd"], 5, "no_such_release"),
        (["channels", "offer", "topic@1"], 1, "which_base"),
        (["channels", "offer", "topic@1", "--base-id", "kd", "--stage", "5:day"], 2, "bad_schedule"),
        (["channels", "offer", "topic@1", "--base-id", "kd", "--stage", "101:1:1"], 2, "bad_share"),
        (["channels", "offer", "topic@1", "--base-id", "kd", "--share", "0.001"], 2, "bad_share"),
        (["channels", "offer", "topic@1", "--share", "5", "--stage", "5:1:1"], 2, "share_or_stages"),
        (["heads", "alias", "show", "topic", "x", "--at", "yesterday", "--base-id", "kd"], 2, "malformed_time"),
        (["heads", "label", "set", "topic@1", "reviewed"], 2, "bad_label"),
        (["proofs", "rerun", "topic@77"], 5, "no_such_proof"),
        (["keys", "create", "--base-id", "kd", "--app", "other"], 6, "keys_of_another_app"),
        (["keys", "create", "--base-id", "kd", "--app", "other", "--count", "1"], 1, "bad_threshold"),
        (["keys", "create", "--base-id", "kd", "--app", "other", "--keys", "root.json/keys"], 1, "cannot_write"),
        (["heads", "list", "--url", "127.0.0.1:8080"], 1, "bad_url"),
        (["bases", "publish", "nowhere", "--base-id", "kd", "--version", "1"], 5, "no_release"),
        (["bases", "publish", ".", "--base-id", "kd", "--version", "1", "--waive", "size"], 2, "bad_waiver"),
        (["bases", "publish", ".", "--base-id", "kd", "--version", "1", "--waive", "size="], 2, "bad_waiver"),
        (["keys", "sign", "nowhere", "--key", "root-1", "--out", "s"], 5, "no_such_file"),
    ],
)
def test_mistakes_get_a_sentence_and_a_code(shop, capsys, arguments, code, word):
    run(["keys", "create", "--base-id", BASE_ID])
    Path("root.json").touch()
    capsys.readouterr()
    assert run(arguments) == code
    error = capsys.readouterr().err
    assert f"Error [{word}]" in error
    assert "Hint: " in error


def test_wrong_token_and_dead_registry(shop, capsys, monkeypatch):
    monkeypatch.setenv("HEADWAY_TOKEN", "hw_live_0_0")
    assert run(["heads", "list"]) == 4
    monkeypatch.setenv("HEADWAY_URL", "http://127.0.0.1:9")
    assert run(["heads", "list"]) == 7

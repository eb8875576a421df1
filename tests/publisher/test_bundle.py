"""Reading a release folder or zip: exactly a release, or a reason. Nothing is renamed, skipped or repaired."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.contract.digests import digest_of
from headway.contract.errors import RefusedError
from headway.publisher.bundle import BASE_FILES, HEAD_FILES, check_contents, media_type, open_release
from headway.publisher.describe import digests_in, newest_release
from headway.publisher.gate import Waiver, open_metrics, waived_card

DIGEST = "sha256:" + "ab" * 32


def refused(code: str):
    return pytest.raises(RefusedError, check=lambda error: error.code == code)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A head release by its names; the bytes do not matter here."""
    release = tmp_path / "head"
    release.mkdir()
    for name in HEAD_FILES:
        (release / name).write_text(json.dumps({"name": name}))
    return release


def read(path: Path, kind: str = "head"):
    with open_release(kind, path) as (release, _):
        return release


def pack(folder: Path, to: Path, extra: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, str(path.relative_to(folder)))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return to


def test_manifest_lists_exactly_the_folder(folder):
    release = read(folder)
    manifest = release.manifest(app="reader", name="topic", version="1", facts={"run": 3})
    assert {file.path for file in manifest.files} == HEAD_FILES
    for file in manifest.files:
        data = (folder / file.path).read_bytes()
        assert (file.digest, file.size) == (digest_of(data), len(data))
    assert manifest.facts == {"run": 3}
    assert b"".join(release.file("labels.json").chunks()) == (folder / "labels.json").read_bytes()


def test_zip_gives_the_same_manifest(folder, tmp_path):
    archive = pack(folder, tmp_path / "head.zip")
    made = [read(path).manifest(app="reader", name="topic", version="1").digest for path in (folder, archive)]
    assert made[0] == made[1]


@pytest.mark.parametrize("name", sorted(HEAD_FILES))
def test_missing_file(folder, name):
    (folder / name).unlink()
    with refused("missing_file"):
        read(folder)


@pytest.mark.parametrize("name", ["notes.txt", "sub/head.mlmodel", "HEAD.mlmodel.bak"])
def test_extra_file(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    with refused("extra_file"):
        read(folder)


def test_hidden_file(folder):
    (folder / ".DS_Store").write_text("x")
    with refused("unsafe_path"):
        read(folder)


def test_symlink_is_not_followed(folder, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (folder / "card.json").unlink()
    (folder / "card.json").symlink_to(tmp_path / "secret")
    with pytest.raises(RefusedError):
        read(folder)


def test_symlinked_folder_is_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError):
        read(folder)


def test_named_pipe_is_not_opened(folder):
    (folder / "card.json").unlink()
    os.mkfifo(folder / "card.json")
    with pytest.raises(RefusedError):
        read(folder)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a\\b", "C:evil", "card.json/../x", "x" * 300])
def test_zip_with_a_hostile_name(folder, tmp_path, name):
    with pytest.raises(RefusedError):
        read(pack(folder, tmp_path / "evil.zip", {name: b"x"}))
    assert not (tmp_path / "evil").exists()


def test_zip_with_one_name_twice(folder, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = pack(folder, tmp_path / "twice.zip", {"card.json": b"{}"})
    with pytest.raises(RefusedError):
        read(archive)


def test_zip_bomb(folder, tmp_path):
    (folder / "card.json").unlink()
    with pytest.raises(RefusedError) as caught:
        read(pack(folder, tmp_path / "bomb.zip", {"card.json": b"\0" * (33 * 2**20)}))
    assert caught.value.code == "too_large"


def test_file_above_the_limit(folder):
    with (folder / "head.mlmodel").open("wb") as file:
        file.truncate(33 * 2**20)
    with refused("too_large"):
        read(folder)


def test_nothing_there(tmp_path):
    with refused("no_release"):
        read(tmp_path / "nothing")


def test_base_needs_its_package():
    with refused("missing_file"):
        check_contents("base", dict.fromkeys(BASE_FILES))
    check_contents("base", dict.fromkeys([*BASE_FILES, "base.mlpackage/Manifest.json"]))


@given(st.sets(st.text(alphabet="abA./_-\\", min_size=1, max_size=12), max_size=5))
def test_any_further_name_is_refused(names):
    names -= HEAD_FILES
    if not names:
        return
    with pytest.raises(RefusedError) as caught:
        check_contents("head", dict.fromkeys([*HEAD_FILES, *names]))
    assert caught.value.code in ("extra_file", "unsafe_path")


def test_media_types_are_known():
    assert media_type("labels.json") == "application/json"
    assert media_type("base.mlpackage/Data/weight.bin") == "application/octet-stream"


# --- the gate ----------------------------------------------------------------------------------------------------


def card(*lines: tuple[str, str], **more: object) -> dict[str, object]:
    return {"gate": [{"metric": metric, "verdict": verdict} for metric, verdict in lines], **more}


def test_passed_gate_needs_nothing():
    whole = card(("size", "passed"), note="ä")
    assert waived_card(whole, ()) == whole


@pytest.mark.parametrize("verdict", ["failed", "not evidenced"])
def test_open_line_stops_the_release_until_it_is_waived(verdict):
    whole = card(("size", "passed"), ("latency", verdict))
    with refused("gate_not_met"):
        waived_card(whole, ())
    assert open_metrics(whole) == ("latency",)
    waived = waived_card(whole, [Waiver("latency", " no device yet ")])
    assert open_metrics(waived) == ()
    assert waived["waivers"] == [{"metric": "latency", "reason": "no device yet"}]
    assert waived_card(waived, ()) == waived


@pytest.mark.parametrize("waiver", [Waiver("speed", "why not"), Waiver("latency", " ")])
def test_waiver_needs_a_metric_and_a_reason(waiver):
    with refused("bad_waiver"):
        waived_card(card(("latency", "failed")), [waiver])


@pytest.mark.parametrize("gate", [{}, "passed", [1], [{"metric": "x"}]])
def test_card_with_a_strange_gate(gate):
    with refused("bad_card"):
        waived_card({"gate": gate}, ())


# --- facts from files --------------------------------------------------------------------------------------------


def test_digests_are_found_wherever_a_card_puts_them():
    whole = {"data": {"train": DIGEST, "rows": 10}, "runs": [{"config": DIGEST}], "名": DIGEST, "text": "sha"}
    assert digests_in(whole) == {"card.data.train": DIGEST, "card.runs[0].config": DIGEST}


def test_next_number(folder):
    release = read(folder)
    same = {"head": release.file("head.mlmodel").digest, "custom": {"labels": release.file("labels.json").digest}}
    other = {"head": DIGEST, "custom": {"labels": DIGEST}}
    assert newest_release([], "kd", release) == 1
    assert newest_release([{"base_id": "kd", "release": 4, **other}], "kd", release) == 5
    assert newest_release([{"base_id": "kd", "release": 4, **same}], "kd", release) == 4
    assert newest_release([{"base_id": "other", "release": 4, **other}], "kd", release) == 1

"""The program ``headway-tuf`` against a generic repository over real HTTP on loopback.

The repository here is not one of ours: other key types, roles with any name, files without signed facts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from headway.cli.tuf import run

TOP = ("root", "timestamp", "snapshot", "targets")


@cache
def top_level_signers() -> dict[str, CryptoSigner]:
    return {
        "root": CryptoSigner.generate_ecdsa(),
        "timestamp": CryptoSigner.generate_ed25519(),
        "snapshot": CryptoSigner.generate_rsa(scheme="rsassa-pss-sha256"),
        "targets": CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256"),
    }


class GenericRepository:
    """Four roles with keys of four kinds, consistent or not, and as many delegations as a test adds."""

    def __init__(self, consistent: bool = True) -> None:
        self.expiry = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        self.signers = dict(top_level_signers())
        self.root = Root(expires=self.expiry, consistent_snapshot=consistent)
        for role in TOP:
            self.root.add_key(self.signers[role].public_key, role)
        self.targets: dict[str, Targets] = {"targets": Targets(expires=self.expiry)}
        self.snapshot = Snapshot(expires=self.expiry)
        self.timestamp = Timestamp(expires=self.expiry)
        self.served: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.sign("root", self.root)

    def sign(self, role: str, signed) -> bytes:
        metadata = Metadata(signed)
        metadata.sign(self.signers[role])
        data = metadata.to_bytes()
        versioned = role != "timestamp" and (role == "root" or self.root.consistent_snapshot)
        self.served[f"/metadata/{signed.version}.{role}.json" if versioned else f"/metadata/{role}.json"] = data
        return data

    def delegate(self, parent: str, name: str, paths: list[str], terminating: bool = False) -> None:
        signer = self.signers.setdefault(name, CryptoSigner.generate_ecdsa())
        self.targets.setdefault(name, Targets(expires=self.expiry))
        delegator = self.targets[parent]
        delegator.delegations = delegator.delegations or Delegations({}, {})
        delegator.delegations.roles[name] = DelegatedRole(name, [], 1, terminating, paths=paths)
        delegator.add_key(signer.public_key, name)

    def add(self, role: str, path: str, data: bytes) -> None:
        file = TargetFile.from_data(path, data, ["sha256"])
        self.targets[role].targets[path] = file
        for served in file.get_prefixed_paths() if self.root.consistent_snapshot else [path]:
            self.served[f"/targets/{served}"] = data

    def publish(self) -> None:
        if "/metadata/timestamp.json" in self.served:
            for targets in self.targets.values():
                targets.version += 1
            self.snapshot.version += 1
            self.timestamp.version += 1
        for role, targets in self.targets.items():
            self.sign(role, targets)
            self.snapshot.meta[f"{role}.json"] = MetaFile(targets.version)
        self.sign("snapshot", self.snapshot)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.sign("timestamp", self.timestamp)


@pytest.fixture
def repository() -> GenericRepository:
    return GenericRepository()


class Device:
    """A metadata folder, a target folder, and the program's command line."""

    def __init__(self, repository: GenericRepository, url: str, folder: Path) -> None:
        self.metadata, self.targets = folder / "metadata", folder / "targets"
        self.url = url
        root = folder / "initial_root.json"
        root.write_bytes(repository.served["/metadata/1.root.json"])
        assert run(["--metadata-dir", str(self.metadata), "init", str(root)]) == 0

    def refresh(self) -> int:
        return run(["--metadata-url", self.url + "/metadata/", "--metadata-dir", str(self.metadata), "refresh"])

    def download(self, name: str) -> int:
        return run(
            [
                *("--metadata-url", self.url + "/metadata", "--metadata-dir", str(self.metadata)),
                *("--target-name", name, "--target-dir", str(self.targets)),
                *("--target-base-url", self.url + "/targets", "download"),
            ]
        )

    def files(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.targets.glob("*"))] if self.targets.exists() else []

    def version(self, role: str) -> int | None:
        path = self.metadata / f"{role}.json"
        return json.loads(path.read_bytes())["signed"]["version"] if path.exists() else None


@pytest.fixture
def url(repository) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository.requests.append(self.path)
            data = repository.served.get(unquote(self.path))
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def device(repository, url, tmp_path) -> Device:
    return Device(repository, url, tmp_path)


@pytest.mark.parametrize("consistent", [True, False])
def test_refresh_asks_in_order_and_stores_exact_bytes(repository, device, consistent):
    repository.root.consistent_snapshot = consistent
    repository.root.version += 1
    repository.sign("root", repository.root)
    repository.publish()
    assert device.refresh() == 0
    names = [path.removeprefix("/metadata/") for path in repository.requests]
    expected = ["1.snapshot.json", "1.targets.json"] if consistent else ["snapshot.json", "targets.json"]
    assert names == ["2.root.json", "3.root.json", "timestamp.json", *expected]
    stored = {path.name for path in device.metadata.iterdir() if path.suffix == ".json"}
    assert stored == {f"{role}.json" for role in TOP}
    assert (device.metadata / "root.json").read_bytes() == repository.served["/metadata/2.root.json"]
    assert (device.metadata / "timestamp.json").read_bytes() == repository.served["/metadata/timestamp.json"]


def test_download_through_nested_delegations(repository, device):
    repository.delegate("targets", "team", ["team/*"])
    repository.delegate("team", "one", ["team/one-*"])
    repository.add("one", "team/one-x", b"content")
    repository.publish()
    assert device.download("team/one-x") == 0
    assert device.files() == [b"content"]
    assert [device.version("team"), device.version("one")] == [1, 1]


def test_downloaded_file_is_not_fetched_again(repository, device):
    repository.add("targets", "x.txt", b"content")
    repository.publish()
    assert device.download("x.txt") == 0
    repository.requests.clear()
    assert device.download("x.txt") == 0
    assert not any(path.startswith("/targets") for path in repository.requests)


def test_substituted_file_is_refused(repository, device):
    repository.add("targets", "x.txt", b"content")
    repository.publish()
    for path in list(repository.served):
        if path.startswith("/targets/"):
            repository.served[path] = b"evil!!!"
    assert device.download("x.txt") == 1
    assert device.files() == []


def test_unknown_target_fails_but_metadata_is_refreshed(repository, device, capsys):
    repository.publish()
    assert device.download("nothing") == 1
    assert device.version("targets") == 1
    assert "no_such_target" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["version", "signature"])
def test_broken_initial_root_makes_no_request(repository, device, damage):
    repository.publish()
    root = json.loads(repository.served["/metadata/1.root.json"])
    if damage == "version":
        del root["signed"]["version"]
    else:
        root["signatures"][0]["sig"] = "00" * 64
    (device.metadata / "root.json").write_text(json.dumps(root))
    assert device.refresh() == 1
    assert repository.requests == []


def test_equal_timestamp_version_keeps_the_old_one(repository, device):
    repository.publish()
    assert device.refresh() == 0
    before = (device.metadata / "timestamp.json").read_bytes()
    repository.timestamp.snapshot_meta = MetaFile(100)
    repository.sign("timestamp", repository.timestamp)
    assert device.refresh() == 0
    assert (device.metadata / "timestamp.json").read_bytes() == before


def test_expired_root_is_stored_but_nothing_else_moves(repository, device):
    repository.publish()
    assert device.refresh() == 0
    repository.root.version = 2
    repository.root.expires = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    repository.sign("root", repository.root)
    repository.publish()
    assert device.refresh() == 1
    assert [device.version(role) for role in TOP] == [2, 1, 1, 1]


def test_expired_delegated_role_is_not_used(repository, device):
    repository.delegate("targets", "late", ["*"])
    repository.targets["late"].expires = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    repository.add("late", "x", b"x")
    repository.publish()
    assert device.refresh() == 0
    assert device.download("x") == 1
    assert device.version("late") is None


@pytest.mark.parametrize("role", ["?", "#", "/delegated", "../delegated", "a b", "名"])
def test_any_role_name_is_quoted_on_the_wire_and_on_disk(repository, device, role):
    repository.delegate("targets", role, ["*"])
    repository.add(role, "x", b"x")
    repository.publish()
    assert device.download("x") == 0
    assert f"/metadata/1.{quote(role, safe='')}.json" in repository.requests
    assert {path.name for path in device.metadata.iterdir() if path.is_file()} == {
        *(f"{top}.json" for top in TOP),
        f"{quote(role, safe='')}.json",
    }


def test_cached_role_is_verified_against_its_delegator_of_today(repository, device):
    """The stored bytes are the same, but the key that made them is no longer the one delegated to."""
    repository.delegate("targets", "shared", ["*"])
    repository.add("shared", "x", b"x")
    repository.publish()
    assert device.download("x") == 0
    shared = repository.served["/metadata/1.shared.json"]
    repository.targets["targets"].delegations = None
    repository.signers["shared"] = CryptoSigner.generate_ed25519()
    repository.delegate("targets", "shared", ["*"])
    repository.publish()
    repository.targets["shared"].version = 1
    repository.snapshot.meta["shared.json"] = MetaFile(1)
    repository.snapshot.version += 1
    repository.sign("snapshot", repository.snapshot)
    repository.timestamp.version += 1
    repository.timestamp.snapshot_meta = MetaFile(repository.snapshot.version)
    repository.sign("timestamp", repository.timestamp)
    repository.served["/metadata/1.shared.json"] = shared
    assert device.download("x") == 1


@pytest.mark.parametrize(
    ("role", "stored"),
    [
        ("root", {"root"}),
        ("timestamp", {"root"}),
        ("snapshot", {"root", "timestamp"}),
        ("targets", {"root", "timestamp", "snapshot"}),
    ],
)
def test_refresh_goes_as_far_as_the_first_bad_signature(repository, device, role, stored):
    repository.publish()
    if role == "root":
        repository.root.version = 2
        repository.sign("root", repository.root)
    name = {"root": "2.root", "timestamp": "timestamp"}.get(role, f"1.{role}")
    metadata = json.loads(repository.served[f"/metadata/{name}.json"])
    metadata["signatures"][0]["sig"] = "00" * 64
    repository.served[f"/metadata/{name}.json"] = json.dumps(metadata).encode()
    assert device.refresh() == 1
    assert {path.stem for path in device.metadata.glob("*.json")} == stored
    assert device.version("root") == 1


def test_snapshot_threshold_counts_different_keys_only(repository, device):
    keys = repository.root.roles["snapshot"].keyids
    keys.extend([CryptoSigner.generate_ed25519().public_key.keyid, "0" * 64])
    repository.root.roles["snapshot"].threshold = 2
    repository.root.version = 2
    repository.sign("root", repository.root)
    repository.publish()
    assert device.refresh() == 1
    assert (device.version("root"), device.version("snapshot")) == (2, None)


def test_fast_forwarded_versions_recover_with_new_keys(repository, device):
    repository.publish()
    repository.timestamp.version = repository.snapshot.version = 99_999
    repository.publish()
    assert device.refresh() == 0
    for role in ("snapshot", "timestamp"):
        repository.root.revoke_key(repository.signers[role].public_key.keyid, role)
        repository.signers[role] = CryptoSigner.generate_ed25519()
        repository.root.add_key(repository.signers[role].public_key, role)
    repository.root.version = 2
    repository.sign("root", repository.root)
    repository.timestamp.version = repository.snapshot.version = 2
    repository.publish()
    assert device.refresh() == 0
    assert (device.version("timestamp"), device.version("snapshot")) == (3, 3)


def test_changed_target_replaces_the_old_file_under_one_name(repository, device):
    for content in (b"one", b"two"):
        repository.add("targets", "dir/x", content)
        repository.publish()
        assert device.download("dir/x") == 0
        assert device.files() == [content]


def test_unknown_fields_are_kept_and_verified(repository, device):
    repository.root.unrecognized_fields["x-note"] = {"a": [1, "二"]}
    repository.root.version = 2
    repository.sign("root", repository.root)
    repository.publish()
    assert device.refresh() == 0
    assert device.version("root") == 2


def test_trust_is_not_started_twice_by_accident(tmp_path, capsys):
    assert run(["--metadata-dir", str(tmp_path), "--metadata-url", "http://127.0.0.1:9/", "refresh"]) == 1
    assert "no_root" in capsys.readouterr().err


def test_missing_options_are_usage_errors(tmp_path):
    with pytest.raises(SystemExit) as caught:
        run(["--metadata-dir", str(tmp_path), "refresh"])
    assert caught.value.code == 2


def test_the_program_runs_as_a_process(repository, device):
    repository.publish()
    command = [sys.executable, "-c", "from headway.cli.tuf import main; main()", "--metadata-dir", str(device.metadata)]
    done = subprocess.run([*command, "--metadata-url", device.url + "/metadata/", "refresh"], timeout=300, check=False)
    assert done.returncode == 0
    assert device.version("snapshot") == 1

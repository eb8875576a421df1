"""With the extra ``sim``: uploaded models are validated and proven again, in a bounded process, before they count."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("coremltools", reason="needs the extra sim")
pytest.importorskip("onnxruntime", reason="needs the extra sim")

from headway.contract.digests import digest_of
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest
from headway.contract.proof import Proof
from headway.contract.targets import HeadTarget, ProvenBase
from headway.coreml.bounded import prove_bounded
from headway_server.app import create_app, make_ports
from headway_server.examining import BoundedExaminer, make_examiner
from headway_server.settings import Settings

from .conftest import Prepared, connect
from .test_bad_input import refused
from .world import FakeClock, HeadDraft, PublisherWorld, encoded, manifest_of

MODELS = Path(__file__).parents[2] / "ios_fixtures" / "models"
BASE, HEAD = MODELS / "base", MODELS / "heads" / "topic-1"

pytestmark = pytest.mark.skipif(
    not (BASE / "base.mlpackage").is_dir() or not (HEAD / "head.mlmodel").is_file(), reason="no model fixtures here"
)


def folder_files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def proof() -> Proof:
    """The publisher's own proof of the fixture head."""
    return prove_bounded(
        BASE / "base.mlpackage", HEAD / "head.mlmodel", HEAD / "golden.safetensors", HEAD / "labels.json"
    )


def examining(folder: Path, admin: str) -> PublisherWorld:
    """The publisher of ``reader`` on a server that opens models."""
    clock, settings = FakeClock(), Settings(data_dir=folder)
    examiner = make_examiner(settings)
    assert isinstance(examiner, BoundedExaminer)
    server = create_app(make_ports(settings, clock=clock, examiner=examiner))
    return PublisherWorld(connect(server), admin, "reader", clock)


@pytest.fixture(scope="module")
def with_base(prepared: dict[bool, Prepared], tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A server that has examined and registered the real base, prepared once."""
    folder = tmp_path_factory.mktemp("examining") / "data"
    shutil.copytree(prepared[False].folder, folder)
    made = examining(folder, prepared[False].admin)
    files = folder_files(BASE)
    for data in files.values():
        made.upload(data)
    manifest = manifest_of("base", "reader", "kd", "1", files)
    made.packages["kd"] = manifest.package_digest("base.mlpackage")
    body = {"base_id": "kd", "version": "1", "manifest": encoded(manifest.to_bytes())}
    answer = made.call("POST", "/bases", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["checked"] == "validated here"
    return Prepared(folder, prepared[False].admin, made)


@pytest.fixture
def world(with_base: Prepared, tmp_path: Path) -> PublisherWorld:
    """A copy of that server."""
    shutil.copytree(with_base.folder, tmp_path / "data")
    made = examining(tmp_path / "data", with_base.admin)
    made.packages = dict(with_base.world.packages)
    return made


@pytest.fixture
def draft_of(world: PublisherWorld, proof: Proof) -> Callable[..., HeadDraft]:
    def make(files: dict[str, bytes], **claims: object) -> HeadDraft:
        """A head of these files with a proof that claims to be about them, good or not."""
        manifest: Manifest = manifest_of("head", "reader", "topic", "1", files)
        head, golden = manifest.file("head.mlmodel").digest, manifest.file("golden.safetensors").digest
        claimed = replace(proof, head=head, golden=golden, **claims)
        contract = FeatureContract.from_bytes((BASE / "contract.json").read_bytes())
        target = HeadTarget(
            app="reader",
            base_id="kd",
            name="topic",
            release=1,
            head=head,
            parent=None,
            bases=(ProvenBase(world.packages["kd"], claimed.digest),),
            contract=contract.digest,
            labels=manifest.file("labels.json").digest,
            num_classes=len(json.loads(files["labels.json"])),
            min_os=(17, 0, 0),
            max_os=None,
            min_app_build=1,
            status="live",
            rebase="replay",
            bytes=manifest.total_bytes,
        )
        return HeadDraft(target, manifest, files, (claimed,))

    return make


def test_a_real_head_is_proven_again(world: PublisherWorld, draft_of: Callable[..., HeadDraft], proof: Proof) -> None:
    answer = world.register_head(draft_of(folder_files(HEAD)))
    assert answer.status_code == 201, answer.text
    assert answer.json()["checked"] == "validated here"
    (edge,) = answer.json()["edges"]
    assert edge["verdict"] == "re-proven here"
    assert edge["reproof"]["accuracy_permyriad"] == proof.accuracy_permyriad
    assert edge["reproof"]["head"] == digest_of((HEAD / "head.mlmodel").read_bytes())


def test_a_proof_is_run_again_and_damage_is_found(
    world: PublisherWorld, draft_of: Callable[..., HeadDraft], tmp_path: Path
) -> None:
    draft = draft_of(folder_files(HEAD))
    assert world.register_head(draft).status_code == 201
    edge = {"base_id": "kd", "name": "topic", "release": 1, "base": world.packages["kd"]}
    first = world.call("POST", "/proofs/runs", json=edge).json()
    kept = world.call("GET", "/proofs").json()["proofs"][0]
    assert (first["result"], first["note"], first["proof"]) == ("proven", "re-proven here", kept["reproof"])
    # The golden batch of other bytes under the same digest: a disk that rots, or somebody who writes to the bucket.
    golden = tmp_path / "data/public/apps/reader/artifacts" / draft.manifest.file("golden.safetensors").digest[7:]
    golden.write_bytes(golden.read_bytes()[:-100])
    second = world.call("POST", "/proofs/runs", json=edge).json()
    assert (second["result"], second["proof"]) == ("broken", None)
    assert second["note"]
    assert [run["result"] for run in world.call("GET", "/proofs/runs").json()["runs"]] == ["broken", "proven"]
    assert world.call("GET", "/proofs").json()["proofs"][0] == kept
    gate = world.call("GET", "/bases/kd/1").json()["gate"]
    assert {line["verdict"] for line in gate} <= {"passed", "failed", "not evidenced"}


def test_a_truncated_model(world: PublisherWorld, draft_of: Callable[..., HeadDraft]) -> None:
    files = folder_files(HEAD)
    files["head.mlmodel"] = files["head.mlmodel"][: len(files["head.mlmodel"]) // 2]
    answer = world.register_head(draft_of(files))
    assert answer.status_code == 422, answer.text
    assert world.call("GET", "/heads").json()["heads"] == []


def test_a_base_in_place_of_a_head(world: PublisherWorld, draft_of: Callable[..., HeadDraft]) -> None:
    program = next(iter((BASE / "base.mlpackage").rglob("*.mlmodel"))).read_bytes()
    files = {**folder_files(HEAD), "head.mlmodel": program}
    assert world.register_head(draft_of(files)).status_code == 422


def test_a_head_whose_proof_lies(world: PublisherWorld, draft_of: Callable[..., HeadDraft]) -> None:
    """The publisher claims a perfect proof, but the head's bytes do not give the golden probabilities."""
    from headway.coreml.head import head_weights, with_head_weights

    files = folder_files(HEAD)
    weights = head_weights(files["head.mlmodel"])
    worse = {name: values * -1 for name, values in weights.items()}
    files["head.mlmodel"] = with_head_weights(files["head.mlmodel"], worse)
    problem = refused(world.register_head(draft_of(files)), 422, "not_proven")
    assert "Our own run" in problem["detail"]

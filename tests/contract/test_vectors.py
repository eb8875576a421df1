"""Every vector of the contract, run against the Python implementation; Swift runs the same files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.contract import digests, manifest, problems, versions
from headway.contract.channel import ChannelDocument
from headway.contract.compat import Compatible, HostProfile, Incompatible, judge
from headway.contract.errors import (
    DeviceStoreError,
    HeadwayError,
    IncompatibleError,
    RefusedError,
    TransferError,
    UntrustedError,
)
from headway.contract.explain import DeviceProfile, explain, ordered_off
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest
from headway.contract.outcome import Outcome, gain_bucket
from headway.contract.parsing import Fields, decode
from headway.contract.proof import NotProven, Proof, assess
from headway.contract.rollout import Rollout, bucket, in_rollout
from headway.contract.targets import BaseTarget, HeadTarget
from headway.contract.versions import ChannelReference, ReleaseReference, parse_version

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "ios_fixtures" / "vectors"
Case = dict[str, Any]


def cases(name: str, *flags: str) -> pytest.MarkDecorator:
    """Parametrise a test over the cases of a file, over those with one of ``flags`` where given."""
    found = json.loads((VECTORS / f"{name}.json").read_text())["cases"]
    chosen = [case for case in found if not flags or set(flags) & set(case["flags"])]
    return pytest.mark.parametrize("case", chosen, ids=[f"{name}-{case['id']}" for case in chosen])


def check(case: Case, read: Callable[[], Any]) -> Any:
    """What ``read`` gives for a valid case; None, and exactly a ``RefusedError``, for an invalid one."""
    if case["valid"]:
        return read()
    with pytest.raises(RefusedError) as refused:
        read()
    assert refused.value.code == case.get("code", refused.value.code)
    return None


def canonical(value: Any) -> str:
    return digests.canonical_json(value).decode()


def text_of(case: Case) -> bytes:
    return bytes.fromhex(case["json_hex"]) if "json_hex" in case else case["json"].encode()


def test_vectors_are_current() -> None:
    """The files are what the maker gives, so nobody edits one by hand or forgets to commit one."""
    command = [sys.executable, str(ROOT / "tests" / "vectors" / "make.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@cases("digests", "Hash")
def test_digest(case: Case) -> None:
    data = bytes.fromhex(case["data_hex"])
    assert digests.digest_of(data) == case["digest"]
    assert digests.digest_of_chunks([data[:5], b"", data[5:]]) == (case["digest"], len(data))


@cases("digests", "Spelling")
def test_digest_spelling(case: Case) -> None:
    assert check(case, lambda: digests.parse_digest(case["value"])) == (case["value"] if case["valid"] else None)


@cases("canonical_json")
def test_canonical_json(case: Case) -> None:
    fields = check(case, lambda: decode(text_of(case), "document"))
    if fields is not None:
        value = json.loads(text_of(case))
        assert canonical(value) == case["canonical"]
        assert set(fields.names()) == set(value)


@cases("tree_digest")
def test_tree_digest(case: Case) -> None:
    files = [(f["path"], digests.parse_digest(f["digest"]), f["size"]) for f in case["files"]]
    assert digests.tree_digest(files) == case["digest"]


@cases("names")
def test_names(case: Case) -> None:
    (flag,), value = case["flags"], case["value"]
    read = {
        "Name": lambda: versions.parse_name(value),
        "Version": lambda: list(versions.parse_version(value)),
        "Release": lambda: versions.parse_release(value),
        "Reference": lambda: reference(value),
    }[flag]
    assert check(case, read) == case["read"]


def reference(text: str) -> dict[str, Any]:
    match versions.parse_reference(text):
        case ReleaseReference(name, number):
            return {"kind": "release", "name": name, "release": number}
        case ChannelReference(name, channel):
            return {"kind": "channel", "name": name, "channel": channel}
        case digest:
            return {"kind": "digest", "digest": digest}


@cases("paths", "Safe", "Escape", "Form")
def test_path(case: Case) -> None:
    case = {**case, "code": "unsafe_path"}
    assert check(case, lambda: manifest.check_path(case["path"])) == (case["path"] if case["valid"] else None)


@cases("paths", "Set")
def test_file_set(case: Case) -> None:
    check({**case, "code": "unsafe_path"}, lambda: manifest.check_file_set(case["paths"]))


@cases("feature_contract")
def test_feature_contract(case: Case) -> None:
    contract = check(case, lambda: FeatureContract.from_bytes(text_of(case)))
    if contract is not None:
        assert contract.to_bytes().decode() == case["canonical"]
        assert (contract.digest, contract.dimension) == (case["digest"], case["dimension"])


@cases("manifest")
def test_manifest(case: Case) -> None:
    read = check(case, lambda: Manifest.from_bytes(text_of(case)))
    if read is None:
        return
    assert read.to_bytes().decode() == case["canonical"]
    assert (read.digest, read.total_bytes) == (case["digest"], case["total_bytes"])
    for package in case.get("packages", []):
        folder = {"valid": package["digest"] is not None, "code": "missing_file"}
        assert check(folder, lambda package=package: read.package_digest(package["folder"])) == package["digest"]


@cases("targets")
def test_targets(case: Case) -> None:
    kind = {"head": HeadTarget, "base": BaseTarget}[case["kind"]]
    read = check(case, lambda: kind.from_json(case["custom"]))
    if read is not None:
        assert canonical(read.to_json()) == case["canonical"]


def host_of(value: Case) -> HostProfile:
    fields = Fields(value, "host")
    return HostProfile(
        app=fields.text("app"),
        base=fields.digest("base"),
        contract=fields.digest("contract"),
        os=parse_version(fields.text("os")),
        app_build=fields.integer("app_build"),
    )


@cases("judge")
def test_judge(case: Case) -> None:
    verdict = judge(HeadTarget.from_json(case["head"]), host_of(case["host"]))
    expected = Incompatible(tuple(case["reasons"])) if case["reasons"] else Compatible(case["proof"])
    assert verdict == expected


@cases("rollout", "Bucket")
def test_bucket(case: Case) -> None:
    assert bucket(case["salt"], case["install_id"]) == case["bucket"]


@cases("rollout", "Member")
def test_in_rollout(case: Case) -> None:
    rollout = Rollout.from_json(Fields(case["rollout"], "rollout"))
    assert in_rollout(rollout, case["install_id"], case["groups"]) is case["in"]


@cases("channel")
def test_channel(case: Case) -> None:
    read = check(case, lambda: ChannelDocument.from_bytes(text_of(case)))
    if read is not None:
        assert read.to_bytes().decode() == case["canonical"]
        assert {name: read.directive(name) for name in case["directives"]} == case["directives"]
        assert read.recalled() == set(case["recalled"])


def profile_of(value: Case) -> DeviceProfile:
    fields = Fields(value, "profile")
    return DeviceProfile(
        host=host_of(value["host"]),
        install_id=fields.text("install_id"),
        groups=frozenset(fields.texts("groups")),
        current_release=fields.integer("current_release"),
        floor_release=fields.integer("floor_release"),
        floor_head=fields.optional("floor_head", fields.digest),
        quarantined=frozenset(digests.parse_digest(d) for d in fields.texts("quarantined")),
        metadata_expired=fields.boolean("metadata_expired"),
        clock_behind=fields.boolean("clock_behind"),
    )


@cases("explain")
def test_explain(case: Case) -> None:
    channel = ChannelDocument.from_bytes(json.dumps(case["channel"]).encode())
    heads = [HeadTarget.from_json(head) for head in case["heads"]]
    choice = explain(case["name"], profile_of(case["profile"]), channel, heads)
    found = [{"release": v.release, "head": v.head, "reasons": list(v.reasons)} for v in choice.verdicts]
    assert found == case["verdicts"]
    assert (choice.chosen.release if choice.chosen else None) == case["chosen"]
    assert list(choice.reasons) == case["reasons"]
    assert sorted(ordered_off(channel, heads)) == case["ordered_off"]


@cases("proof")
def test_proof(case: Case) -> None:
    proof = check(case, lambda: Proof.from_bytes(text_of(case)))
    if proof is not None:
        assert (proof.to_bytes().decode(), proof.digest) == (case["canonical"], case["digest"])
        verdict = assess(proof)
        assert (list(verdict.reasons) if isinstance(verdict, NotProven) else []) == case["reasons"]


@cases("outcome", "Good", "Private", "Fields")
def test_outcome(case: Case) -> None:
    read = check(case, lambda: Outcome.from_json(case["outcome"]))
    if read is not None:
        assert canonical(read.to_json()) == case["canonical"]


@cases("outcome", "Gain")
def test_gain_bucket(case: Case) -> None:
    assert gain_bucket(float(case["points"])) == case["gain"]


def error_from(value: Case) -> HeadwayError:
    code, message, hint, data = value["code"], value["message"], value["hint"], value["data"]
    if value["family"] == "refused":
        return RefusedError(code, message, hint=hint, kind=value["kind"], **data)
    families = (UntrustedError, IncompatibleError, TransferError, DeviceStoreError)
    family = next(family for family in families if family.family == value["family"])
    return family(code, message, hint=hint, **data)


def described(error: HeadwayError) -> tuple[str, str | None, int]:
    kind = error.kind if isinstance(error, RefusedError) else None
    return error.family, kind, problems.exit_code_of(error)


@cases("problems", "Problem")
def test_problem(case: Case) -> None:
    error = error_from(case["error"])
    problem = problems.problem_of(error)
    assert problem.to_json() == case["problem"]
    assert problems.exit_code_of(error) == case["exit_code"]
    back = problems.error_of(problem.status, problem.to_json())
    expected = case["back"]
    assert described(back) == (expected["family"], expected["kind"], expected["exit_code"])
    assert (back.code, back.message, back.hint, back.data) == (error.code, error.message, error.hint, error.data)


@cases("problems", "Answer")
def test_answer(case: Case) -> None:
    error = problems.error_of(case["status"], case["body"])
    assert described(error) == (case["family"], case["kind"], case["exit_code"])
    assert error.code == case["code"]

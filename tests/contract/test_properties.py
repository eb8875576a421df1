"""What holds for every value: round trips, sticky rollouts, total judgements, parsers that only ever refuse."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from headway.contract import digests, problems, versions
from headway.contract.channel import DIRECTIVES, OFFER_STATES, ChannelDocument, Offer, Recall
from headway.contract.compat import Compatible, HostProfile, Incompatible, Reason, judge
from headway.contract.digests import Digest
from headway.contract.errors import HeadwayError, RefusedError
from headway.contract.explain import DeviceProfile, explain, ordered_off
from headway.contract.features import FeatureContract
from headway.contract.manifest import Manifest, ManifestFile, check_file_set, check_path
from headway.contract.outcome import Outcome
from headway.contract.parsing import Fields, decode
from headway.contract.proof import Proof, ProofPolicy, Proven, assess
from headway.contract.rollout import BUCKETS, Rollout, bucket, in_rollout
from headway.contract.targets import REBASE_POLICIES, STATUSES, BaseTarget, HeadTarget, ProvenBase

few = settings(max_examples=30)
ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
integers = st.integers(-digests.MAX_INTEGER, digests.MAX_INTEGER)
canonicals = st.recursive(
    st.none() | st.booleans() | integers | ascii_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_text, inner, max_size=4),
    max_leaves=20,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
few_digests = st.sampled_from([digests.digest_of(bytes([n])) for n in range(4)])
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
os_versions = st.tuples(st.integers(16, 19), st.integers(0, 2), st.integers(0, 1))
few_names = st.sampled_from(["topic", "mood"])
heads = st.builds(
    HeadTarget,
    app=st.sampled_from(["demo", "other"]),
    base_id=st.sampled_from(["base-a", "base-b"]),
    name=few_names,
    release=st.integers(1, 6),
    head=few_digests,
    parent=st.none() | few_digests,
    bases=st.lists(st.builds(ProvenBase, few_digests, few_digests), max_size=3).map(tuple),
    contract=few_digests,
    labels=few_digests,
    num_classes=st.integers(2, 10_000),
    min_os=os_versions,
    max_os=st.none() | os_versions,
    min_app_build=st.integers(0, 3),
    status=st.sampled_from(STATUSES),
    rebase=st.sampled_from(REBASE_POLICIES),
    bytes=st.integers(0, 2**40),
)
hosts = st.builds(
    HostProfile,
    app=st.sampled_from(["demo", "other"]),
    base=few_digests,
    contract=few_digests,
    os=os_versions,
    app_build=st.integers(0, 3),
)
groups = st.lists(st.sampled_from(["qa", "beta", "kiosk"]), max_size=3).map(tuple)
rollouts = st.builds(Rollout, salt=ascii_text, permyriad=st.integers(0, BUCKETS), pins=groups, excludes=groups)
offers = st.builds(Offer, few_names, st.integers(1, 6), st.sampled_from(OFFER_STATES), rollouts)
channels = st.builds(
    ChannelDocument,
    app=st.just("demo"),
    channel=names,
    base_id=st.sampled_from(["base-a", "base-b"]),
    epoch=st.integers(1, 9),
    poll_after_s=st.integers(1, 86_400),
    offers=st.lists(offers, max_size=6, unique_by=lambda o: (o.name, o.release)).map(tuple),
    recalls=st.lists(st.builds(Recall, few_digests, ascii_text), max_size=2).map(tuple),
    personalise=st.dictionaries(names, st.sampled_from(DIRECTIVES), max_size=3),
)
profiles = st.builds(
    DeviceProfile,
    host=hosts,
    install_id=ascii_text,
    groups=groups.map(frozenset),
    current_release=st.integers(0, 6),
    floor_release=st.integers(0, 6),
    floor_head=st.none() | few_digests,
    quarantined=st.frozensets(few_digests, max_size=1),
    metadata_expired=st.booleans(),
    clock_behind=st.booleans(),
)


@given(canonicals)
def test_canonical_json_agrees_with_securesystemslib(value: Any) -> None:
    form = digests.canonical_json(value)
    assert form.decode() == encode_canonical(value)
    assert json.loads(form) == value
    assert digests.canonical_json(json.loads(form)) == form


@given(anything)
def test_canonical_json_gives_a_form_or_refuses(value: Any) -> None:
    try:
        form = digests.canonical_json(value)
    except RefusedError:
        return
    assert form.isascii()
    assert json.loads(form) == value


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(RefusedError):
        digests.canonical_json(value)


@given(st.lists(st.tuples(ascii_text, few_digests, st.integers(0, 99)), max_size=5), st.randoms())
def test_tree_digest_ignores_the_order(files: list[tuple[str, Digest, int]], random: Any) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)
    assert digests.tree_digest(files) == digests.tree_digest(shuffled)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_chunks_do_not_change_a_digest(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert digests.digest_of_chunks(chunks) == (digests.digest_of(whole), len(whole))


@given(heads)
def test_head_targets_survive_the_wire(head: HeadTarget) -> None:
    assert HeadTarget.from_json(json.loads(digests.canonical_json(head.to_json()))) == head


@given(channels)
def test_channel_documents_survive_the_wire(channel: ChannelDocument) -> None:
    assert ChannelDocument.from_bytes(channel.to_bytes()) == channel


@given(
    st.lists(st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,2}", fullmatch=True), max_size=6, unique=True),
    st.dictionaries(ascii_text, ascii_text | integers, max_size=3),
)
def test_manifests_survive_the_wire_unless_their_paths_clash(paths: list[str], facts: dict[str, Any]) -> None:
    files = tuple(ManifestFile(p, digests.digest_of(p.encode()), len(p), "text/plain") for p in sorted(paths))
    manifest = Manifest("head", "demo", "topic", "7", files, facts)
    try:
        check_file_set(paths)
    except RefusedError:
        with pytest.raises(RefusedError):
            Manifest.from_bytes(manifest.to_bytes())
    else:
        read = Manifest.from_bytes(manifest.to_bytes())
        assert read == manifest
        assert read.digest == manifest.digest


def test_a_file_of_a_manifest_by_its_path() -> None:
    entry = ManifestFile("a/b", digests.digest_of(b""), 0, "text/plain")
    manifest = Manifest("head", "demo", "topic", "7", (entry,), {})
    assert manifest.file("a/b") is entry
    with pytest.raises(RefusedError, match="no file a"):
        manifest.file("a")


@given(st.text())
def test_a_safe_path_stays_where_it_is(path: str) -> None:
    try:
        assert check_path(path) == path
    except RefusedError:
        return
    assert path.isascii()
    assert not set(path.split("/")) & {"", ".", ".."}


@given(rollouts, ascii_text, groups, st.integers(0, BUCKETS))
def test_raising_a_rollout_only_adds(rollout: Rollout, install: str, mine: tuple[str, ...], more: int) -> None:
    raised = replace(rollout, permyriad=max(more, rollout.permyriad))
    assert in_rollout(raised, install, mine) >= in_rollout(rollout, install, mine)


@given(ascii_text, st.text(st.characters(exclude_categories=["Cs"])))
def test_buckets_are_sticky_and_in_range(salt: str, install: str) -> None:
    assert 0 <= bucket(salt, install) < BUCKETS
    assert bucket(salt, install) == bucket(salt, install)


def test_buckets_are_even() -> None:
    """10,000 devices at 20 %: within five standard deviations (40 each) of 2,000."""
    inside = sum(in_rollout(Rollout("salt", 2000), f"device-{n}") for n in range(10_000))
    assert abs(inside - 2000) < 200


@given(heads, hosts)
def test_judge_is_total_and_ordered(head: HeadTarget, host: HostProfile) -> None:
    order = list(Reason)
    match judge(head, host):
        case Compatible(proof):
            assert any(edge == ProvenBase(host.base, proof) for edge in head.bases)
            assert (head.app, head.contract, head.status) == (host.app, host.contract, "live")
        case Incompatible(reasons):
            assert reasons
            assert list(reasons) == sorted(set(reasons), key=order.index)


@given(few_names, profiles, channels, st.lists(heads, max_size=6, unique_by=lambda h: h.release))
def test_explain_agrees_with_judge_and_says_why(
    name: str, profile: DeviceProfile, channel: ChannelDocument, signed: list[HeadTarget]
) -> None:
    choice = explain(name, profile, channel, signed)
    by_release = {head.release: head for head in signed}
    order = list(Reason)
    for verdict in choice.verdicts:
        judged = judge(by_release[verdict.release], profile.host)
        against = set(judged.reasons) if isinstance(judged, Incompatible) else set()
        assert against <= set(verdict.reasons)
        assert list(verdict.reasons) == sorted(set(verdict.reasons), key=order.index)
    free = [verdict.release for verdict in choice.verdicts if not verdict.reasons]
    assert (choice.chosen.release if choice.chosen else None) == max(free, default=None)
    assert choice.chosen is not None or choice.reasons
    if choice.chosen is not None:
        head = choice.chosen
        assert isinstance(judge(head, profile.host), Compatible)
        assert head.head not in channel.recalled() | profile.quarantined
        assert not profile.metadata_expired
        assert not profile.clock_behind
        assert head.release >= profile.floor_release or profile.floor_head in ordered_off(channel, signed)
        assert not choice.reasons or head.release <= profile.current_release


@given(few_names, profiles, channels, st.permutations([1, 2, 3, 4]), st.data())
def test_explain_ignores_the_order_of_heads(
    name: str, profile: DeviceProfile, channel: ChannelDocument, order: list[int], data: Any
) -> None:
    signed = [replace(data.draw(heads), release=n) for n in (1, 2, 3, 4)]
    shuffled = [signed[n - 1] for n in order]
    assert explain(name, profile, channel, signed) == explain(name, profile, channel, shuffled)


@given(st.integers(1, 99), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10_000), st.booleans())
def test_a_better_proof_is_never_worse(rows: int, features: int, probabilities: int, agree: int, finite: bool) -> None:
    digest = digests.digest_of(b"")
    proof = Proof(digest, digest, digest, digest, rows, features, probabilities, agree, 5000, finite, "test")
    assert Proof.from_bytes(proof.to_bytes()) == proof
    if isinstance(assess(proof), Proven):
        better = replace(proof, rows=rows + 1, feature_deviation_micro=features // 2, agreement_permyriad=10_000)
        assert isinstance(assess(better), Proven)
        assert isinstance(assess(proof, ProofPolicy(min_rows=rows + 1)), Proven) is False


READERS = {
    "decode": lambda data: decode(data, "document"),
    "contract": FeatureContract.from_bytes,
    "manifest": Manifest.from_bytes,
    "channel": ChannelDocument.from_bytes,
    "proof": Proof.from_bytes,
}
OF_VALUES = {
    "contract": FeatureContract.from_json,
    "proof": Proof.from_json,
    "head": HeadTarget.from_json,
    "base": BaseTarget.from_json,
    "outcome": Outcome.from_json,
    "rollout": lambda value: Rollout.from_json(Fields(value, "rollout")),
    "name": versions.parse_name,
    "version": versions.parse_version,
    "release": versions.parse_release,
    "digest": digests.parse_digest,
}
GOOD = {
    "schema": 1,
    "kind": "head",
    "app": "demo",
    "id": "topic",
    "name": "topic",
    "version": "7",
    "channel": "stable",
    "base_id": "base-a",
    "release": 7,
    "epoch": 1,
    "poll_after_s": 60,
    "shape": [4],
    "output": "features",
    "dtype": "float32",
    "feature_space": "s",
    "max_sequence_length": 64,
    "files": [],
    "facts": {},
    "offers": [],
    "recalls": [],
    "personalise": {},
    "bases": [],
    "status": "live",
    "rebase": "merge",
    "bytes": 1,
    "rows": 9,
    "finite": True,
    "salt": "s",
    "permyriad": 1,
    "pins": [],
    "excludes": [],
    **dict.fromkeys(
        ["tokenizer", "head", "base", "golden", "contract", "labels", "package", "digest"], digests.digest_of(b"")
    ),
}
almost = st.fixed_dictionaries({}, optional={name: st.just(value) | anything for name, value in GOOD.items()}).map(
    lambda change: {**GOOD, **change}
)


@few
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(data=st.binary() | anything.map(lambda v: json.dumps(v).encode()) | almost.map(lambda v: json.dumps(v).encode()))
def test_no_bytes_raise_anything_but_refused(reader: Any, data: bytes) -> None:
    with suppress(RefusedError):
        reader(data)


@few
@pytest.mark.parametrize("reader", OF_VALUES.values(), ids=OF_VALUES)
@given(value=anything | almost)
def test_no_value_raises_anything_but_refused(reader: Any, value: Any) -> None:
    try:
        read = reader(value)
    except RefusedError:
        return
    if hasattr(read, "to_json"):
        assert digests.canonical_json(read.to_json())


@given(st.text())
def test_no_reference_raises_anything_but_refused(text: str) -> None:
    with suppress(RefusedError):
        versions.parse_reference(text)


@given(st.integers(400, 599), anything)
def test_any_answer_becomes_an_error(status: int, body: Any) -> None:
    error = problems.error_of(status, body)
    assert isinstance(error, HeadwayError)
    assert problems.exit_code_of(error) in {1, 3, 4, 5, 6, 7, 8}
    assert problems.problem_of(error).to_json()["code"] == error.code

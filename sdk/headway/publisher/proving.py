"""Proving before publishing: run the golden batches through the real files, and refuse what is not good enough.

Needs the extra ``sim``; without it nothing can be published, only offered, recalled and rolled out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headway.contract.errors import IncompatibleError, RefusedError
from headway.contract.features import FeatureContract
from headway.contract.proof import NotProven, Proof, ProofPolicy, assess
from headway.contract.tokenizer import Tokenizer
from headway.publisher.bundle import PACKAGE, Release, open_release

POLICY = ProofPolicy()
Progress = Callable[[str, int, int], None]


def prove_on(head: Release, base: Path) -> Proof:
    """The proof of ``head`` on one base release folder, good enough or not.

    Raises:
        RefusedError: code ``missing_extra``, or what is wrong with a file.
        IncompatibleError: the head does not fit the base.
    """
    runtime = _runtime()
    with open_release("base", base) as (release, _):
        proof: Proof = runtime.prove(
            release.folder(PACKAGE),
            head.file("head.mlmodel").source,
            head.file("golden.safetensors").source,
            head.file("labels.json").source,
        )
    return proof


def prove_head(head: Release, bases: Sequence[Path], report: Progress) -> tuple[Proof, ...]:
    """One proof of ``head`` for each base release folder, each good enough.

    Raises:
        RefusedError: as :func:`prove_on`; kind ``gate``: ``not_proven``.
        IncompatibleError: the head does not fit a base.
    """
    proofs = []
    for done, path in enumerate(bases):
        report(f"proving on {path.name}", done, len(bases))
        proof = prove_on(head, path)
        verdict = assess(proof)
        if isinstance(verdict, NotProven):
            raise RefusedError(
                "not_proven",
                f"The head does not prove itself on {path.name}: {verdict.reasons[0]}.",
                hint="Fit the head again on this base's features, and write its golden batch with it.",
                kind="gate",
                reasons="; ".join(verdict.reasons),
            )
        proofs.append(proof)
    return tuple(proofs)


def prove_base(base: Release, report: Progress, policy: ProofPolicy = POLICY) -> None:
    """Compare a base's vocabulary with its contract, and run its own golden batch through it.

    Raises:
        RefusedError: code ``missing_extra``; kind ``gate``: ``not_proven``; or what is wrong with a file.
        IncompatibleError: the package or the vocabulary is not what ``contract.json`` says.
    """
    _check_vocabulary(base)
    report("running the golden batch", 0, 1)
    check = _runtime().check_base(base.folder(PACKAGE), base.file("golden.safetensors").source)
    if not check.finite or check.feature_deviation_micro > policy.max_feature_deviation_micro:
        raise RefusedError(
            "not_proven",
            f"The base does not give its own golden features (off by {check.feature_deviation_micro / 1e6:.6f}).",
            hint="Write golden.safetensors again from the exported package, not from the trainer's model.",
            kind="gate",
        )


def _check_vocabulary(base: Release) -> None:
    """The golden batch holds token ids, so it passes with any vocabulary; every device would refuse the base."""
    contract = FeatureContract.from_bytes(base.file("contract.json").source.read_bytes())
    if Tokenizer.from_vocab(base.file("vocab.txt").source).digest != contract.tokenizer:
        raise IncompatibleError(
            "contract_mismatch",
            "vocab.txt is not the vocabulary that contract.json names.",
            hint="Publish the base, vocabulary and contract of one base release together.",
            part="tokenizer",
        )


def _runtime() -> Any:
    try:
        from headway.coreml import proof
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("headway"):
            raise
        raise RefusedError(
            "missing_extra",
            "Publishing proves the model first, which needs the Core ML runtime.",
            hint="Install it: pip install 'headway[sim]'.",
            extra="sim",
        ) from error
    return proof

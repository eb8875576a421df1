"""A proof: what came out when a head's golden batch ran through an actual base and head file.

Numbers are integers (micro-units, permyriad) because proofs are signed. Whether a proof is good enough is decided
by :func:`assess`, so that publisher, server and console cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest, canonical_json, digest_of
from headway.contract.parsing import Fields, decode

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence for one head on one base.

    ``feature_deviation_micro`` is the largest absolute difference, in 1e-6, between the features that the base gave
    and the golden ones; ``probability_deviation_micro`` the same for the head's probabilities computed from the
    *base's* features. ``agreement_permyriad`` counts rows whose most probable label equals the golden one,
    ``accuracy_permyriad`` those that equal the true label. ``runtime`` names what computed it.
    """

    head: Digest
    base: Digest
    golden: Digest
    contract: Digest
    rows: int
    feature_deviation_micro: int
    probability_deviation_micro: int
    agreement_permyriad: int
    accuracy_permyriad: int
    finite: bool
    runtime: str

    @property
    def digest(self) -> Digest:
        """Digest of the canonical form: what signed metadata names beside the base."""
        return digest_of(self.to_bytes())

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "head": self.head,
            "base": self.base,
            "golden": self.golden,
            "contract": self.contract,
            "rows": self.rows,
            "feature_deviation_micro": self.feature_deviation_micro,
            "probability_deviation_micro": self.probability_deviation_micro,
            "agreement_permyriad": self.agreement_permyriad,
            "accuracy_permyriad": self.accuracy_permyriad,
            "finite": self.finite,
            "runtime": self.runtime,
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical_json(self.to_json(), document="proof")

    @classmethod
    def from_json(cls, value: object) -> Proof:
        """Read a proof.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = value if isinstance(value, Fields) else Fields(value, "proof")
        fields.schema(SCHEMA)
        return cls(
            head=fields.digest("head"),
            base=fields.digest("base"),
            golden=fields.digest("golden"),
            contract=fields.digest("contract"),
            rows=fields.integer("rows", low=1),
            feature_deviation_micro=fields.integer("feature_deviation_micro"),
            probability_deviation_micro=fields.integer("probability_deviation_micro"),
            agreement_permyriad=fields.integer("agreement_permyriad", high=10_000),
            accuracy_permyriad=fields.integer("accuracy_permyriad", high=10_000),
            finite=fields.boolean("finite"),
            runtime=fields.text("runtime", min_length=1, max_length=256),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Proof:
        """Read canonical or other JSON bytes; raises as :meth:`from_json`."""
        return cls.from_json(decode(data, "proof"))


@dataclass(frozen=True, slots=True)
class ProofPolicy:
    """What a proof must show. The defaults allow for another runtime's rounding, not for another base."""

    min_rows: int = 8
    max_feature_deviation_micro: int = 20_000
    max_probability_deviation_micro: int = 10_000
    min_agreement_permyriad: int = 10_000


@dataclass(frozen=True, slots=True)
class Proven:
    """The proof meets the policy."""


@dataclass(frozen=True, slots=True)
class NotProven:
    """The proof misses the policy; each reason is one sentence."""

    reasons: tuple[str, ...]


def assess(proof: Proof, policy: ProofPolicy = ProofPolicy()) -> Proven | NotProven:
    """Whether ``proof`` is good enough to offer this head to devices with this base."""
    reasons = []
    if not proof.finite:
        reasons.append("the model gave NaN or infinity")
    if proof.rows < policy.min_rows:
        reasons.append(f"the golden batch has {proof.rows} rows, fewer than {policy.min_rows}")
    if proof.feature_deviation_micro > policy.max_feature_deviation_micro:
        reasons.append(
            f"features deviate by {_micro(proof.feature_deviation_micro)}, "
            f"more than {_micro(policy.max_feature_deviation_micro)}"
        )
    if proof.probability_deviation_micro > policy.max_probability_deviation_micro:
        reasons.append(
            f"probabilities deviate by {_micro(proof.probability_deviation_micro)}, "
            f"more than {_micro(policy.max_probability_deviation_micro)}"
        )
    if proof.agreement_permyriad < policy.min_agreement_permyriad:
        percent = f"{proof.agreement_permyriad // 100}.{proof.agreement_permyriad % 100:02d}"
        reasons.append(f"only {percent} % of labels agree with the golden batch")
    return NotProven(tuple(reasons)) if reasons else Proven()


def _micro(value: int) -> str:
    return f"{value // 10**6}.{value % 10**6:06d}"

"""The feature contract: the interface that a head needs from a base, pinned by digest.

Two bases with equal shapes are *not* interchangeable: a retrained base gives other numbers. ``feature_space``
names the space itself and changes whenever the weights do; the digest of the contract covers it.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.contract.digests import Digest, canonical_json, digest_of
from headway.contract.parsing import Fields, decode

SCHEMA = 1
MAX_DIMENSION = 65_536
_DTYPES = ("float32",)


@dataclass(frozen=True, slots=True)
class FeatureContract:
    """What a base promises and a head relies on.

    ``output`` names the feature; ``shape`` is its shape per text (rank 1, because Core ML heads take vectors);
    ``tokenizer`` is the digest of normaliser and vocabulary; ``max_sequence_length`` counts tokens including
    ``[CLS]`` and ``[SEP]``.
    """

    output: str
    shape: tuple[int, ...]
    dtype: str
    feature_space: str
    tokenizer: Digest
    max_sequence_length: int

    @property
    def digest(self) -> Digest:
        """Digest of the canonical form: what a head's signed metadata names."""
        return digest_of(self.to_bytes())

    @property
    def dimension(self) -> int:
        """Length of the feature vector."""
        return self.shape[0]

    def to_json(self) -> dict[str, object]:
        """The JSON object; inverse of :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "output": self.output,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "feature_space": self.feature_space,
            "tokenizer": self.tokenizer,
            "max_sequence_length": self.max_sequence_length,
        }

    def to_bytes(self) -> bytes:
        """Canonical bytes: the content of ``contract.json``."""
        return canonical_json(self.to_json(), document="feature contract")

    @classmethod
    def from_json(cls, value: object) -> FeatureContract:
        """Read a contract.

        Raises:
            RefusedError: code ``malformed``.
        """
        fields = value if isinstance(value, Fields) else Fields(value, "feature contract")
        fields.schema(SCHEMA)
        shape = fields.items("shape", most=1)
        if len(shape) != 1 or type(shape[0]) is not int or not 1 <= shape[0] <= MAX_DIMENSION:
            raise fields.wrong("shape", f"a list of one integer from 1 to {MAX_DIMENSION}")
        return cls(
            output=fields.text("output", min_length=1, max_length=64),
            shape=(shape[0],),
            dtype=fields.text("dtype", choices=_DTYPES),
            feature_space=fields.text("feature_space", min_length=1, max_length=128),
            tokenizer=fields.digest("tokenizer"),
            max_sequence_length=fields.integer("max_sequence_length", low=3, high=512),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureContract:
        """Read ``contract.json``; raises as :meth:`from_json`."""
        return cls.from_json(decode(data, "feature contract"))

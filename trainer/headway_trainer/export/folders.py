"""The folders that a publisher proves, signs and uploads: one of the base, one per head.

A base folder holds the package, the vocabulary, the feature contract, a golden batch and the card; a head folder its
`.mlmodel`, labels, a golden batch with probabilities and the card.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml.golden import BaseGolden, HeadGolden, write_golden
from headway.coreml.proto import encode, parse_model
from headway_trainer.data.golden import write_texts

Float32 = NDArray[np.float32]

WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """A golden batch with the texts it was made of and the index of each row's true label, int32 [n]."""

    texts: Sequence[str]
    labels: NDArray[np.int32]
    batch: BaseGolden

    def for_head(self, probabilities: Float32) -> HeadGolden:
        """Return the batch of a head: the same rows with its probabilities float32 [n, K]."""
        held = self.batch
        return HeadGolden(held.input_ids, held.attention_mask, held.features, self.labels, probabilities)


def feature_contract(
    base_id: str, version: str, package: Path, tokenizer: Tokenizer, dimension: int, length: int
) -> FeatureContract:
    """Name the space after the weights it comes from, so that a retrained base has another contract."""
    weights = hashlib.sha256((package / WEIGHTS).read_bytes()).hexdigest()
    return FeatureContract(
        output="features",
        shape=(dimension,),
        dtype="float32",
        feature_space=f"{base_id}/{version}/{weights[:32]}",
        tokenizer=tokenizer.digest,
        max_sequence_length=length,
    )


def steady_package(package: Path) -> None:
    """Make equal models equal bytes: identifiers made from paths, and the program's maps in one order."""
    model = package / "Data/com.apple.CoreML/model.mlmodel"
    model.write_bytes(encode(parse_model(model.read_bytes())))
    manifest = package / "Manifest.json"
    document = json.loads(manifest.read_text("utf-8"))
    entries = document["itemInfoEntries"]
    names = {key: str(uuid.uuid5(uuid.NAMESPACE_URL, entry["path"])).upper() for key, entry in entries.items()}
    document["itemInfoEntries"] = {names[key]: entry for key, entry in entries.items()}
    document["rootModelIdentifier"] = names[document["rootModelIdentifier"]]
    manifest.write_text(json.dumps(document, indent=4, sort_keys=True) + "\n", encoding="utf-8")
    for path in package.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def write_base(
    to: Path, package: Path, tokenizer: Tokenizer, contract: FeatureContract, golden: GoldenRows, names: Sequence[str]
) -> None:
    """Write everything of a base folder but its card."""
    _fresh(to)
    shutil.copytree(package, to / "base.mlpackage")
    (to / "vocab.txt").write_text("".join(f"{token}\n" for token in tokenizer.tokens), encoding="utf-8", newline="\n")
    (to / "contract.json").write_bytes(contract.to_bytes())
    write_texts(to / "golden.jsonl", golden.texts, [names[label] for label in golden.labels])
    (to / "golden.safetensors").write_bytes(write_golden(golden.batch))


def write_head(to: Path, spec: bytes, golden: HeadGolden, names: Sequence[str]) -> None:
    """Write everything of a head folder but its card; `spec` is the `.mlmodel`."""
    _fresh(to)
    (to / "head.mlmodel").write_bytes(spec)
    (to / "labels.json").write_text(json.dumps(list(names), ensure_ascii=False) + "\n", encoding="utf-8")
    (to / "golden.safetensors").write_bytes(write_golden(golden))


def write_card(to: Path, card: dict[str, Any]) -> None:
    """Write `card.json`, keys in the order given."""
    (to / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _fresh(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)

"""A base release and a head release small enough for any test, made with the real tools and the real runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from headway.contract.features import FeatureContract
from headway.contract.tokenizer import Tokenizer
from headway.coreml import HeadLayout, MLModel, build_head, initial_weights
from headway.coreml.features import Features
from headway.coreml.golden import BaseGolden, HeadGolden, write_golden
from headway.coreml.mlprogram import ProgramOptions

from .mil_programs import coremltools, save_program

LENGTH, WIDTH = 12, 16
LABELS = ("film", "music", "travel")
TEXTS = tuple(f"{a} {b} film" for a in ("a good", "the old", "你好", "one song") for b in ("road", "plan", "今天"))
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "good",
    "the",
    "old",
    "one",
    "song",
    "road",
    "plan",
    "film",
    *"你好今天",
]
OPTIONS = ProgramOptions(threads=1, use_cache=False)


def mean_pooling_base(seed: int = 0, length: int = LENGTH):  # type: ignore[no-untyped-def]
    """The body of a MIL program: masked mean of embeddings, one dense layer, tanh, rank 1."""
    coremltools()
    from coremltools.converters.mil import Builder as mb

    rng = np.random.default_rng(seed)
    table = rng.standard_normal((len(WORDS), WIDTH)).astype(np.float32)
    weight = rng.standard_normal((WIDTH, WIDTH)).astype(np.float32)

    def body(input_ids, attention_mask):  # type: ignore[no-untyped-def]
        mask = mb.expand_dims(x=mb.cast(x=attention_mask, dtype="fp32"), axes=[-1])
        total = mb.reduce_sum(x=mb.mul(x=mb.gather(x=table, indices=input_ids, axis=0), y=mask), axes=[1])
        mean = mb.real_div(x=total, y=mb.reduce_sum(x=mask, axes=[1]))
        dense = mb.tanh(x=mb.linear(x=mean, weight=weight))
        return mb.reshape(x=dense, shape=[WIDTH], name="features")

    return body


def write_base(folder: Path, seed: int = 0) -> Path:
    """Write a base release into *folder* and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.zeros((1, LENGTH), np.int32)
    save_program(mean_pooling_base(seed), {"input_ids": ids, "attention_mask": ids}, folder / "base.mlpackage", "iOS16")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    tokenizer = Tokenizer.from_vocab(WORDS)
    contract = FeatureContract("features", (WIDTH,), "float32", f"tiny/{seed}", tokenizer.digest, LENGTH)
    (folder / "contract.json").write_bytes(contract.to_bytes())
    ids, mask = encode(tokenizer)
    features = Features(folder / "base.mlpackage", tokenizer, contract, OPTIONS).of(TEXTS)
    (folder / "golden.safetensors").write_bytes(write_golden(BaseGolden(ids, mask, features)))
    return folder


def write_head(folder: Path, base: Path, seed: int = 1) -> Path:
    """Write a head release for *base* into *folder* and return it; its true labels are what it predicts."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_vocab(base / "vocab.txt")
    features = Features(base / "base.mlpackage", tokenizer, options=OPTIONS).of(TEXTS)
    layout = HeadLayout(features=WIDTH, classes=len(LABELS))
    (folder / "head.mlmodel").write_bytes(build_head(layout, initial_weights(layout, seed)))
    probabilities = MLModel(folder / "head.mlmodel").predict({"features": features})["probabilities"]
    labels = probabilities.argmax(axis=1).astype(np.int32)
    golden = HeadGolden(*encode(tokenizer), features, labels, probabilities.astype(np.float32))
    (folder / "golden.safetensors").write_bytes(write_golden(golden))
    (folder / "labels.json").write_text(json.dumps(LABELS), encoding="utf-8")
    return folder


def encode(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Ids and masks of :data:`TEXTS`, int32 ``[n, LENGTH]``."""
    encoded = [tokenizer.encode(text, LENGTH) for text in TEXTS]
    ids = np.array([e.input_ids for e in encoded], np.int32)
    return ids, np.array([e.attention_mask for e in encoded], np.int32)

"""A release that is not the 8-bit float32 one: palettes and float16, from export to proof, gate and card."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra trainer")
pytest.importorskip("transformers", reason="training needs the extra trainer")
pytest.importorskip("coremltools", reason="exporting needs the extra sim")

from headway.contract.errors import RefusedError
from headway.contract.tokenizer import Tokenizer
from headway.coreml.features import Features
from headway.coreml.golden import read_base_golden
from headway.coreml.proof import prove
from headway_trainer.config import from_document, read_config
from headway_trainer.order import ORDER, first_reader
from headway_trainer.pipeline import run_steps
from headway_trainer.run import Places, Run

RELEASING = ORDER[ORDER.index("export-base") :]


def released(
    workshop: Any, trained: Path, folder: Path, extra: str, steps: Sequence[str] = RELEASING
) -> dict[str, dict[str, Any]]:
    shutil.copytree(trained, folder / "run")
    text = workshop.config.read_text("utf-8")
    config = workshop.config.parent / f"{folder.name}.toml"
    config.write_text(text[: text.index('[[heads]]\nname = "topic-2"')] + extra, "utf-8")
    places = Places(config.parent, folder / "run", str(workshop.teacher), workshop.corpora)
    facts = run_steps(Run(read_config(config), places), steps)
    return {**facts, "qat": json.loads((trained / "qat/facts.json").read_text("utf-8"))}


def check_release(release: Path) -> dict[str, Any]:
    """The files of a release belong to each other: golden features are the package's, the head is proven on it."""
    base, head = release / "base", release / "heads/topic-1"
    golden = read_base_golden(base / "golden.safetensors")
    texts = [json.loads(line)["text"] for line in (base / "golden.jsonl").read_text("utf-8").splitlines()]
    found = Features(base / "base.mlpackage", Tokenizer.from_vocab(base / "vocab.txt")).of(texts)
    np.testing.assert_allclose(found, golden.features, atol=1e-5)
    prove(base / "base.mlpackage", head / "head.mlmodel", head / "golden.safetensors", head / "labels.json")
    card: dict[str, Any] = json.loads((base / "card.json").read_text("utf-8"))
    return card


def test_a_base_of_six_bits_is_released(workshop: Any, trained: Path, tmp_path: Path) -> None:
    facts = released(workshop, trained, tmp_path, '\n[compress]\nrelease = "6"\nplans = ["8", "6"]\nrows = 4\n')
    exported, measured = facts["export-base"], facts["compress"]["plans"]
    assert exported["plan"] == "6"
    assert exported["palettes_equal_in_every_bit"] == facts["qat"]["matrices"] + 1, "the lexicon is the one more"
    assert exported["int8_matrices_equal_to_qat_in_every_bit"] == 0
    assert exported["operations"]["constexpr_lut_to_dense"] == exported["palettes_equal_in_every_bit"]
    assert exported["size_bytes"] < measured["8"]["size_bytes"]
    held = exported["parity_with_its_palettes"]
    assert held["deviation"] < 1e-5, "it computes what a student with these palettes computes"
    assert held["agreement"] == 1.0
    assert measured["6"]["parity"] == held
    assert measured["6"]["labels_equal_to_training"] == exported["label_agreement_with_qat"]
    assert exported["feature_deviation_from_qat"] > 100 * held["deviation"], "which is not quite what was trained"
    parity = next(line for line in facts["gate"]["lines"] if line["metric"] == "parity")
    assert parity["verdict"] == "passed"
    assert "palettised student" in parity["limit"]
    assert "labels of QAT" in parity["found"]
    card = check_release(tmp_path / "run/release")
    assert "palettes of 6 bits" in card["what"]
    assert card["size_bytes"] == exported["size_bytes"]
    assert card["figures"]["parity_with_its_palettes"] == held


def test_a_mixed_base_keeps_some_matrices_of_training(workshop: Any, trained: Path, tmp_path: Path) -> None:
    extra = '\n[compress]\nrelease = "mixed"\nplans = ["mixed"]\nmixed_share = 0.8\nrows = 4\n'
    facts = released(workshop, trained, tmp_path, extra, ["export-base", "compress"])
    exported = facts["export-base"]
    counts = exported["matrices"]
    assert sum(counts.values()) == exported["palettes_equal_in_every_bit"] + counts["8"]
    assert exported["int8_matrices_equal_to_qat_in_every_bit"] == counts["8"] > 0
    assert exported["palettes_equal_in_every_bit"] > 0
    assert exported["parity_with_its_palettes"]["deviation"] < 1e-5
    assert facts["compress"]["harm"] == exported["harm"], "measured once"
    assert facts["compress"]["plans"]["mixed"]["matrices"] == counts


def test_the_same_palettes_give_the_same_bytes(workshop: Any, trained: Path, tmp_path: Path) -> None:
    packages = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        released(workshop, trained, tmp_path / name, '\n[compress]\nrelease = "4"\n', ["export-base"])
        base = tmp_path / name / "run/release/base/base.mlpackage"
        packages.append({path.relative_to(base): path.read_bytes() for path in base.rglob("*") if path.is_file()})
    assert packages[0] == packages[1]


def test_a_base_in_float16_is_released(workshop: Any, trained: Path, tmp_path: Path) -> None:
    facts = released(workshop, trained, tmp_path, "\n[half]\nrows = 4\nrelease = true\n")
    assert facts["half"]["safe"]
    assert facts["export-base"]["label_agreement_with_qat"] > 0.9
    assert facts["export-base"]["feature_deviation_from_qat"] < 0.1
    assert "float16" in check_release(tmp_path / "run/release")["what"]
    assert facts["evaluate"]["heads"]["topic-1"]["test"]["rows"] == 18


def test_palettes_and_float16_are_not_released_together(workshop: Any) -> None:
    document = tomllib.loads(workshop.config.read_text("utf-8"))
    document |= {"compress": {"release": "6"}, "half": {"rows": 4, "release": True}}
    with pytest.raises(RefusedError, match="compress: release: a base with palettes computes in float32"):
        from_document(document)
    document["compress"] = {"release": "5"}
    with pytest.raises(RefusedError, match="one of 8, 6, 4, mixed"):
        from_document(document)


def test_what_decides_the_release_is_read_at_the_export() -> None:
    assert first_reader("compress.release") == first_reader("compress.mixed_share") == "export-base"
    assert first_reader("compress.plans") == "compress"

"""Complete release folders small enough for any test: real models, run by the real runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.coreml.tiny_release import TEXTS, write_base, write_head

GATE = [{"metric": "accuracy", "limit": "> 95 %", "found": "96.1 %", "verdict": "passed"}]
DATA_DIGEST = "sha256:" + "ab" * 32


def write_card(folder: Path, **changes: object) -> None:
    card = {"name": "tiny", "data": {"train": DATA_DIGEST}, "accuracy": 0.961, "gate": GATE, **changes}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def base_release(folder: Path, seed: int = 0) -> Path:
    write_base(folder, seed)
    rows = [json.dumps({"text": text, "label": "film"}, ensure_ascii=False) for text in TEXTS]
    (folder / "golden.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_card(folder)
    return folder


def head_release(folder: Path, base: Path, seed: int = 1) -> Path:
    write_head(folder, base, seed)
    write_card(folder)
    return folder


def copy_of(release: Path, to: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(release, to)
    return to

"""A tiny teacher, a tiny vocabulary and a few real rows: a whole run of the trainer in seconds."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "ios_fixtures/data/kdconv_domain"
LABELS = ("film", "music", "travel")

CONFIG = """
base_id = "tiny"
version = "1"
seed = 3
threads = 1
golden_rows = 9

[data]
labels = ["film", "music", "travel"]
train = "train.tsv"
dev = "dev.tsv"
test = "test.tsv"
title = "KdConv domains"
licence = "Apache-2.0"
vocabulary = "vocab.txt"

[[data.unlabelled]]
file = "lines.txt"
title = "lines of the training rows"
licence = "Apache-2.0"

[teacher]
name = "a random teacher"
licence = "Apache-2.0"
finetune = { epochs = 2, batch_size = 16, schedule = { learning_rate = 1e-3 } }

[student]
layers = 2
hidden = 64
bottleneck = 32
embedding = 32
intermediate = 64
heads = 2
feedforwards = 2
max_length = 24

[general]
steps = 6
round_steps = 3
batch_size = 16

[ngram]
share = 0.5
folds = 2
block_rows = 6

[task]
epochs = 2
batch_size = 16

[qat]
epochs = 1
batch_size = 16
schedule = { learning_rate = 1e-4 }

[lexicon]
buckets = 1024
refit = true

[[heads]]
name = "topic-1"
weight_decays = [0.01]

[[heads]]
name = "topic-2"
hidden = [8]
weight_decays = [0.01]
epochs = 3
"""


@dataclass(frozen=True)
class Workshop:
    """Folders of a tiny run: configuration with its data, the teacher, the unlabelled corpora."""

    config: Path
    teacher: Path
    corpora: Path


def rows_of(split: str, per_label: int) -> list[str]:
    text = lzma.decompress((DATA / f"{split}.tsv.xz").read_bytes()).decode("utf-8")
    rows = text.split("\n")[1:]
    return [row for label in LABELS for row in [r for r in rows if r.startswith(label)][:per_label]]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    torch = pytest.importorskip("torch", reason="training needs the extra trainer")
    transformers = pytest.importorskip("transformers", reason="training needs the extra trainer")
    folder = tmp_path_factory.mktemp("workshop")
    for split, count in (("train", 24), ("dev", 6), ("test", 6)):
        (folder / f"{split}.tsv").write_text(
            "label\tdialogue\ttext\n" + "\n".join(rows_of(split, count)) + "\n", "utf-8"
        )
    texts = [row.split("\t")[2] for row in rows_of("train", 24)]
    (folder / "lines.txt").write_text("\n".join(texts) + "\n", "utf-8")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(texts).lower()) - {" "})]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
    (folder / "run.toml").write_text(CONFIG, "utf-8")
    torch.manual_seed(0)
    shape = transformers.BertConfig(
        vocab_size=len(tokens),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    transformers.BertModel(shape, add_pooling_layer=False).save_pretrained(folder / "teacher")
    return Workshop(folder / "run.toml", folder / "teacher", folder)


@pytest.fixture(scope="session")
def trained(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is done up to its export: to be copied, not gone on with."""
    from headway_trainer.config import read_config
    from headway_trainer.order import ORDER
    from headway_trainer.pipeline import run_steps
    from headway_trainer.run import Places, Run

    folder = tmp_path_factory.mktemp("trained") / "run"
    places = Places(workshop.config.parent, folder, str(workshop.teacher), workshop.corpora)
    run_steps(Run(read_config(workshop.config), places), ORDER[: ORDER.index("export-base")])
    return folder

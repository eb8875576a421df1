"""Small random transformers and an image network, exported as the trainer exports, beside their PyTorch module."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .mil_programs import coremltools

LENGTH, VOCABULARY, WIDTH = 16, 120, 24
_SIZES = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "attn_implementation": "eager"}
_BERT = {**_SIZES, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}


@dataclass(frozen=True)
class Exported:
    """A saved package, the module it came from, and inputs for several items, each with a leading batch axis."""

    path: Path
    module: Any
    inputs: dict[str, np.ndarray]
    model: Any

    def expected(self) -> np.ndarray:
        """What PyTorch gives, item by item, float32 ``[n, …]``."""
        import torch

        rows = []
        count = len(next(iter(self.inputs.values())))
        with torch.no_grad():
            for index in range(count):
                item = [torch.from_numpy(a[index]) for a in self.inputs.values()]
                rows.append(self.module(*(i.long() if i.dtype == torch.int32 else i for i in item)).numpy())
        return np.stack(rows)


def _config(kind: str) -> Any:
    transformers = pytest.importorskip("transformers")
    bottleneck = {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}
    made: dict[str, Callable[[], Any]] = {
        "mobilebert": lambda: transformers.MobileBertConfig(**{**_BERT, "intermediate_size": 32}, **bottleneck),
        "bert": lambda: transformers.BertConfig(**_BERT),
        "e5": lambda: transformers.BertConfig(**_BERT),  # as MiniLM and E5 are; what differs is how they end
        "roberta": lambda: transformers.RobertaConfig(**_BERT, max_position_embeddings=64),
        "albert": lambda: transformers.AlbertConfig(**_BERT, embedding_size=16),
        "distilbert": lambda: transformers.DistilBertConfig(
            vocab_size=VOCABULARY, n_layers=2, dim=32, n_heads=4, hidden_dim=64, attn_implementation="eager"
        ),
    }
    return made[kind]()


def _text_module(kind: str, attention: str = "eager") -> Any:
    import torch
    from transformers import AutoModel

    torch.manual_seed(sum(map(ord, kind)))
    config = _config(kind)
    config._attn_implementation = attention
    encoder = AutoModel.from_config(config).eval()
    for parameter in encoder.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, float(parameter.mean()), 0.2)

    class Base(torch.nn.Module):
        """Embeddings, layers with an additive mask of our own, masked mean, one dense layer or unit length, rank 1."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.dense = torch.nn.Linear(32, WIDTH)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            mask = attention_mask.to(torch.float32)
            states = self._embedded(input_ids)
            for layer in self._layers():
                out = layer(states, (1.0 - mask)[:, None, None, :] * -1e4)
                states = out[0] if isinstance(out, tuple | list) else out
            weights = mask[:, :, None]
            mean = (states * weights).sum(1) / weights.sum(1)
            if kind == "e5":
                return torch.nn.functional.normalize(mean, p=2, dim=1).reshape(-1)
            return torch.tanh(self.dense(mean)).reshape(-1)

        def _embedded(self, input_ids: Any) -> Any:
            positions = torch.arange(LENGTH)[None]
            if kind == "distilbert":
                return self.encoder.embeddings(input_ids)
            if kind == "roberta":
                positions = positions + 2
            embedded = self.encoder.embeddings(
                input_ids=input_ids, position_ids=positions, token_type_ids=torch.zeros_like(input_ids)
            )
            return self.encoder.encoder.embedding_hidden_mapping_in(embedded) if kind == "albert" else embedded

        def _layers(self) -> Any:
            if kind == "distilbert":
                return self.encoder.transformer.layer
            if kind == "albert":
                return [self.encoder.encoder.albert_layer_groups[0].albert_layers[0]] * 2
            return self.encoder.encoder.layer

    return Base().eval()


def _image_module() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(4)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 12, 3, groups=4), nn.GroupNorm(3, 12), nn.Hardswish(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(12, WIDTH), nn.GELU(), nn.LayerNorm(WIDTH), nn.Softmax(-1)),
    )
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    return net.eval()


def _vit_module() -> Any:
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(5)
    config = ViTConfig(
        **{k: v for k, v in _BERT.items() if k != "vocab_size"}, image_size=16, patch_size=4, num_channels=3
    )
    model = ViTModel(config, add_pooling_layer=False).eval()

    class Cls(torch.nn.Module):
        """The state of the class token."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:
            return self.model(pixels, return_dict=False)[0][:, 0]

    return Cls().eval()


def export(
    kind: str, folder: Path, frontend: str = "trace", target: str = "iOS16", precision: str = "FLOAT32"
) -> Exported:
    """Convert the small model *kind* (a text model, ``cnn`` or ``vit``) and save it under *folder*."""
    ct = coremltools()
    torch = pytest.importorskip("torch")
    module, inputs = _prepared(kind)
    example = tuple(
        torch.from_numpy(a[0]).long() if a.dtype == np.int32 else torch.from_numpy(a[0]) for a in inputs.values()
    )
    with contextlib.redirect_stderr(io.StringIO()), torch.no_grad():
        if frontend == "export":
            source = torch.export.export(module, example).run_decompositions({})
        else:
            source = torch.jit.trace(module, example, check_trace=False)
        model = ct.convert(
            source,
            inputs=[ct.TensorType(name, array[0].shape, dtype=array.dtype.type) for name, array in inputs.items()],
            outputs=[ct.TensorType("features", dtype=np.float32)],
            compute_precision=getattr(ct.precision, precision),
            minimum_deployment_target=getattr(ct.target, target),
            skip_model_load=True,
        )
    path = folder / f"{kind}-{frontend}-{target}-{precision}.mlpackage"
    model.save(str(path))
    return Exported(path, module, inputs, model)


def _prepared(kind: str) -> tuple[Any, dict[str, np.ndarray]]:
    rng = np.random.default_rng(9)
    if kind == "cnn":
        return _image_module(), {"pixels": rng.standard_normal((3, 1, 3, 24, 24)).astype(np.float32)}
    if kind == "vit":
        return _vit_module(), {"pixels": rng.standard_normal((3, 1, 3, 16, 16)).astype(np.float32)}
    ids = rng.integers(4, VOCABULARY, (5, 1, LENGTH)).astype(np.int32)
    lengths = np.array([LENGTH, 3, 9, 1, 12])
    mask = (np.arange(LENGTH)[None] < lengths[:, None]).astype(np.int32)[:, None]
    name, _, attention = kind.partition("-")
    return _text_module(name, attention or "eager"), {"input_ids": ids * mask, "attention_mask": mask}

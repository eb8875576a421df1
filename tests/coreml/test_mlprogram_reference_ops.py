"""Operations that coremltools cannot infer itself (or infers wrongly), against numpy or PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.coreml.mlprogram import ProgramOptions, compile_program

from .mil_programs import coremltools, save_program

coremltools()
from coremltools.converters.mil import Builder as mb

torch = pytest.importorskip("torch")
functional = torch.nn.functional

RNG = np.random.default_rng(11)


def _normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


KERNEL, DEPTHWISE, BIAS = _normal(6, 4, 3, 3), _normal(4, 1, 3, 3), _normal(6)
LINE, TURNED = _normal(5, 4, 2), _normal(4, 3, 3, 3)
MEAN, VARIANCE, GAMMA, BETA = _normal(4), np.abs(_normal(4)) + 0.5, _normal(4), _normal(4)
Case = tuple[Callable[..., Any], Callable[..., Any], list[np.ndarray], str]


def t(array: np.ndarray) -> Any:
    return torch.from_numpy(array)


def _image() -> list[np.ndarray]:
    return [_normal(1, 4, 7, 6) for _ in range(3)]


CASES: dict[str, Case] = {
    "concat_interleave": (
        lambda x: mb.concat(values=[x, mb.mul(x=x, y=2.0)], axis=1, interleave=True),
        lambda x: torch.stack([x, 2 * x], 2).reshape(1, 8, 7, 6),
        _image(),
        "iOS15",
    ),
    "cumsum_exclusive": (
        lambda x: mb.cumsum(x=x, axis=2, exclusive=True, reverse=True),
        lambda x: torch.flip(torch.cumsum(torch.flip(x, [2]), 2), [2]) - x,
        _image(),
        "iOS15",
    ),
    "gather_nd": (
        lambda x: mb.gather_nd(x=x, indices=np.array([[0, 3], [0, 1]], np.int32)),
        lambda x: torch.stack([x[0, 3], x[0, 1]]),
        _image(),
        "iOS15",
    ),
    "one_hot": (
        lambda x: mb.one_hot(indices=mb.cast(x=x, dtype="int32"), one_hot_vector_size=4, on_value=2.0, off_value=-1.0),
        lambda x: functional.one_hot(x.long(), 4).float() * 3 - 1,
        [RNG.integers(0, 4, (2, 3)).astype(np.float32) for _ in range(3)],
        "iOS15",
    ),
    "silu": (lambda x: mb.silu(x=x), functional.silu, _image(), "iOS15"),
    "conv": (
        lambda x: mb.conv(x=x, weight=KERNEL, bias=BIAS, strides=[2, 1], pad_type="custom", pad=[1, 0, 2, 1]),
        lambda x: functional.conv2d(functional.pad(x, (2, 1, 1, 0)), t(KERNEL), t(BIAS), stride=(2, 1)),
        _image(),
        "iOS15",
    ),
    "conv_same": (
        lambda x: mb.conv(x=x, weight=KERNEL, pad_type="same", dilations=[1, 2]),
        lambda x: functional.conv2d(x, t(KERNEL), padding="same", dilation=(1, 2)),
        _image(),
        "iOS15",
    ),
    "conv_depthwise": (
        lambda x: mb.conv(x=x, weight=DEPTHWISE, groups=4, pad_type="valid"),
        lambda x: functional.conv2d(x, t(DEPTHWISE), groups=4),
        _image(),
        "iOS15",
    ),
    "conv_1d": (
        lambda x: mb.conv(x=x, weight=LINE, pad_type="valid"),
        lambda x: functional.conv1d(x, t(LINE)),
        [_normal(2, 4, 9) for _ in range(3)],
        "iOS15",
    ),
    "conv_transpose": (
        lambda x: mb.conv_transpose(
            x=x, weight=TURNED, bias=BIAS[:3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
        ),
        lambda x: functional.conv_transpose2d(x, t(TURNED), t(BIAS[:3]), stride=2, padding=1),
        _image(),
        "iOS15",
    ),
    "batch_norm": (
        lambda x: mb.batch_norm(x=x, mean=MEAN, variance=VARIANCE, gamma=GAMMA, beta=BETA, epsilon=1e-3),
        lambda x: functional.batch_norm(x, t(MEAN), t(VARIANCE), t(GAMMA), t(BETA), eps=1e-3),
        _image(),
        "iOS15",
    ),
    "instance_norm": (
        lambda x: mb.instance_norm(x=x, gamma=GAMMA, beta=BETA, epsilon=1e-3),
        lambda x: functional.instance_norm(x, weight=t(GAMMA), bias=t(BETA), eps=1e-3),
        _image(),
        "iOS15",
    ),
    "local_response_norm": (
        lambda x: mb.local_response_norm(x=x, size=3, alpha=0.1, beta=0.7, k=1.5),
        lambda x: functional.local_response_norm(x, 3, alpha=0.1, beta=0.7, k=1.5),
        _image(),
        "iOS15",
    ),
    "max_pool": (
        lambda x: mb.max_pool(x=x, kernel_sizes=[3, 2], strides=[2, 2], pad_type="custom", pad=[1, 1, 0, 0]),
        lambda x: functional.max_pool2d(x, (3, 2), stride=2, padding=(1, 0)),
        _image(),
        "iOS15",
    ),
    "max_pool_ceil": (
        lambda x: mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid", ceil_mode=True),
        lambda x: functional.max_pool2d(x, 2, stride=2, ceil_mode=True),
        _image(),
        "iOS15",
    ),
    "avg_pool": (
        lambda x: mb.avg_pool(x=x, kernel_sizes=[3, 3], pad_type="custom", pad=[1, 1, 1, 1]),
        lambda x: functional.avg_pool2d(x, 3, stride=1, padding=1),
        _image(),
        "iOS15",
    ),
    "avg_pool_exclude": (
        lambda x: mb.avg_pool(
            x=x, kernel_sizes=[3, 3], pad_type="custom", pad=[1, 1, 1, 1], exclude_padding_from_average=True
        ),
        lambda x: functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False),
        _image(),
        "iOS15",
    ),
    "upsample_nearest": (
        lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
        lambda x: functional.interpolate(x, scale_factor=(2, 3), mode="nearest"),
        _image(),
        "iOS15",
    ),
    "upsample_bilinear": (
        lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2, align_corners=False),
        lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
        _image(),
        "iOS15",
    ),
    "upsample_align_corners": (
        lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2, align_corners=True),
        lambda x: functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        _image(),
        "iOS15",
    ),
    "pixel_shuffle": (
        lambda x: mb.pixel_shuffle(x=x, upscale_factor=2),
        lambda x: functional.pixel_shuffle(x, 2),
        _image(),
        "iOS15",
    ),
    "pixel_unshuffle": (
        lambda x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        lambda x: functional.pixel_unshuffle(x, 2),
        [_normal(1, 2, 4, 6) for _ in range(3)],
        "iOS16",
    ),
    "attention_bool_mask": (
        lambda x: mb.scaled_dot_product_attention(query=x, key=x, value=x, attn_mask=np.tri(7) > 0),
        lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=torch.ones(7, 7).tril() > 0),
        _image(),
        "iOS18",
    ),
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reference")


@pytest.mark.parametrize("name", CASES)
def test_operation_equals_reference(name: str, workdir: Path) -> None:
    body, reference, items, target = CASES[name]
    path = save_program(body, {"x": items[0]}, workdir / f"{name}.mlpackage", target)
    program = compile_program(path, ProgramOptions(threads=1, use_cache=False))
    wanted = np.stack([reference(t(item)).numpy() for item in items])
    (port,) = program.outputs

    single = program.predict({"x": items[0]})[port.name]
    batch = program.predict({"x": np.stack(items)})[port.name]

    assert single.shape == wanted[0].shape
    np.testing.assert_allclose(single, wanted[0], rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(batch, wanted, rtol=1e-5, atol=2e-6)

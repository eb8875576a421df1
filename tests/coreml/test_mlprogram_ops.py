"""Every operation against coremltools' own value inference, for one item and for a batch of different items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headway.coreml.mlprogram import ProgramOptions, compile_program

from .mil_programs import Arrays, coremltools, expected_values, save_program

coremltools()
from coremltools.converters.mil import Builder as mb


def _random(*shape: int, low: float = -2.0, high: float = 2.0) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.uniform(low, high, shape).astype(np.float32)


def _whole(*shape: int, low: int = 0, high: int = 5) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(low, high, shape).astype(np.int32)


Case = tuple[Callable[..., Any], dict[str, Callable[[np.random.Generator], np.ndarray]], str]

X23 = {"x": _random(2, 3)}
X234 = {"x": _random(2, 3, 4)}
IMAGE = {"x": _random(1, 4, 6, 6)}
PAIR = {"x": _random(2, 1, 4), "y": _random(3, 4)}
POSITIVE = {"x": _random(2, 3, low=0.1, high=3.0)}
UNIT = {"x": _random(2, 3, low=-0.9, high=0.9)}
WHOLE_PAIR = {"x": _whole(2, 3, low=-7, high=8), "y": _whole(3, low=1, high=4)}
TABLE = np.random.default_rng(5).standard_normal((7, 4)).astype(np.float32)
WEIGHT = np.random.default_rng(6).standard_normal((5, 4)).astype(np.float32)
SQUARE = np.random.default_rng(7).standard_normal((4, 4)).astype(np.float32)
BIAS = np.arange(5, dtype=np.float32)


def _unary(op: str, inputs: Any = X23, **more: Any) -> Case:
    return (lambda x: getattr(mb, op)(x=x, **more), inputs, "iOS15")


def _binary(op: str, inputs: Any = PAIR) -> Case:
    return (lambda x, y: getattr(mb, op)(x=x, y=y), inputs, "iOS15")


CASES: dict[str, Case] = {
    **{op: _binary(op) for op in ("add", "sub", "mul", "real_div", "floor_div", "mod", "maximum", "minimum")},
    "pow": _binary("pow", {"x": _random(2, 3, low=0.1), "y": _random(3)}),
    **{f"{op}_int": _binary(op, WHOLE_PAIR) for op in ("add", "sub", "mul", "floor_div", "mod", "maximum")},
    **{op: _binary(op, WHOLE_PAIR) for op in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")},
    "lower_rank_first": (lambda x, y: mb.sub(x=y, y=x), PAIR, "iOS15"),
    "logical": (
        lambda x, y: mb.cast(
            x=mb.logical_xor(
                x=mb.logical_and(x=mb.cast(x=x, dtype="bool"), y=mb.cast(x=y, dtype="bool")),
                y=mb.logical_not(x=mb.cast(x=x, dtype="bool")),
            ),
            dtype="int32",
        ),
        {"x": _whole(2, 3, high=2), "y": _whole(2, 3, high=2)},
        "iOS15",
    ),
    **{op: _unary(op) for op in ("abs", "atan", "ceil", "cos", "erf", "exp", "exp2", "floor", "round", "sign")},
    **{op: _unary(op) for op in ("sin", "sinh", "cosh", "square", "tanh", "relu", "relu6", "sigmoid", "softplus")},
    **{op: _unary(op) for op in ("softsign", "tan")},
    **{op: _unary(op, UNIT) for op in ("acos", "asin", "atanh")},
    **{op: _unary(op, POSITIVE) for op in ("log", "sqrt", "rsqrt", "inverse")},
    "clip": _unary("clip", alpha=-0.5, beta=0.75),
    "threshold": _unary("threshold", alpha=0.25),
    "linear_activation": _unary("linear_activation", alpha=2.0, beta=-1.0),
    "thresholded_relu": _unary("thresholded_relu", alpha=0.5),
    "clamped_relu": _unary("clamped_relu", alpha=0.1, beta=1.0),
    "leaky_relu": _unary("leaky_relu", alpha=0.3),
    "elu": _unary("elu", alpha=0.7),
    "sigmoid_hard": _unary("sigmoid_hard", alpha=0.3, beta=0.4),
    "scaled_tanh": _unary("scaled_tanh", alpha=1.7, beta=0.6),
    "prelu": _unary("prelu", IMAGE, alpha=np.array([0.1, 0.2, 0.3, 0.4], np.float32)),
    "softplus_parametric": _unary(
        "softplus_parametric",
        X234,
        alpha=np.array([1, 2, 3], np.float32),
        beta=np.array([0.5, 1, 2], np.float32),
    ),
    **{f"gelu_{mode}": _unary("gelu", mode=mode) for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")},
    "softmax": _unary("softmax", X234, axis=1),
    "softmax_last": _unary("softmax", X234, axis=-1),
    "cast_to_int": (lambda x: mb.cast(x=x, dtype="int32"), X23, "iOS15"),
    "select": (
        lambda x, y: mb.select(cond=mb.greater(x=x, y=0.0), a=x, b=mb.mul(x=y, y=2.0)),
        {"x": _random(2, 3), "y": _random(2, 3)},
        "iOS15",
    ),
    "reshape": _unary("reshape", X234, shape=[4, -1]),
    "reshape_to_scalar_like": _unary("reshape", {"x": _random(1, 1)}, shape=[1]),
    "transpose": _unary("transpose", X234, perm=[2, 0, 1]),
    "expand_dims": _unary("expand_dims", X23, axes=[0, -1]),
    "squeeze": _unary("squeeze", {"x": _random(1, 3, 1)}, axes=[0]),
    "concat": (
        lambda x, y: mb.concat(values=[x, y, TABLE[:2, :3]], axis=0),
        {"x": _random(2, 3), "y": _random(1, 3)},
        "iOS15",
    ),
    "stack": (lambda x, y: mb.stack(values=[x, y], axis=1), {"x": _random(2, 3), "y": _random(2, 3)}, "iOS15"),
    "split": (lambda x: mb.split(x=x, num_splits=2, axis=-1), X234, "iOS15"),
    "split_sizes": (lambda x: mb.split(x=x, split_sizes=[1, 2], axis=1), X234, "iOS15"),
    "tile": _unary("tile", X23, reps=(2, 3)),
    "pad": _unary("pad", X234, pad=[1, 0, 2, 1], mode="constant", constant_val=0.5),
    "pad_reflect": _unary("pad", X234, pad=[1, 1, 2, 0], mode="reflect"),
    "pad_replicate": _unary("pad", X234, pad=[0, 1], mode="replicate"),
    "slice": _unary("slice_by_index", X234, begin=[0, 1, 0], end=[2, 3, 4], stride=[1, 1, 2]),
    "slice_masks": _unary(
        "slice_by_index",
        X234,
        begin=[1, 0, -1],
        end=[0, -1, 0],
        begin_mask=[False, True, False],
        end_mask=[False, False, True],
        squeeze_mask=[True, False, False],
    ),
    "slice_last": _unary("slice_by_index", X234, begin=[0, 0, -1], end=[2, 3, 4], squeeze_mask=[False, False, True]),
    "slice_by_size": _unary("slice_by_size", X234, begin=[1, 0, 1], size=[1, -1, 2]),
    "reverse": _unary("reverse", X234, axes=[0, 2]),
    "reverse_all": _unary("reverse", X23),
    "band_part": _unary("band_part", {"x": _random(4, 5)}, lower=1, upper=0),
    "linear": _unary("linear", X234, weight=WEIGHT, bias=BIAS),
    "linear_without_bias": _unary("linear", X234, weight=WEIGHT),
    "linear_then_column": (
        lambda x: mb.add(x=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4]), y=BIAS[:4].reshape(4, 1)),
        {"x": _random(2, 4, 4)},
        "iOS15",
    ),
    "linear_chain": (
        lambda x: mb.mul(
            x=mb.relu(x=mb.add(x=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4]), y=x)), y=BIAS[1:5].reshape(1, 1, 4)
        ),
        {"x": _random(2, 4, 4)},
        "iOS15",
    ),
    "linear_times_scalar": (
        lambda x: mb.sub(x=3.0, y=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4])),
        {"x": _random(2, 4, 4)},
        "iOS15",
    ),
    "linear_raised": (
        lambda x: mb.add(x=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4]), y=np.ones((3, 1, 1, 4), np.float32)),
        {"x": _random(2, 4, 4)},
        "iOS15",
    ),
    "linear_of_vector": (
        lambda x: mb.tanh(x=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4])),
        {"x": _random(4)},
        "iOS15",
    ),
    "linear_plus_lower_rank": (
        lambda x, y: mb.add(x=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4]), y=y),
        {"x": _random(2, 4, 4), "y": _random(4)},
        "iOS15",
    ),
    "linear_of_two": (
        lambda x, y: mb.mul(
            x=mb.linear(x=x, weight=SQUARE, bias=BIAS[:4]), y=mb.linear(x=y, weight=SQUARE, bias=BIAS[1:5])
        ),
        {"x": _random(2, 4, 4), "y": _random(1, 4)},
        "iOS15",
    ),
    "matmul": (lambda x, y: mb.matmul(x=x, y=y), {"x": _random(2, 3, 4), "y": _random(2, 4, 5)}, "iOS15"),
    "matmul_turned": (
        lambda x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
        {"x": _random(2, 4, 3), "y": _random(5, 4)},
        "iOS15",
    ),
    "matmul_constant": (lambda x: mb.matmul(x=x, y=WEIGHT, transpose_y=True), X234, "iOS15"),
    "matmul_constant_first": (lambda x: mb.matmul(x=WEIGHT, y=x, transpose_y=True), X234, "iOS15"),
    "einsum": (
        lambda x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
        {"x": _random(1, 2, 3, 4), "y": _random(1, 4, 3, 5)},
        "iOS15",
    ),
    "layer_norm": _unary("layer_norm", X234, axes=[-1], gamma=BIAS[:4] + 1, beta=BIAS[1:5], epsilon=1e-5),
    "layer_norm_two_axes": _unary("layer_norm", X234, axes=[1, 2], epsilon=1e-3),
    "layer_norm_inner_axis": _unary("layer_norm", X234, axes=[1], gamma=BIAS[:3] + 1, beta=BIAS[:3], epsilon=1e-5),
    "l2_norm": _unary("l2_norm", {"x": _random(2, 3, 4, 2)}, epsilon=1e-3),
    **{
        f"reduce_{op}": _unary(f"reduce_{op}", X234, axes=[1], keep_dims=keep)
        for op, keep in (("sum", True), ("mean", False), ("max", False), ("min", True), ("prod", False))
    },
    **{
        f"reduce_{op}": _unary(f"reduce_{op}", X234, axes=[0, -1])
        for op in ("l1_norm", "l2_norm", "log_sum_exp", "sum_square")
    },
    "reduce_log_sum": _unary("reduce_log_sum", POSITIVE, axes=[0]),
    "reduce_all": _unary("reduce_sum", X234),
    "reduce_argmax": _unary("reduce_argmax", X234, axis=1),
    "reduce_argmin": _unary("reduce_argmin", X234, axis=-1, keep_dims=True),
    "topk": (lambda x: mb.topk(x=x, k=2, axis=-1), X234, "iOS15"),
    "topk_ascending": (lambda x: mb.topk(x=x, k=2, axis=1, ascending=True), X234, "iOS15"),
    "argsort": _unary("argsort", X234, axis=-1),
    "cumsum": _unary("cumsum", X234, axis=1),
    "gather_table": (lambda x: mb.gather(x=TABLE, indices=x, axis=0), {"x": _whole(2, 3, high=7)}, "iOS15"),
    "gather_table_inner": (lambda x: mb.gather(x=TABLE, indices=x, axis=1), {"x": _whole(2, 3, high=4)}, "iOS15"),
    "gather_fixed": (lambda x: mb.gather(x=x, indices=[2, 0], axis=1), X234, "iOS15"),
    "gather_scalar": (lambda x: mb.gather(x=x, indices=1, axis=1), X234, "iOS15"),
    "gather_both": (
        lambda x, y: mb.gather(x=x, indices=y, axis=1),
        {"x": _random(2, 3, 4), "y": _whole(2, 2, high=3)},
        "iOS15",
    ),
    "gather_batch_dims": (
        lambda x, y: mb.gather(x=x, indices=y, axis=2, batch_dims=1),
        {"x": _random(2, 3, 4), "y": _whole(2, 2, high=4)},
        "iOS16",
    ),
    "gather_along_axis": (
        lambda x, y: mb.gather_along_axis(x=x, indices=y, axis=1),
        {"x": _random(2, 3), "y": _whole(2, 4, high=3)},
        "iOS15",
    ),
    "attention": (
        lambda x, y: mb.scaled_dot_product_attention(query=x, key=y, value=y, attn_mask=mb.mul(x=x, y=0.5)),
        {"x": _random(1, 3, 3), "y": _random(1, 3, 3)},
        "iOS18",
    ),
    "quantise": (
        lambda x: mb.dequantize(
            input=mb.quantize(input=x, scale=np.float32(0.1), zero_point=np.int8(3), output_dtype="int8"),
            scale=np.float32(0.1),
            zero_point=np.int8(3),
        ),
        {"x": _random(2, 3, low=-30, high=30)},
        "iOS17",
    ),
    "cast_uint8": (lambda x: mb.cast(x=mb.cast(x=x, dtype="uint8"), dtype="int32"), {"x": _whole(2, 3)}, "iOS17"),
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ops")


@pytest.mark.parametrize("name", CASES)
def test_operation_equals_value_inference(name: str, workdir: Path) -> None:
    body, makers, target = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    items: list[Arrays] = [{key: make(rng) for key, make in makers.items()} for _ in range(3)]
    path = save_program(body, items[0], workdir / f"{name}.mlpackage", target)
    program = compile_program(path, ProgramOptions(threads=1, use_cache=False))
    expected = [expected_values(body, item, target) for item in items]

    single = program.predict(items[0])
    batch = program.predict({key: np.stack([item[key] for item in items]) for key in makers})

    assert program.batched
    for index, port in enumerate(program.outputs):
        wanted = np.stack([values[index] for values in expected])
        assert single[port.name].shape == wanted[0].shape
        np.testing.assert_allclose(single[port.name], wanted[0], rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(batch[port.name], wanted, rtol=2e-6, atol=2e-6)

"""The table of operations covers what transformer encoders need."""

from __future__ import annotations

from headway.coreml.mlprogram.ops import EMITTERS, FOLDERS


def test_the_operations_of_transformer_encoders_are_all_there() -> None:
    needed = (
        "linear matmul add sub mul real_div softmax relu gelu tanh silu layer_norm reshape transpose gather cast "
        "concat pad slice_by_index expand_dims squeeze split reduce_mean reduce_sum rsqrt pow select conv batch_norm"
    )
    assert not set(needed.split()) - set(EMITTERS)
    assert len(FOLDERS) == 7

"""What a text costs by count: the numbers that a person finds with a pencil."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the trainer needs the extra trainer")
pytest.importorskip("coremltools", reason="packages need the extra sim")

from headway.coreml.package import read_package
from headway_trainer.counted import IPHONE_13, Counted, counted

BASE = Path(__file__).parents[2] / "ios_fixtures/models/base/base.mlpackage"


def test_the_bundled_base_is_counted_as_by_hand() -> None:
    length, hidden, bottleneck, inner, heads, layers = 64, 512, 128, 512, 4, 4
    head = bottleneck // heads
    linear = (
        2 * hidden * bottleneck  # both bottlenecks
        + 2 * bottleneck * bottleneck  # queries, keys
        + hidden * bottleneck  # values
        + bottleneck * bottleneck  # what attention gives
        + 2 * 2 * bottleneck * inner  # one feed-forward network and the last one
        + bottleneck * hidden  # back to full width
    )
    attention = 2 * heads * length * length * head
    embedding = 3 * bottleneck * hidden
    found = counted(read_package(BASE))
    assert found.multiply_adds == layers * (length * linear + attention) + length * embedding
    weights = layers * linear + embedding
    looked_up = length * bottleneck + (3 * length - 3) * 3
    places = 4 * length * hidden
    # Scales, biases and the vectors of the normalisation are the rest.
    assert weights + looked_up + places < found.weight_bytes < 1.1 * (weights + looked_up + places)
    whole = sum(path.stat().st_size for path in BASE.rglob("*") if path.is_file())
    assert found.weight_bytes < whole / 2, "most of a table of words is not read for one text"


def test_the_slower_of_arithmetic_and_memory_is_the_bound() -> None:
    assert Counted(int(IPHONE_13.operations / 2), 0, 0).least_ms(IPHONE_13) == pytest.approx(1000)
    assert Counted(0, int(IPHONE_13.bandwidth / 10), 0).least_ms(IPHONE_13) == pytest.approx(100)
    both = Counted(int(IPHONE_13.operations / 2), int(IPHONE_13.bandwidth / 10), 5)
    assert both.to_json() == {
        "multiply_adds": both.multiply_adds,
        "weight_bytes": both.weight_bytes,
        "result_bytes": 5,
        "phone": "iPhone 13 (A15)",
        "at_least_ms": 1000.0,
    }

"""Merging a personal head into a new release, down to the bytes of the specification."""

from __future__ import annotations

import struct

import numpy as np
from form import Case, Json, vectors

Weights = dict[str, list[list[float]] | list[float]]


def _varint(value: int) -> bytes:
    parts = []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _floats(values: list[float]) -> bytes:
    return _message(1, struct.pack(f"<{len(values)}f", *values)) + _number(50, 1)


def layer(
    name: str, weights: list[list[float]], biases: list[float] | None, *, updatable: bool = True, chained: bool = False
) -> bytes:
    """An inner product, field by field as NeuralNetwork.proto numbers them; ``chained`` to the layer ``hidden``."""
    flat = [value for row in weights for value in row]
    body = _number(1, len(weights[0])) + _number(2, len(weights))
    if biases is not None:
        body += _number(10, 1)
    body += _message(20, _floats(flat))
    if biases is not None:
        body += _message(21, _floats(biases))
    source = b"hidden_out" if chained else b"features"
    head = _message(1, name.encode()) + _message(2, source) + _message(3, f"{name}_out".encode())
    return head + (_number(10, 1) if updatable else b"") + _message(140, body)


def _feature(name: str, size: int) -> bytes:
    array = _message(1, _varint(size)) + _number(2, 65568)
    return _message(1, name.encode()) + _message(3, _message(5, array))


def spec(layers: list[bytes], *, updatable: bool = True, width: int = 4, classes: int = 3) -> bytes:
    """A model of those layers, the last of which is named ``fc``."""
    body = b"".join(_message(1, one) for one in layers)
    mark = _number(10, 1) if updatable else b""
    description = _message(1, _feature("features", width)) + _message(10, _feature("fc_out", classes))
    return _number(1, 4) + _message(2, description) + mark + _message(500, body)


def _network(weights: Weights) -> bytes:
    names = list(dict.fromkeys(key.partition(".")[0] for key in weights))
    layers = [
        layer(name, weights[f"{name}.weights"], weights[f"{name}.biases"], chained=name != names[0])  # type: ignore[arg-type]
        for name in names
    ]
    return spec(layers, classes=len(weights["fc.biases"]))


def _head(seed: int, classes: int, *, hidden: bool) -> tuple[bytes, Weights]:
    random = np.random.default_rng(seed)

    def draw(*shape: int) -> list:  # type: ignore[type-arg]
        return random.normal(size=shape).astype(np.float32).tolist()

    weights: Weights = {"hidden.weights": draw(4, 4), "hidden.biases": draw(4)} if hidden else {}
    weights |= {"fc.weights": draw(classes, 4), "fc.biases": draw(classes)}
    return _network(weights), weights


def _merge(comment: str, release: list[str], old: list[str], alpha: float, *, hidden: bool = False) -> Case:
    (release_spec, new), (old_spec, before) = _head(1, len(release), hidden=hidden), _head(2, len(old), hidden=hidden)
    personal_spec, mine = _head(3, len(old), hidden=hidden)
    result: Weights = {}
    for key, value in new.items():
        change = np.asarray(mine[key], np.float32) - np.asarray(before[key], np.float32)
        if key.startswith("fc."):
            zero = np.zeros(change.shape[1:], np.float32)
            change = np.asarray([change[old.index(label)] if label in old else zero for label in release], np.float32)
        result[key] = (np.asarray(value, np.float32) + np.float32(alpha) * change).tolist()
    return {
        "comment": comment,
        "flags": ["Merge"],
        "release": {"spec_hex": release_spec.hex(), "labels": release},
        "personal": {"spec_hex": personal_spec.hex(), "labels": old},
        "old": {"spec_hex": old_spec.hex(), "labels": old},
        "alpha": str(alpha),
        "merged_hex": _network(result).hex(),
        "can_keep": release == old,
    }


def _broken() -> list[Case]:
    good, _ = _head(1, 3, hidden=False)
    one = layer("fc", [[1.0, 2.0]], [0.5])
    broken = {
        "empty": b"",
        "cut off": good[:-1],
        "cut off in the middle": good[: len(good) // 2],
        "not updatable": spec([one], updatable=False),
        "no network": _number(1, 4) + _number(10, 1),
        "fewer weights than declared": spec([layer("fc", [[1.0, 2.0], [3.0]], None)]),
        "a length past the end": good + b"\x12\xff\xff\xff\xff\x0f",
        "a varint without end": good + b"\x08" + b"\xff" * 11,
        "field number 0": good + b"\x02\x00",
    }
    strict = {
        "no trainable layer": spec([layer("fc", [[1.0, 2.0]], [0.5], updatable=False)]),
        "two networks": good + _message(500, _message(1, one)),
        "a layer twice": spec([one, one]),
        "another kind of layer": spec([_message(1, b"fc") + _number(10, 1) + _message(100, b"")]),
        "a group": good + b"\x0b\x0c",
    }
    return [
        *({"comment": c, "flags": ["Broken"], "spec_hex": data.hex()} for c, data in broken.items()),
        *({"comment": c, "flags": ["Broken", "Strict"], "spec_hex": data.hex()} for c, data in strict.items()),
    ]


def build() -> Json:
    """``head_weights``, ``with_head_weights``, ``can_keep`` and ``merged``."""
    three = ["film", "music", "travel"]
    return vectors(
        "Merging a personal head into a new release",
        {
            "Merge": "new + alpha (personal - old), rows matched by label",
            "Broken": "no head that can be merged",
            "Strict": "a protobuf library reads it; a reader that only finds fields refuses it, as the validator does",
        },
        [
            *(_merge(f"same labels, alpha {alpha}", three, three, alpha) for alpha in (0.25, 0.5, 0.75, 1.0)),
            _merge("labels in another order", ["travel", "film", "music"], three, 0.5),
            _merge("a label more", [*three, "food"], three, 0.5),
            _merge("a label fewer", three[:2], three, 0.5),
            _merge("a label renamed", ["film", "music", "trips"], three, 1.0),
            _merge("labels past ASCII", ["电影", "音乐"], ["音乐", "电影"], 0.75),
            _merge("a hidden layer moves as it is", ["film", "music"], three, 0.5, hidden=True),
            *_broken(),
        ],
    )

"""What one text costs a base by count: multiplications, bytes of weights, and the time no phone can be below.

Counted from the program itself, shape by shape, not measured. The bound takes the larger of arithmetic at a phone's
published peak and weights read once at its memory's peak, nothing else: a real phone takes longer, above all for a
float32 program, which its Neural Engine does not run at all. So it can rule a base out and never pass one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headway.coreml.mlprogram.ir import Function, Literal, Operation, TensorType
from headway.coreml.mlprogram.reader import read_function
from headway.coreml.package import Package


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone by what is published of it: operations per second at its best, bytes per second of its memory."""

    name: str
    operations: float
    bandwidth: float


IPHONE_13 = Phone("iPhone 13 (A15)", 15.8e12, 34.1e9)
"""Operations as Apple said at its introduction (September 2021); 64 bits of LPDDR4X-4266 (JEDEC JESD209-4)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one text: multiply-adds of the matrix products, bytes of weights that are read, bytes of all results."""

    multiply_adds: int
    weight_bytes: int
    result_bytes: int

    def least_ms(self, phone: Phone) -> float:
        """Return the milliseconds that a phone cannot be below."""
        return 1000 * max(2 * self.multiply_adds / phone.operations, self.weight_bytes / phone.bandwidth)

    def to_json(self, phone: Phone = IPHONE_13) -> dict[str, Any]:
        """The counts and the bound as JSON."""
        return {**asdict(self), "phone": phone.name, "at_least_ms": float(f"{self.least_ms(phone):.3g}")}


def counted(package: Package) -> Counted:
    """Count one text of full length."""
    function = read_function(package.spec, package.weight_file)
    types = {value.name: value.type for value in function.inputs}
    types |= {output.name: output.type for operation in function.operations for output in operation.outputs}
    worked = [operation for operation in function.operations if not _is_constant(operation)]
    multiply_adds = sum(_multiply_adds(operation, types) for operation in worked)
    results = sum(_bytes(output.type) for operation in worked for output in operation.outputs)
    return Counted(multiply_adds, _weight_bytes(function, worked), results)


def _is_constant(operation: Operation) -> bool:
    return operation.kind == "const" or operation.kind.startswith("constexpr_")


def _multiply_adds(operation: Operation, types: Mapping[str, TensorType]) -> int:
    if operation.kind not in ("linear", "matmul"):
        return 0
    x, result = operation.inputs["x"][0], operation.outputs[0].type
    given = _shape(types[x] if isinstance(x, str) else x.type)
    # Whichever way round a matrix lies, one of its sides is the rows of the result and the other is summed over.
    summed = given[-1] if operation.kind == "linear" else given[-2] * given[-1] // _shape(result)[-2]
    return math.prod(_shape(result)) * summed


def _weight_bytes(function: Function, worked: Sequence[Operation]) -> int:
    """Bytes of the constants as they are stored; of a table that is only looked up in, the rows that are."""
    total = 0
    for constant in (operation for operation in function.operations if _is_constant(operation)):
        literals = [one for found in constant.inputs.values() for one in found if isinstance(one, Literal)]
        stored = sum(_bytes(literal.type) for literal in literals if literal.type.dtype.name != "string")
        name, size = constant.outputs[0].name, math.prod(_shape(constant.outputs[0].type))
        users = [operation for operation in worked if any(name in found for found in operation.inputs.values())]
        looked_up = [operation for operation in users if operation.kind == "gather" and name in operation.inputs["x"]]
        if users and len(looked_up) == len(users):
            read = sum(math.prod(_shape(operation.outputs[0].type)) for operation in users)
            stored = min(stored, -(-stored * read // size))
        total += stored if users else 0
    return total


def _shape(of: TensorType) -> tuple[int, ...]:
    return tuple(size or 1 for size in of.shape)


def _bytes(of: TensorType) -> int:
    return -(-math.prod(_shape(of)) * of.dtype.bits // 8)

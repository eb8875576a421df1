"""How a program is to be compiled: chosen once, part of the cache key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["ProgramOptions"]


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """Compilation choices.

    ``precision``: ``float32`` computes everything, float16 programs too, in float32; ``float16`` rounds the result of
    each operation that the program declares float16 to it (sums inside one stay float32: devices differ).
    ``compute``: ``float`` multiplies dequantised weights; ``int8`` keeps 8-bit weights and quantises activations per
    tensor while running, faster and smaller but inexact.
    ``threads``: threads inside one operation, 0 for one per physical core.
    ``cache_dir``: where compiled artefacts live (None: the user's cache folder); ``use_cache=False`` neither reads nor
    writes it.
    """

    precision: Literal["float32", "float16"] = "float32"
    compute: Literal["float", "int8"] = "float"
    threads: int = 0
    cache_dir: Path | None = None
    use_cache: bool = True

    @property
    def key(self) -> str:
        """The part of the options that changes the compiled artefact."""
        return f"{self.precision}-{self.compute}"

"""What a worker does without: packages that a library would load only because they happen to be installed.

``securesystemslib`` tries boto3, for a signer in Amazon's key service; ``structlog`` tries rich, for tracebacks in
colours. We sign with keys of our own and log plain text. The storage in S3 loads boto3 by itself where it is asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Within, importing any of these modules fails as if it were not installed. One that is loaded already stays."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def load_leanly() -> None:
    """Load the libraries of signatures and of logs without what they would only try."""
    with absent("boto3", "rich"):
        importlib.import_module("securesystemslib.signer")
        importlib.import_module("structlog")

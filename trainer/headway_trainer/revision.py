"""Which code made a result: the package's version, a digest of the trainer's sources and the revision in git.

The digest is always there and changes with every edit; the revision only where the sources lie in a git clone.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from headway import __version__

_SOURCES = Path(__file__).parent
_PACKAGES = ("torch", "transformers", "coremltools", "numpy", "onnxruntime")


def versions() -> dict[str, str]:
    """Return what decides a result besides its configuration: this program's revision, Python, the packages."""
    return {
        **revision(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


@cache
def revision() -> dict[str, str]:
    """Return `headway`, `trainer_sources` and, in a clone, `revision`. Read once: the running code does not change."""
    found = {"headway": __version__, "trainer_sources": _digest()}
    commit = _commit()
    return {**found, "revision": commit} if commit else found


def _digest() -> str:
    total = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*.py")):
        total.update(f"{path.relative_to(_SOURCES).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return f"sha256:{total.hexdigest()}"


def _commit() -> str | None:
    try:
        told = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=_SOURCES, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None

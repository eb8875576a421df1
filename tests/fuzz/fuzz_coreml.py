"""Coverage-guided fuzzing of the Core ML reader, validator and engine; not part of the test runs.

    python tests/fuzz/fuzz_coreml.py [CORPUS_DIR] [-max_total_time=600]

Needs atheris, which the extra ``dev`` brings on Linux.  The first byte chooses the form: a ``.mlmodel``, or a zip of a
package.  Any exception but Headway's own is a finding; so is a validation that takes seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["headway.coreml"]):
    from headway.contract.errors import HeadwayError
    from headway.coreml.description import describe
    from headway.coreml.inspection import inspect_package
    from headway.coreml.limits import ReadLimits
    from headway.coreml.model import MLModel
    from headway.coreml.package import read_package
    from headway.coreml.validator import validate

_LIMITS = ReadLimits(spec_bytes=1 << 20, zip_total_bytes=1 << 22)
_SLOW_S = 5.0
_PATH = Path(tempfile.mkdtemp(prefix="headway-fuzz-")) / "input"


def one_input(data: bytes) -> None:
    """Read, validate, describe, and run what is valid."""
    if not data:
        return
    _PATH.write_bytes((b"PK\x03\x04" if data[0] & 1 else b"") + data[1:])
    begin = time.monotonic()
    validate(_PATH, limits=_LIMITS)
    if time.monotonic() - begin > _SLOW_S:
        raise TimeoutError("validation took too long")
    with contextlib.suppress(HeadwayError):
        package = read_package(_PATH, _LIMITS)
        describe(package.spec)
        inspect_package(package)
        if package.spec.isUpdatable:
            model = MLModel(package)
            _ = model.weights
            model.training_plan()


def _zipped_package() -> bytes:
    """A valid head as a package in a zip; its first four bytes are the signature that ``one_input`` puts there."""
    from headway.coreml.build import HeadLayout, initial_head

    place = "com.apple.CoreML/model.mlmodel"
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"a": {"author": "x", "description": "m", "name": "model.mlmodel", "path": place}},
        "rootModelIdentifier": "a",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m.mlpackage/Manifest.json", json.dumps(manifest))
        archive.writestr(f"m.mlpackage/Data/{place}", initial_head(HeadLayout(3, 2), 1))
    return stream.getvalue()


def main() -> None:
    """Seed the corpus with valid heads, then fuzz until told to stop."""
    from headway.coreml.build import HeadLayout, initial_head
    from headway.coreml.hyperparameters import Adam

    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    corpus = Path(folders[0]) if folders else Path(tempfile.mkdtemp(prefix="headway-corpus-"))
    corpus.mkdir(parents=True, exist_ok=True)
    (corpus / "package").write_bytes(b"\1" + _zipped_package()[4:])
    (corpus / "sgd").write_bytes(b"\0" + initial_head(HeadLayout(3, 2, hidden=(2,)), 1))
    (corpus / "adam").write_bytes(b"\0" + initial_head(HeadLayout(3, 2, optimizer=Adam()), 1))
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    atheris.Setup([sys.argv[0], str(corpus), *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

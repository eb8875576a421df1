"""Core ML's protobuf messages without importing coremltools.

``import coremltools`` takes seconds and prints warnings about frameworks that Linux does not have; the message classes
alone load in well under a tenth of a second.  They are generated modules inside the coremltools distribution that
import only each other, so they are loaded here under a private package name.  When coremltools itself is imported
before or after, both see the very same classes (protobuf keeps one class per descriptor).

This is the one module where a protobuf message is typed ``Any``: the generated code has no stubs.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from functools import cache
from typing import Any

from headway.contract.errors import RefusedError

__all__ = ["Message", "encode", "messages", "parse_model"]

Message = Any
"""A protobuf message of Core ML's schema."""

_ALIAS = "headway_coreml_messages"


@cache
def messages(module: str = "Model") -> Any:
    """Return the generated module ``<module>_pb2`` (``Model`` re-exports the messages of the modules it uses).

    Raises :class:`RefusedError` when coremltools is not installed.
    """
    loaded = sys.modules.get(f"coremltools.proto.{module}_pb2")
    if loaded is not None:
        return loaded
    if _ALIAS not in sys.modules:
        found = importlib.util.find_spec("coremltools")
        if found is None or not found.submodule_search_locations:
            raise RefusedError(
                "sim_extra_missing",
                "Core ML files need the schema that coremltools brings.",
                hint="Install headway[sim].",
            )
        package = types.ModuleType(_ALIAS)
        package.__path__ = [f"{found.submodule_search_locations[0]}/proto"]
        sys.modules[_ALIAS] = package
    return importlib.import_module(f"{_ALIAS}.{module}_pb2")


def parse_model(data: bytes) -> Message:
    """Parse *data* as a ``Model`` message.

    Raises :class:`RefusedError` (``model_unreadable``) on anything protobuf refuses.  Unknown fields are kept.
    """
    from google.protobuf.message import DecodeError

    model = messages("Model").Model()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RefusedError(
            "model_unreadable",
            f"The model specification is not a Core ML protobuf message: {error}.",
            hint="Export the model again; the file is damaged or of another format.",
        ) from error
    return model


def encode(message: Message) -> bytes:
    """Serialise *message* deterministically: equal messages give equal bytes."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data

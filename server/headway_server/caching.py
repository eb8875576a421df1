"""How long anyone may keep a file of the public tree, by its path alone: the server and the bucket say the same."""

from __future__ import annotations

IMMUTABLE = "public, max-age=31536000, immutable"
NO_CACHE = "no-cache"


def cache_control(path: str) -> str:
    """``Cache-Control`` of a path: everything carries its version or digest in its name, but ``timestamp.json``."""
    return NO_CACHE if path.endswith("/metadata/timestamp.json") else IMMUTABLE


def media_type(path: str) -> str:
    """``Content-Type`` of a path."""
    return "application/json" if path.endswith(".json") else "application/octet-stream"

"""Where things stand in the public tree of one app."""

from __future__ import annotations

from headway.contract.digests import Digest, hex_of

ONLINE_ROLES = ("channels", "snapshot", "timestamp")


def artifact_path(app: str, digest: Digest) -> str:
    """An artifact, by digest alone: equal files are stored once."""
    return f"apps/{app}/artifacts/{hex_of(digest)}"


def target_path(app: str, path: str, digest: Digest) -> str:
    """A file that metadata names, in TUF's consistent-snapshot form: the digest stands before the file's name."""
    folder, _, name = path.rpartition("/")
    return f"apps/{app}/targets/{folder}/{hex_of(digest)}.{name}"


def role_path(app: str, role: str, version: int) -> str:
    """A version of a role; only the timestamp has no version in its name."""
    if role == "timestamp":
        return f"apps/{app}/metadata/timestamp.json"
    return f"apps/{app}/metadata/{version}.{role}.json"

"""Publishing: read a release folder strictly, prove it, sign it here, upload it, point channels at it.

Keys never leave the machine that runs this. Every step is safe to repeat: publishing the same release again changes
nothing, and a publish that was cut off is finished by running it again.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.publisher.publish import Published, publish_base, publish_head, revoke_head
    from headway.publisher.registry import Registry

_HOMES = {
    "Published": "publish",
    "Registry": "registry",
    "publish_base": "publish",
    "publish_head": "publish",
    "revoke_head": "publish",
}
__all__ = ["Published", "Registry", "publish_base", "publish_head", "revoke_head"]


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it, so that importing this package stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

"""The client inside an app: polls, verifies, tries, confirms, rolls back, personalises; it never raises into the app.

Decisions are pure (:mod:`~headway.device.machine` over :mod:`~headway.device.state`), acting stands at the edge
(:mod:`~headway.device.driver`), and :class:`~headway.device.client.Device` is the façade. The Swift client has the same
states, events and names. Public names load on first use: importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.device.bundle import AppBundle, AppConfig, write_bundle
    from headway.device.client import Device, Settings
    from headway.device.faulty import MemoryFileSystem
    from headway.device.fetcher import HttpFetcher
    from headway.device.files import RealFileSystem
    from headway.device.results import ConfirmResult, Prediction, Unavailable
    from headway.device.state import Rules

_HOMES = {
    "AppBundle": "bundle",
    "AppConfig": "bundle",
    "ConfirmResult": "results",
    "Device": "client",
    "HttpFetcher": "fetcher",
    "MemoryFileSystem": "faulty",
    "Prediction": "results",
    "RealFileSystem": "files",
    "Rules": "state",
    "Settings": "client",
    "Unavailable": "results",
    "write_bundle": "bundle",
}

__all__ = [
    "AppBundle",
    "AppConfig",
    "ConfirmResult",
    "Device",
    "HttpFetcher",
    "MemoryFileSystem",
    "Prediction",
    "RealFileSystem",
    "Rules",
    "Settings",
    "Unavailable",
    "write_bundle",
]


def __getattr__(name: str) -> Any:
    """Load the public name ``name`` from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

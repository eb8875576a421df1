"""What this machine says to itself never goes through a proxy.

A company's ``HTTP_PROXY`` without a ``NO_PROXY`` would send a rehearsal's requests to ``127.0.0.1`` out of the house,
to a proxy for which that address is its own. As in Go's client, only other hosts are asked for that way.
"""

from __future__ import annotations

DIRECT: dict[str, None] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
"""For ``mounts`` of an ``httpx2.Client``: these addresses take its own transport, whatever the environment says."""

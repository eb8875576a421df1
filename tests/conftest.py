"""Settings that every test shares."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The same examples on every machine, so that a red run can be repeated; no deadline and no complaint about slow
# drawing, since machines are shared.
settings.register_profile(
    "headway", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("headway")

# Whoever runs the tests may have a registry of his own, and may sit behind a proxy; theirs are on loopback.
for name in [name for name in os.environ if name.startswith(("HEADWAY_SERVER_", "HEADWAY_URL", "HEADWAY_TOKEN"))]:
    del os.environ[name]
for name in ("NO_PROXY", "no_proxy"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost")))

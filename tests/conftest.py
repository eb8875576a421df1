"""Settings that every test shares."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The same examples on every machine, so that a red run can be repeated; no deadline and no complaint about slow
# drawing, since machines are shared.
settings.register_profile(
    "headway", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("headway")

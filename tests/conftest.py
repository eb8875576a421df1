"""Settings that every test shares."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every machine, so that a red run can be repeated; no deadline, since machines are shared.
settings.register_profile("headway", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("headway")

"""The registry: publishes signed heads and bases, and serves them as static files."""

from headway_server.lean import load_leanly

# Before anything else loads those libraries in their own way.
load_leanly()

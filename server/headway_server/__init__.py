"""The registry: publishes signed heads and bases, and serves them as static files."""

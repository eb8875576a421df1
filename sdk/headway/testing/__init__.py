"""Headway in your own tests: pytest fixtures for a registry, a device and a fleet.

Installed with Headway as the pytest plugin ``headway``; nothing starts until a test asks for a fixture.
"""

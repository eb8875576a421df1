"""Headway: signed, proven, staged over-the-air delivery of updatable Core ML classifier heads.

Importing this package is light: it pulls in no third-party library. Each sub-package says in its own
docstring what it is for and which extra it needs.
"""

__version__ = "0.1.0"

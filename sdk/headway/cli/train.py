"""``headway train``: the trainer's own commands, mounted here so that there is one program to know."""

from __future__ import annotations

from headway_trainer.cli import app

__all__ = ["app"]

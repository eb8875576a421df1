"""The trainer's commands; `headway train` mounts them."""

from headway_trainer.cli.main import app

__all__ = ["app"]

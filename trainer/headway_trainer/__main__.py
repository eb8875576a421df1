"""`python -m headway_trainer`."""

from headway_trainer.cli import app

app()

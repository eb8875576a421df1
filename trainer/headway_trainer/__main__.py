"""`python -m headway_trainer`."""

import sys

from headway.contract.errors import HeadwayError
from headway_trainer.cli import app

try:
    app()
except HeadwayError as error:
    print(error.diagnostics(), file=sys.stderr)
    sys.exit(1)

"""Writing Core ML packages: the only part of the trainer that imports coremltools."""

import logging

# At import coremltools warns of every Apple framework that is not there; nothing here needs one.
logging.getLogger("coremltools").setLevel(logging.ERROR)

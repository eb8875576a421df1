"""Writing Core ML packages: the only part of the trainer that imports coremltools."""

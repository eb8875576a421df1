"""The cases, one module for each vector file."""

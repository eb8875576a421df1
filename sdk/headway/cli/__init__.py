"""The command line: one file per group of commands, and no logic of its own.

Data goes to standard output, progress and errors to standard error. Every command takes ``--json``. Imports of
optional parts happen inside the commands, so that ``headway --help`` stays quick and a bare install works.
"""
